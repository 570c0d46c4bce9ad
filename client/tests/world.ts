// A browser for tests: a clock that stands still, sockets that do what the test says, a page that can be hidden.

import { afterEach, beforeEach } from "node:test";

/** A WebSocket whose other side is the test. */
export class FakeSocket {
  static all: FakeSocket[] = [];

  readyState = 0;
  binaryType = "blob";
  bufferedAmount = 0;
  protocol = "";
  sent: unknown[] = [];
  closing: { code: number | undefined; reason: string | undefined } | undefined;
  over = false;
  onopen?: (event: object) => void;
  onmessage?: (event: object) => void;
  onclose?: (event: object) => void;
  onerror?: (event: object) => void;

  constructor(
    readonly url: string,
    readonly protocols: string | string[],
  ) {
    if (!/^wss?:/.test(url)) throw new SyntaxError(`The URL's scheme must be ws or wss: ${url}`);
    FakeSocket.all.push(this);
  }

  static get last(): FakeSocket {
    return FakeSocket.all.at(-1)!;
  }

  /** Those that the page has neither closed nor seen closed. */
  static get alive(): FakeSocket[] {
    return FakeSocket.all.filter((socket) => !socket.over && !socket.closing);
  }

  send(data: unknown): void {
    if (this.readyState !== 1) throw new Error("a browser would forget this message");
    this.sent.push(data);
  }

  close(code?: number, reason?: string): void {
    if (code !== undefined && code !== 1000 && !(code >= 3000 && code <= 4999)) throw new RangeError(`code ${code}`);
    this.closing = { code, reason };
    this.readyState = 2;
  }

  accept(): void {
    this.readyState = 1;
    this.onopen?.({});
  }

  deliver(data: unknown): void {
    this.onmessage?.({ data });
  }

  /** Ends the connection, as the other side or the network does. */
  end(code = 1006, reason = ""): void {
    this.over = true;
    this.readyState = 3;
    if (code === 1006) this.onerror?.({});
    this.onclose?.({ code, reason, wasClean: code !== 1006 });
  }
}

class Clock {
  now = 0;
  #timers = new Map<number, { due: number; call: () => void }>();
  #last = 0;

  set(call: () => void, delay: number): number {
    if (!(delay >= 0 && delay < 2 ** 31)) throw new RangeError(`a browser makes a timer of ${delay} ms end at once`);
    this.#timers.set(++this.#last, { due: this.now + delay, call });
    return this.#last;
  }

  clear(timer: number): void {
    this.#timers.delete(timer);
  }

  get pending(): number {
    return this.#timers.size;
  }

  /** Lets so many milliseconds pass. */
  pass(milliseconds: number): void {
    const end = this.now + milliseconds;
    for (let next = this.#next(end); next; next = this.#next(end)) {
      this.#timers.delete(next.timer);
      this.now = next.due;
      next.call();
    }
    this.now = end;
  }

  #next(end: number) {
    const due = [...this.#timers].map(([timer, entry]) => ({ timer, ...entry })).filter((entry) => entry.due <= end);
    return due.sort((one, other) => one.due - other.due || one.timer - other.timer)[0];
  }
}

export let clock = new Clock();
/** What `Math.random()` returns; a function where it is not always the same. */
export let chance: { draw: () => number } = { draw: () => 0.5 };
/** What was written to the console as warnings. */
export let warnings: string[] = [];

/** The document. */
export let page = newPage();
let window = new EventTarget();

function newPage() {
  return Object.assign(new EventTarget(), { visibilityState: "visible" });
}

/** The network returns. */
export function goOnline(): void {
  window.dispatchEvent(new Event("online"));
}

/** Somebody looks at the page, or no longer. */
export function show(visibilityState: "visible" | "hidden"): void {
  page.visibilityState = visibilityState;
  page.dispatchEvent(new Event("visibilitychange"));
}

/** Replaces what a browser has for the tests of a file. */
export function useWorld(): void {
  const replaced = {
    WebSocket: FakeSocket,
    location: new URL("https://example.org:8443/rooms/tea/?x=1#top"),
    document: page,
    addEventListener: (...rest: Parameters<EventTarget["addEventListener"]>) => window.addEventListener(...rest),
    setTimeout: (call: () => void, delay: number) => clock.set(call, delay),
    clearTimeout: (timer: number) => clock.clear(timer),
    performance: { now: () => clock.now },
    console: { ...console, warn: (text: string) => warnings.push(text) },
  };
  const before = new Map<string, PropertyDescriptor | undefined>();
  const random = Math.random;

  beforeEach(() => {
    clock = new Clock();
    chance = { draw: () => 0.5 };
    warnings = [];
    window = new EventTarget();
    page = replaced.document = newPage();
    FakeSocket.all = [];
    Math.random = () => chance.draw();
    for (const [name, value] of Object.entries(replaced)) {
      before.set(name, Object.getOwnPropertyDescriptor(globalThis, name));
      Object.defineProperty(globalThis, name, { value, configurable: true, writable: true });
    }
  });

  afterEach(() => {
    Math.random = random;
    for (const [name, descriptor] of before) {
      if (descriptor) Object.defineProperty(globalThis, name, descriptor);
      else delete (globalThis as Record<string, unknown>)[name];
    }
  });
}

/** Numbers from 0 to 1 that are the same in every run (a linear congruential generator). */
export function numbers(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 32;
  };
}
