import assert from "node:assert/strict";
import { test } from "node:test";

import { complete } from "../src/options.js";
import { useWorld, warnings } from "./world.js";

useWorld();

test("what is not given, or given as undefined, is the default", () => {
  const options = complete({ maxDelay: 5, maxQueue: undefined as unknown as number });
  assert.deepEqual([options.firstDelay, options.maxDelay, options.maxQueue], [1000, 5, 100]);
  assert.equal(complete({}).shouldReconnect({ code: 1006, reason: "" }), undefined);
});

test("numbers below 0, and what is no number, are refused", () => {
  const maxDelay = /^RangeError: channels: maxDelay must be 0 or more, not -1$/;
  assert.throws(
    () => complete({ maxDelay: -1 }),
    (error) => maxDelay.test(String(error)),
  );
  assert.throws(() => complete({ maxQueue: NaN }), RangeError);
  assert.throws(() => complete({ maxQueue: "many" as unknown as number }), RangeError);
});

test("an option of another client is a warning that lists those that there are", () => {
  complete({ debug: true, constructor: WebSocket } as object);
  assert.equal(warnings.length, 2);
  assert.match(warnings[1]!, /no option "constructor"/);
  assert.match(warnings[0]!, /no option "debug"; there are firstDelay, maxDelay, .*shouldReconnect$/);
});
