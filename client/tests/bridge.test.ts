import assert from "node:assert/strict";
import { test } from "node:test";

import { WebSocketBridge } from "../src/bridge.js";
import { clock, FakeSocket, useWorld } from "./world.js";

useWorld();

/** Makes a bridge that is connected and listens; collects what its handlers are called with. */
function listening() {
  const bridge = new WebSocketBridge();
  const heard: unknown[][] = [];
  bridge.connect("/live/");
  bridge.listen((...given) => heard.push(given));
  bridge.demultiplex("intval", (...given) => heard.push(["intval", ...given]));
  FakeSocket.last.accept();
  return { bridge, heard };
}

test("it connects to the page's host, to a path there, or anywhere", () => {
  const bridge = new WebSocketBridge({ maxQueue: 1 });
  bridge.connect();
  bridge.connect("/live/", ["a"], { maxQueue: 2 });
  bridge.connect("ws://other.example/");
  const host = "wss://example.org:8443";
  assert.deepEqual(
    FakeSocket.all.map(({ url }) => url),
    [`${host}/`, `${host}/live/`, "ws://other.example/"],
  );
  assert.deepEqual(
    FakeSocket.all.map(({ protocols }) => protocols),
    [[], ["a"], []],
  );
  assert.equal(FakeSocket.alive.length, 1);
  assert.deepEqual([bridge.options, bridge.send(1), bridge.send(2)], [{ maxQueue: 1 }, true, false]);
});

test("messages of a stream come to its handler alone, others to the one of listen()", () => {
  const { heard } = listening();
  const frames = [
    { stream: "intval", payload: { value: 1 } },
    { stream: "unknown", payload: 2 },
    { hello: 3 },
    [4],
    null,
  ];
  frames.forEach((frame) => FakeSocket.last.deliver(JSON.stringify(frame)));
  FakeSocket.last.deliver(new ArrayBuffer(3));
  assert.deepEqual(heard, [
    ["intval", { value: 1 }, "intval"],
    [{ hello: 3 }, null],
    [[4], null],
    [null, null],
  ]);
});

test("listen() needs no handler of its own, and may come before connect()", () => {
  const bridge = new WebSocketBridge();
  const heard: unknown[] = [];
  bridge.listen();
  bridge.demultiplex("intval", (payload) => heard.push(payload));
  bridge.connect();
  FakeSocket.last.deliver('{"stream": "intval", "payload": 1}');
  FakeSocket.last.deliver('{"hello": 2}');
  assert.deepEqual(heard, [1]);
});

test("nothing is handled before listen()", () => {
  const bridge = new WebSocketBridge();
  bridge.demultiplex("intval", () => assert.fail());
  bridge.connect();
  FakeSocket.last.deliver('{"stream": "intval", "payload": 1}');
});

test("it sends JSON, alone or on a stream", () => {
  const { bridge } = listening();
  assert.deepEqual([bridge.send({ prop: 1 }), bridge.stream("intval").send({ value: 2 })], [true, true]);
  assert.deepEqual(FakeSocket.last.sent, ['{"prop":1}', '{"stream":"intval","payload":{"value":2}}']);
});

test("its socket comes back, with the same handlers", () => {
  const { bridge, heard } = listening();
  const opened: boolean[] = [];
  bridge.socket!.addEventListener("open", ({ reconnected }) => opened.push(reconnected));
  FakeSocket.last.end(1012);
  bridge.send("waits");
  clock.pass(500);
  FakeSocket.last.accept();
  FakeSocket.last.deliver('"hello"');
  assert.deepEqual([opened, FakeSocket.last.sent, heard], [[true], ['"waits"'], [["hello", null]]]);
});

test("without a connection it says what to call", () => {
  const bridge = new WebSocketBridge();
  assert.throws(() => bridge.send({}), /this WebSocketBridge has no connection yet; call connect\(\) first/);
  assert.throws(() => bridge.stream("x").send({}), /connect\(\) first/);
});
