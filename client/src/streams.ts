import { eventOf, type SocketEvent, TypedTarget } from "./events.js";
import type { ReconnectingWebSocket, SendOptions } from "./socket.js";

/** The events of a {@link Stream}. */
export interface StreamEvents {
  /** A message of this stream has arrived; `data` is its payload. */
  message: { readonly data: any };
}

/** One of several conversations on a socket: its frames are JSON, `{"stream": name, "payload": …}`. */
export class Stream extends TypedTarget<StreamEvents> {
  readonly #socket: ReconnectingWebSocket;

  constructor(
    readonly name: string,
    socket: ReconnectingWebSocket,
  ) {
    super();
    this.#socket = socket;
  }

  /** Sends a payload as {@link ReconnectingWebSocket.sendJSON} does. */
  send(payload: unknown, options?: SendOptions): boolean {
    return this.#socket.sendJSON({ stream: this.name, payload }, options);
  }
}

/** The streams of one socket, by name. */
export class Streams {
  readonly #socket: ReconnectingWebSocket;
  readonly #streams = new Map<string, Stream>();

  constructor(socket: ReconnectingWebSocket) {
    this.#socket = socket;
  }

  get(name: string): Stream {
    // Frames are looked into only where a page has streams.
    if (!this.#streams.size) this.#socket.addEventListener("message", (event) => this.#route(event));
    const stream = this.#streams.get(name) ?? new Stream(name, this.#socket);
    this.#streams.set(name, stream);
    return stream;
  }

  #route(event: SocketEvent<"message">): void {
    const frame = parse(event.data);
    this.#streams.get(frame?.stream)?.dispatchEvent(eventOf("message", { data: frame.payload }));
  }
}

// What is no JSON is no frame of a stream, and left to those who listen to the socket.
function parse(data: unknown): any {
  try {
    return typeof data === "string" ? JSON.parse(data) : undefined;
  } catch {
    return undefined;
  }
}
