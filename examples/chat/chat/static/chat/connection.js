// A WebSocket that comes back. Waits grow exponentially and are drawn at random from the whole range ("full jitter"),
// so that the pages of a server that restarts do not all return in the same moment.

const FIRST_WAIT = 500; // milliseconds
const LONGEST_WAIT = 10_000;

/**
 * Fires "frame" (detail: the parsed JSON) for each frame, and "away" (detail: milliseconds until the next attempt)
 * each time the socket closes or cannot be opened.
 */
export class Connection extends EventTarget {
  #url;
  #socket = null;
  #attempts = 0;
  #timer = null;

  constructor(url) {
    super();
    this.#url = url;
    window.addEventListener("online", () => this.retry());
  }

  open() {
    this.#timer = null;
    this.#socket = new WebSocket(this.#url);
    this.#socket.onmessage = (event) => this.#fire("frame", JSON.parse(event.data));
    this.#socket.onclose = () => this.#wait();
  }

  /** Sends one frame; returns false if there is no open socket to send it on. */
  send(frame) {
    if (this.#socket?.readyState !== WebSocket.OPEN) return false;
    this.#socket.send(JSON.stringify(frame));
    return true;
  }

  /** The server has greeted us: the next absence starts with a short wait again. */
  settled() {
    this.#attempts = 0;
  }

  /** Ends the wait before the next attempt, if there is one. */
  retry() {
    if (this.#timer === null) return;
    clearTimeout(this.#timer);
    this.open();
  }

  #wait() {
    const delay = Math.random() * Math.min(LONGEST_WAIT, FIRST_WAIT * 2 ** this.#attempts++);
    this.#timer = setTimeout(() => this.open(), delay);
    this.#fire("away", delay);
  }

  #fire(type, detail) {
    this.dispatchEvent(new CustomEvent(type, { detail }));
  }
}
