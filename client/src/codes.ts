/** How a connection, or an attempt at one, ended: a close code and its reason (RFC 6455, section 7.1.5 and 7.1.6). */
export interface Loss {
  /** 1006 is all that a browser tells of a handshake that was refused and of a network that has gone. */
  readonly code: number;
  readonly reason: string;
}

export const NORMAL = 1000;
export const ABNORMAL = 1006;
export const RESTART = 1012;
export const TRY_AGAIN_LATER = 1013;

/**
 * Whether a close code says that the application has finished with this client: 1000, and those of its own, 3000 to
 * 4999. The others are about the connection, and a new one may do better.
 */
export function isFinal(code: number): boolean {
  return code === NORMAL || (code >= 3000 && code <= 4999);
}
