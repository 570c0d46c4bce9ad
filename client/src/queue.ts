/** What a WebSocket sends: text, or bytes in one of the forms that browsers know. */
export type Data = string | ArrayBuffer | ArrayBufferView | Blob;

/**
 * Counts the characters of a text, or bytes.
 *
 * Throws a `TypeError` for anything else, which a browser would send as "[object Object]".
 */
export function sizeOf(data: Data): number {
  const size = typeof data === "string" ? data.length : data instanceof Blob ? data.size : data?.byteLength;
  if (size === undefined) throw new TypeError(`channels: send() takes text or bytes, not ${data}; see sendJSON()`);
  return size;
}

/** Messages that wait for a connection, in order, within a number and a size. */
export class Queue {
  #waiting: Data[] = [];
  #size = 0;

  constructor(
    private readonly most: number,
    private readonly largest: number,
  ) {}

  get length(): number {
    return this.#waiting.length;
  }

  /** Takes a message, or returns false if there is no room for it. */
  add(data: Data): boolean {
    const size = this.#size + sizeOf(data);
    if (this.length >= this.most || size > this.largest) return false;
    this.#size = size;
    this.#waiting.push(copyOf(data));
    return true;
  }

  /** Removes and returns the message that has waited longest. */
  take(): Data | undefined {
    const data = this.#waiting.shift();
    if (data !== undefined) this.#size -= sizeOf(data);
    return data;
  }
}

// As with a WebSocket, a buffer may be used again once it was sent.
function copyOf(data: Data): Data {
  if (ArrayBuffer.isView(data)) return new Uint8Array(data.buffer, data.byteOffset, data.byteLength).slice();
  return data instanceof ArrayBuffer ? data.slice(0) : data;
}
