import { type Address, resolve } from "./address.js";
import { draw, LONGEST_TIMER } from "./backoff.js";
import { ABNORMAL, isFinal, type Loss, NORMAL, RESTART, TRY_AGAIN_LATER } from "./codes.js";
import { eventOf, type SocketEvents, type SocketEvent, type State, TypedTarget } from "./events.js";
import { complete, type Options } from "./options.js";
import { type Data, Queue, sizeOf } from "./queue.js";
import { type Stream, Streams } from "./streams.js";
import { onWake } from "./wake.js";

const READY_STATES: Record<State, number> = { connecting: 0, waiting: 0, open: 1, closing: 2, closed: 3 };

const WHY_DROPPED = {
  full: "too many wait for a connection (maxQueue, maxQueueSize)",
  closed: "the socket is closed for good",
};

type Timer = ReturnType<typeof setTimeout> | undefined;
type Ended = Omit<SocketEvents["close"], "final">;

/** What may be said about one message. */
export interface SendOptions {
  /** With `false` the message is sent now or not at all. Default `true`. */
  queue?: boolean;
}

/**
 * A WebSocket that comes back: a server that restarts, a network that goes and a laptop that sleeps interrupt it, and
 * what is sent meanwhile waits.
 *
 * It has the events, properties and methods of a browser's WebSocket and connects when it is made. Waits grow and are
 * drawn at random; 1012 starts them from the beginning, 1013 makes them longer, 1000 and 3000 to 4999 end it for good.
 */
export class ReconnectingWebSocket extends TypedTarget<SocketEvents> {
  onopen: ((event: SocketEvent<"open">) => void) | null = null;
  onmessage: ((event: SocketEvent<"message">) => void) | null = null;
  onclose: ((event: SocketEvent<"close">) => void) | null = null;
  onerror: ((event: SocketEvent<"error">) => void) | null = null;

  readonly #address: Address | (() => Address);
  readonly #protocols: string | string[];
  readonly #options: Options;
  readonly #queue: Queue;
  readonly #streams = new Streams(this);
  #awake = new AbortController();
  #socket: WebSocket | undefined;
  #url = "";
  #state: State = "closed";
  #timer: Timer;
  #due = 0;
  #openedAt = 0;
  #reconnected = false;
  #failures = 0;
  #loss: Loss = { code: NORMAL, reason: "" };

  /**
   * Connects to an address, absolute or relative to the page; a function is called for each attempt.
   *
   * Throws what `new WebSocket()` throws, and a `RangeError` for an option out of range.
   */
  constructor(address?: Address | (() => Address), protocols: string | string[] = [], options: Partial<Options> = {}) {
    super();
    this.#address = address;
    this.#protocols = protocols;
    this.#options = complete(options);
    this.#queue = new Queue(this.#options.maxQueue, this.#options.maxQueueSize);
    for (const type of ["open", "message", "close", "error"] as const) {
      this.addEventListener(type, (event) => this[`on${type}`]?.(event as never));
    }
    this.open();
  }

  get state(): State {
    return this.#state;
  }

  /** The state in the numbers of a browser's WebSocket; 0 (`CONNECTING`) includes waiting. */
  get readyState(): number {
    return READY_STATES[this.#state];
  }

  /** The address of the last attempt. */
  get url(): string {
    return this.#url;
  }

  /** The subprotocol that the server has chosen, or `""`. */
  get protocol(): string {
    return this.#socket?.protocol ?? "";
  }

  /** Bytes that were sent and have not left the browser; those that wait for a connection are not among them. */
  get bufferedAmount(): number {
    return this.#socket?.bufferedAmount ?? 0;
  }

  /** How many messages wait for a connection. */
  get queued(): number {
    return this.#queue.length;
  }

  /**
   * Sends text or bytes now, or with the next connection.
   *
   * Returns false if it will not be sent: the queue is full, the socket is closed for good, or there is no connection
   * and `queue` is false. Throws a `TypeError` for anything but text and bytes.
   */
  send(data: Data, { queue = true }: SendOptions = {}): boolean {
    sizeOf(data);
    if (this.#isReady) {
      this.#socket!.send(data);
      return true;
    }
    if (!queue) return false;
    if (this.#isOver) return this.#drop(data, "closed");
    return this.#queue.add(data) || this.#drop(data, "full");
  }

  /** Sends a value as JSON; otherwise as {@link send}. */
  sendJSON(value: unknown, options?: SendOptions): boolean {
    return this.send(JSON.stringify(value), options);
  }

  /** Returns one stream of a multiplexed connection; always the same for a name. */
  stream(name: string): Stream {
    return this.#streams.get(name);
  }

  /** Connects now if there is no connection: ends the wait, or begins again after the socket was closed for good. */
  open(): void {
    if (this.#state === "closed") this.#begin();
    if (this.#state === "closed" || this.#state === "waiting") this.#connect();
  }

  /**
   * Closes for good. Messages that still wait are dropped, each with its event.
   *
   * Throws what a browser's `close()` throws: the code is 1000 or from 3000 to 4999, the reason up to 123 bytes.
   */
  close(code = NORMAL, reason = ""): void {
    if (this.#state === "waiting") this.#end({ code, reason, wasClean: true, unsent: 0 });
    if (this.#isOver) return;
    this.#socket!.close(code, reason);
    this.#enter("closing");
  }

  // The other side's close comes before its event: a browser forgets what is sent in between without a word.
  get #isReady(): boolean {
    return this.#state === "open" && this.#socket!.readyState === READY_STATES.open;
  }

  get #isOver(): boolean {
    return this.#state === "closing" || this.#state === "closed";
  }

  #begin(): void {
    this.#failures = 0;
    this.#awake = new AbortController();
    onWake(() => this.#hurry(), this.#awake.signal);
  }

  #connect(): void {
    clearTimeout(this.#timer);
    const socket = this.#orEnd(() => this.#make());
    const ofThis =
      <E>(handle: (event: E) => void) =>
      (event: E) => {
        if (this.#socket === socket) handle(event);
      };
    this.#socket = socket;
    socket.binaryType = this.#options.binaryType;
    socket.onopen = ofThis(() => this.#opened());
    socket.onmessage = ofThis(({ data }) => this.#emit("message", { data, json: () => JSON.parse(data) }));
    socket.onerror = ofThis(() => this.#emit("error", {}));
    socket.onclose = ofThis((event) => this.#lost(event));
    this.#timer = setTimeout(() => this.#giveUp(socket), Math.min(LONGEST_TIMER, this.#options.connectTimeout));
    this.#enter("connecting");
  }

  #make(): WebSocket {
    const address = typeof this.#address === "function" ? this.#address() : this.#address;
    this.#url = resolve(address);
    return new WebSocket(this.#url, this.#protocols);
  }

  #giveUp(socket: WebSocket): void {
    this.#lost({ code: ABNORMAL, reason: `no answer in ${this.#options.connectTimeout} ms`, wasClean: false });
    socket.close();
  }

  #opened(): void {
    clearTimeout(this.#timer);
    this.#openedAt = performance.now();
    const reconnected = this.#reconnected;
    this.#reconnected = true;
    this.#enter("open", () => this.#emit("open", { reconnected }));
    while (this.#isReady && this.queued) this.#socket!.send(this.#queue.take()!);
  }

  #lost({ code, reason, wasClean }: Loss & { wasClean: boolean }): void {
    const ended = { code, reason, wasClean, unsent: this.bufferedAmount };
    clearTimeout(this.#timer);
    this.#socket = undefined;
    const wasStable = this.#state === "open" && performance.now() - this.#openedAt >= this.#options.stableAfter;
    if (wasStable || code === RESTART) this.#failures = 0;
    if (this.#orEnd(() => this.#returns({ code, reason }))) this.#leave(ended);
    else this.#end(ended);
  }

  #returns(loss: Loss): boolean {
    if (this.#state === "closing" || this.#failures >= this.#options.maxRetries) return false;
    return this.#options.shouldReconnect(loss) ?? !isFinal(loss.code);
  }

  #leave(ended: Ended): void {
    this.#loss = { code: ended.code, reason: ended.reason };
    const delay = draw(ended.code, this.#failures++, this.#options);
    const timer = this.#schedule(delay);
    this.#enter("waiting", () => {
      this.#emit("close", { ...ended, final: false });
      if (this.#state === "waiting" && this.#timer === timer) this.#announce(delay);
    });
  }

  #schedule(delay: number): Timer {
    this.#due = performance.now() + delay;
    return (this.#timer = setTimeout(() => this.#connect(), delay));
  }

  #announce(delay: number): void {
    this.#emit("reconnecting", { ...this.#loss, attempt: this.#failures, delay });
  }

  // Still drawn at random: the network comes back for a whole building at once. 1013 is the server's word.
  #hurry(): void {
    if (this.#state !== "waiting" || this.#loss.code === TRY_AGAIN_LATER) return;
    const delay = draw(NORMAL, 0, this.#options);
    if (delay >= this.#due - performance.now()) return;
    clearTimeout(this.#timer);
    this.#schedule(delay);
    this.#announce(delay);
  }

  #end(ended: Ended): void {
    clearTimeout(this.#timer);
    this.#awake.abort();
    this.#enter("closed", () => this.#emit("close", { ...ended, final: true }));
    while (this.#state === "closed" && this.queued) this.#drop(this.#queue.take()!, "closed");
  }

  // An error in a function of the page's ends the socket, rather than leave it between two states.
  #orEnd<Result>(call: () => Result): Result {
    try {
      return call();
    } catch (error) {
      this.#end({ code: ABNORMAL, reason: String(error), wasClean: false, unsent: 0 });
      throw error;
    }
  }

  // Listeners may change the state themselves: then the later change is told, and not this one.
  #enter(state: State, tell?: () => void): void {
    const previous = this.#state;
    this.#state = state;
    tell?.();
    if (this.#state === state) this.#emit("state", { state, previous });
  }

  #emit<Type extends keyof SocketEvents>(type: Type, fields: SocketEvents[Type]): void {
    this.dispatchEvent(eventOf(type, fields));
  }

  #drop(data: Data, reason: "full" | "closed"): false {
    const event = eventOf("drop", { data, reason });
    if (this.dispatchEvent(event)) console.warn(`channels: a message was dropped: ${WHY_DROPPED[reason]}`);
    return false;
  }
}
