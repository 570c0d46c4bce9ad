import assert from "node:assert/strict";
import { test } from "node:test";

import { ReconnectingWebSocket } from "../src/socket.js";
import { FakeSocket, useWorld } from "./world.js";

useWorld();

/** Makes a socket that is open and has two streams; collects what comes on each, and on the socket. */
function streams() {
  const socket = new ReconnectingWebSocket("/");
  const heard: [string, unknown][] = [];
  for (const name of ["tea", "coffee"])
    socket.stream(name).addEventListener("message", ({ data }) => heard.push([name, data]));
  const raw: unknown[] = [];
  socket.addEventListener("message", ({ data }) => raw.push(data));
  FakeSocket.last.accept();
  return { socket, heard, raw };
}

test("each stream hears its own payloads, the socket hears everything", () => {
  const { heard, raw } = streams();
  const frames = [
    { stream: "tea", payload: { pot: 1 } },
    { stream: "coffee", payload: null },
    { stream: "milk", payload: 3 },
    { payload: 4 },
    null,
    7,
  ].map((frame) => JSON.stringify(frame));
  const all = [...frames, "no JSON", new ArrayBuffer(1)];
  all.forEach((data) => FakeSocket.last.deliver(data));
  assert.deepEqual(heard, [
    ["tea", { pot: 1 }],
    ["coffee", null],
  ]);
  assert.deepEqual(raw, all);
});

test("a stream sends its name with each payload, or leaves it in the queue of the socket", () => {
  const { socket } = streams();
  assert.equal(socket.stream("tea").send({ pot: 2 }), true);
  assert.deepEqual(FakeSocket.last.sent, ['{"stream":"tea","payload":{"pot":2}}']);
  FakeSocket.last.end();
  assert.deepEqual([socket.stream("tea").send(1, { queue: false }), socket.stream("tea").send(2)], [false, true]);
  assert.equal(socket.queued, 1);
});

test("a stream is the same object each time, and goes on after a reconnection", () => {
  const { socket, heard } = streams();
  assert.equal(socket.stream("tea"), socket.stream("tea"));
  assert.equal(socket.stream("tea").name, "tea");
  FakeSocket.last.end();
  socket.open();
  FakeSocket.last.accept();
  FakeSocket.last.deliver('{"stream": "tea", "payload": "again"}');
  assert.deepEqual(heard, [["tea", "again"]]);
});
