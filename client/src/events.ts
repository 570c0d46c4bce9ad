import type { Loss } from "./codes.js";
import type { Data } from "./queue.js";

/**
 * - `connecting`: an attempt is under way
 * - `open`: connected
 * - `waiting`: away, the next attempt comes by itself
 * - `closing`: `close()` was called, the other side has not answered yet
 * - `closed`: for good; only `open()` connects again
 */
export type State = "connecting" | "open" | "waiting" | "closing" | "closed";

/** The events of a {@link ReconnectingWebSocket}, and what each has beside the fields of every `Event`. */
export interface SocketEvents {
  /** Connected. What a listener sends goes before the messages that have waited. */
  open: {
    /** Whether there was a connection before this one. */
    readonly reconnected: boolean;
  };
  /** A message has arrived. */
  message: {
    /** Text, or bytes as `binaryType` says. */
    readonly data: any;
    /** Returns what the text says as JSON; throws a `SyntaxError` if it is none. */
    readonly json: () => any;
  };
  /** A connection, or an attempt at one, has ended. */
  close: Loss & {
    /** Whether both sides said goodbye. */
    readonly wasClean: boolean;
    /** Bytes that `send()` took and that never left the browser. */
    readonly unsent: number;
    /** Whether that was the last: no attempt follows. */
    readonly final: boolean;
  };
  /** As a browser's WebSocket has it; a `close` that says more follows. */
  error: unknown;
  /** An attempt follows. Comes again for the same attempt if the wait was shortened. */
  reconnecting: Loss & {
    /** 1 for the first attempt since the last stable connection. */
    readonly attempt: number;
    /** Milliseconds until it begins. */
    readonly delay: number;
  };
  /** The state is another one. */
  state: { readonly state: State; readonly previous: State };
  /**
   * A message will not be sent: the queue was full, or the socket was closed for good. A warning goes to the console
   * as well unless a listener calls `preventDefault()`.
   */
  drop: { readonly data: Data; readonly reason: "full" | "closed" };
}

/** The event of one type. */
export type SocketEvent<Type extends keyof SocketEvents> = Event & SocketEvents[Type];

/** What an event target has whose events are listed in `Types`. */
export interface Target<Types> {
  addEventListener<Type extends keyof Types & string>(
    type: Type,
    listener: ((event: Event & Types[Type]) => void) | null,
    options?: AddEventListenerOptions | boolean,
  ): void;
  removeEventListener<Type extends keyof Types & string>(
    type: Type,
    listener: ((event: Event & Types[Type]) => void) | null,
    options?: EventListenerOptions | boolean,
  ): void;
  dispatchEvent(event: Event): boolean;
}

/** The platform's `EventTarget`, which knows no types of events. */
export const TypedTarget = EventTarget as unknown as new <Types>() => Target<Types>;

/** Makes an event with fields of its own. */
export function eventOf<Type extends string, Own>(type: Type, fields: Own): Event & Own {
  return Object.assign(new Event(type, { cancelable: true }), fields);
}
