import assert from "node:assert/strict";
import { test } from "node:test";

import { isFinal } from "../src/codes.js";

test("the normal close and the application's own codes are final, those about the connection are not", () => {
  const final = [1000, 3000, 3999, 4000, 4001, 4401, 4999];
  const passing = [1001, 1002, 1003, 1005, 1006, 1007, 1008, 1009, 1011, 1012, 1013, 1014, 1015, 2999, 5000];
  assert.deepEqual(final.filter(isFinal), final);
  assert.deepEqual(passing.filter(isFinal), []);
});
