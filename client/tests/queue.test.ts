import assert from "node:assert/strict";
import { test } from "node:test";

import { type Data, Queue, sizeOf } from "../src/queue.js";
import { numbers } from "./world.js";

test("text counts in characters, all else in bytes", () => {
  const data: Data[] = [
    "",
    "añ€",
    new ArrayBuffer(5),
    new Uint16Array(3),
    new DataView(new ArrayBuffer(9), 2),
    new Blob(["abc"]),
  ];
  assert.deepEqual(data.map(sizeOf), [0, 3, 5, 6, 7, 3]);
});

test("what is neither text nor bytes is refused", () => {
  for (const data of [{}, [1], 1, null, undefined]) {
    assert.throws(
      () => sizeOf(data as unknown as Data),
      /TypeError: channels: send\(\) takes text or bytes, not .*JSON/,
    );
  }
});

test("a buffer that is changed later has waited as it was", () => {
  const queue = new Queue(9, 99);
  const bytes = new Uint8Array([0, 1, 2, 3]);
  const blob = new Blob(["x"]);
  [bytes.buffer, bytes.subarray(1, 3), new Uint16Array(bytes.buffer, 2), blob].forEach((data) => queue.add(data));
  bytes.fill(9);
  assert.deepEqual(queue.take(), new Uint8Array([0, 1, 2, 3]).buffer);
  assert.deepEqual(queue.take(), new Uint8Array([1, 2]));
  assert.deepEqual(queue.take(), new Uint8Array([2, 3]));
  assert.equal(queue.take(), blob);
  assert.equal(queue.take(), undefined);
});

test("it is never over its limits, and gives what it took in order", () => {
  const random = numbers(3);
  for (let run = 0; run < 300; run++) {
    const [most, largest] = [Math.floor(random() * 6), Math.floor(random() * 40)];
    const queue = new Queue(most, largest);
    const model: string[] = [];
    for (let step = 0; step < 60; step++) {
      if (random() < 0.4) {
        assert.equal(queue.take(), model.shift());
        continue;
      }
      const text = String(step).repeat(Math.floor(random() * 9));
      const fits = model.length < most && model.join("").length + text.length <= largest;
      assert.equal(queue.add(text), fits);
      if (fits) model.push(text);
      assert.equal(queue.length, model.length);
    }
  }
});
