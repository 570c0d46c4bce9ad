import type { Loss } from "./codes.js";

/** How a socket comes back, and how much it keeps while it is away. Times are in milliseconds. */
export interface Options {
  /** The first wait is drawn from 0 to this; the range doubles with every failure. Default 1000. */
  firstDelay: number;
  /** The range of a wait never grows beyond this. Default 30 000. */
  maxDelay: number;
  /** After 1013 ("try again later") a wait lasts this at least, and its range begins with this. Default 5000. */
  busyDelay: number;
  /** A connection that was open this long starts the waits from the beginning. Default 5000. */
  stableAfter: number;
  /** An attempt that has no answer by then has failed. Default 25 000, more than a server takes to decide. */
  connectTimeout: number;
  /** So many attempts in a row may fail before the socket is closed for good. Default `Infinity`. */
  maxRetries: number;
  /** So many messages wait for the next connection at most. Default 100. */
  maxQueue: number;
  /** And so many characters of text and bytes together. Default 1 048 576. */
  maxQueueSize: number;
  /** What binary messages arrive as. Default `"arraybuffer"`. */
  binaryType: BinaryType;
  /** Whether a connection that was lost is made again; `undefined` leaves it to the code. Default the code decides. */
  shouldReconnect: (loss: Loss) => boolean | undefined;
}

const DEFAULTS: Options = {
  firstDelay: 1000,
  maxDelay: 30_000,
  busyDelay: 5000,
  stableAfter: 5000,
  connectTimeout: 25_000,
  maxRetries: Infinity,
  maxQueue: 100,
  maxQueueSize: 1 << 20,
  binaryType: "arraybuffer",
  shouldReconnect: () => undefined,
};

const NAMES = Object.keys(DEFAULTS);

/**
 * Fills in what is not given.
 *
 * Throws a `RangeError` for a number below 0; an option that does not exist is a warning in the console, so that a
 * page that was written for another client still runs.
 */
export function complete(given: Partial<Options>): Options {
  const options: Options = { ...DEFAULTS };
  for (const [name, value] of Object.entries(given)) {
    if (!NAMES.includes(name)) console.warn(`channels: no option "${name}"; there are ${NAMES.join(", ")}`);
    else if (value !== undefined) Object.assign(options, { [name]: checked(name as keyof Options, value) });
  }
  return options;
}

function checked(name: keyof Options, value: unknown): unknown {
  if (typeof DEFAULTS[name] !== "number" || (value as number) >= 0) return value;
  throw new RangeError(`channels: ${name} must be 0 or more, not ${value}`);
}
