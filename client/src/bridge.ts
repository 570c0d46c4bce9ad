import type { Address } from "./address.js";
import type { Options } from "./options.js";
import { ReconnectingWebSocket } from "./socket.js";

/** Called with a message, or a stream's payload, and the name of the stream or `null`. */
export type Handler = (action: any, stream: string | null) => void;

/** The client of Channels 1: JSON and streams over a {@link ReconnectingWebSocket}. */
export class WebSocketBridge {
  /** The socket, once `connect()` was called. */
  socket: ReconnectingWebSocket | null = null;

  readonly #handlers = new Map<string, Handler>();
  #listener: Handler | null | undefined;

  /** Takes options for every `connect()`. */
  constructor(readonly options: Partial<Options> = {}) {}

  /** Connects, as `new ReconnectingWebSocket()` does. A connection that this bridge has already is closed. */
  connect(url?: Address, protocols?: string | string[], options?: Partial<Options>): void {
    this.socket?.close();
    this.socket = new ReconnectingWebSocket(url, protocols, { ...this.options, ...options });
    this.socket.addEventListener("message", ({ data }) => typeof data === "string" && this.#route(data));
  }

  /**
   * Handles messages from now on: those of a stream by the stream's handler alone, others by the one given.
   *
   * Messages have to be JSON; binary ones are left to those who listen to the socket.
   */
  listen(handler?: Handler | null): void {
    this.#listener = handler ?? null;
  }

  /** Handles the messages of one stream. */
  demultiplex(stream: string, handler: Handler): void {
    this.#handlers.set(stream, handler);
  }

  /** Sends a value as JSON; returns false if it will not be sent. */
  send(value: unknown): boolean {
    return this.#connected.sendJSON(value);
  }

  /** Returns what sends to one stream. */
  stream(name: string): { send(payload: unknown): boolean } {
    return { send: (payload) => this.send({ stream: name, payload }) };
  }

  get #connected(): ReconnectingWebSocket {
    if (this.socket) return this.socket;
    throw new Error("channels: this WebSocketBridge has no connection yet; call connect() first");
  }

  #route(text: string): void {
    if (this.#listener === undefined) return;
    const message = JSON.parse(text);
    const stream = message?.stream;
    if (stream === undefined) this.#listener?.(message, null);
    else this.#handlers.get(stream)?.(message.payload, stream);
  }
}
