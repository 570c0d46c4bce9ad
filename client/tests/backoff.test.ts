import assert from "node:assert/strict";
import { test } from "node:test";

import { draw } from "../src/backoff.js";
import { complete } from "../src/options.js";
import { chance, numbers, useWorld } from "./world.js";

useWorld();

const NETWORK = 1006;
const RESTART = 1012;
const BUSY = 1013;

/** Draws often and returns the least and the greatest wait. */
function extremes(code: number, failures: number, given = {}): [number, number] {
  const random = numbers(7);
  chance.draw = random;
  const waits = Array.from({ length: 4000 }, () => draw(code, failures, complete(given)));
  return [Math.min(...waits), Math.max(...waits)];
}

/** Asserts that waits fill a range: none outside, some within a hundredth of both of its ends. */
function assertFills([least, greatest]: [number, number], from: number, to: number): void {
  const near = (to - from) / 100;
  assert.ok(least >= from && least < from + near, `${least} is the least from ${from}`);
  assert.ok(greatest <= to && greatest > to - near, `${greatest} is the greatest to ${to}`);
}

test("a wait comes from the whole range, which doubles up to its limit", () => {
  const ranges = [1000, 2000, 4000, 8000, 16_000, 30_000, 30_000];
  ranges.forEach((range, failures) => assertFills(extremes(NETWORK, failures), 0, range));
});

test("a restart is a wait like any other, a server that is busy is left alone for a while", () => {
  assertFills(extremes(RESTART, 0), 0, 1000);
  assertFills(extremes(BUSY, 0), 5000, 10_000);
  assertFills(extremes(BUSY, 1), 5000, 15_000);
  assertFills(extremes(BUSY, 9), 5000, 35_000);
});

test("whatever the options, a wait is within its range and one that a timer can keep", () => {
  const random = numbers(1);
  const delays = [0, 1, 100, 5000, 1e9, 1e300, Infinity];
  const any = <T>(values: T[]): T => values[Math.floor(random() * values.length)]!;
  for (let turn = 0; turn < 20_000; turn++) {
    const options = complete({ firstDelay: any(delays), maxDelay: any(delays), busyDelay: any(delays) });
    const [code, failures, drawn] = [any([NETWORK, RESTART, BUSY]), Math.floor(random() * 2000), any([0, random()])];
    chance.draw = () => drawn;
    const wait = draw(code, failures, options);
    const floor = code === BUSY ? options.busyDelay : 0;
    assert.ok(wait >= Math.min(floor, 2 ** 31 - 1) && wait <= 2 ** 31 - 1, `${wait} with ${JSON.stringify(options)}`);
    assert.ok(wait <= floor + options.maxDelay, `${wait} with ${JSON.stringify(options)}`);
  }
});
