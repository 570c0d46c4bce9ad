import { TRY_AGAIN_LATER } from "./codes.js";
import type { Options } from "./options.js";

/** Milliseconds; a longer timer would end at once. */
export const LONGEST_TIMER = 2 ** 31 - 1;
const MOST_DOUBLINGS = 40; // more than a number of milliseconds needs, and far from Infinity

/**
 * Draws the wait before the next attempt, in milliseconds.
 *
 * It comes from the whole of a range that doubles with each of the `failures` before it ("full jitter"), so that the
 * pages of a server that restarts do not all return in the same moment. After 1013 the range is longer and begins
 * later.
 */
export function draw(code: number, failures: number, options: Options): number {
  const busy = code === TRY_AGAIN_LATER;
  const first = busy ? options.busyDelay : options.firstDelay;
  const range = Math.min(LONGEST_TIMER, options.maxDelay, first * 2 ** Math.min(failures, MOST_DOUBLINGS));
  return Math.min(LONGEST_TIMER, (busy ? options.busyDelay : 0) + Math.random() * range);
}
