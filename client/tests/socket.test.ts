import assert from "node:assert/strict";
import { getEventListeners } from "node:events";
import { test } from "node:test";

import type { SocketEvents } from "../src/events.js";
import type { Options } from "../src/options.js";
import type { Data } from "../src/queue.js";
import { ReconnectingWebSocket } from "../src/socket.js";
import { chance, clock, FakeSocket, goOnline, page, show, useWorld, warnings } from "./world.js";

useWorld();

const TYPES = ["open", "message", "close", "error", "reconnecting", "state", "drop"] as const;

type Told = { [Type in keyof SocketEvents]: [Type, SocketEvents[Type]] }[keyof SocketEvents];

/** Makes a socket, and collects its events from then on. */
function make(options: Partial<Options> = {}, address: string | (() => string) = "/chat/") {
  const socket = new ReconnectingWebSocket(address, [], options);
  const told: Told[] = [];
  for (const type of TYPES) socket.addEventListener(type, (event) => told.push([type, event] as unknown as Told));
  return { socket, told };
}

/** The events of one type. */
function of<Type extends keyof SocketEvents>(told: Told[], type: Type): SocketEvents[Type][] {
  return told.filter(([each]) => each === type).map(([, fields]) => fields as SocketEvents[Type]);
}

/** Makes a socket that is open. */
function opened(options: Partial<Options> = {}) {
  const made = make(options);
  FakeSocket.last.accept();
  made.told.length = 0;
  return made;
}

// -- as a browser's WebSocket --------------------------------------------------------------------------------------

test("it connects when it is made, and has what a WebSocket has", () => {
  const socket = new ReconnectingWebSocket("/chat/", ["a", "b"], { binaryType: "blob" });
  assert.deepEqual([socket.state, socket.readyState, socket.protocol], ["connecting", 0, ""]);
  assert.equal(socket.url, "wss://example.org:8443/chat/");
  assert.deepEqual([FakeSocket.last.protocols, FakeSocket.last.binaryType], [["a", "b"], "blob"]);
  FakeSocket.last.protocol = "b";
  FakeSocket.last.accept();
  FakeSocket.last.bufferedAmount = 7;
  assert.deepEqual([socket.state, socket.readyState, socket.protocol, socket.bufferedAmount], ["open", 1, "b", 7]);
  FakeSocket.last.end();
  assert.deepEqual([socket.state, socket.readyState, socket.protocol, socket.bufferedAmount], ["waiting", 0, "", 0]);
  assert.equal(socket.url, "wss://example.org:8443/chat/");
});

test("events come to listeners, and to the handlers that a WebSocket has", () => {
  const { socket, told } = make();
  const handled: string[] = [];
  socket.onopen = (event) => handled.push(`${event.type} ${event.reconnected}`);
  socket.onmessage = ({ data }) => handled.push(data);
  socket.onclose = ({ code, reason, wasClean, final }) => handled.push(`${code} ${reason} ${wasClean} ${final}`);
  socket.onerror = (event) => handled.push(event.type);
  FakeSocket.last.accept();
  FakeSocket.last.deliver("hello");
  FakeSocket.last.end(1001, "going");
  clock.pass(500);
  FakeSocket.last.end();
  assert.deepEqual(handled, ["open false", "hello", "1001 going true false", "error", "1006  false false"]);
  const before = ["open", "state", "message", "close", "reconnecting", "state", "state"];
  assert.deepEqual(
    told.map(([type]) => type),
    [...before, "error", "close", "reconnecting", "state"],
  );
});

test("a message is text or bytes, and JSON for who asks", () => {
  const { told } = opened();
  const bytes = new ArrayBuffer(2);
  for (const data of ['{"a": [1]}', bytes, "no JSON"]) FakeSocket.last.deliver(data);
  const messages = of(told, "message");
  assert.deepEqual(
    messages.map(({ data }) => data),
    ['{"a": [1]}', bytes, "no JSON"],
  );
  assert.deepEqual(messages[0]!.json(), { a: [1] });
  assert.throws(() => messages[2]!.json(), SyntaxError);
});

test("an address that is none, or options that are none, are errors where the socket is made", () => {
  assert.throws(() => new ReconnectingWebSocket("ftp://example.org/"), SyntaxError);
  assert.throws(() => new ReconnectingWebSocket("/", [], { maxDelay: -1 }), RangeError);
  assert.deepEqual([FakeSocket.all, clock.pending], [[], 0]);
});

// -- coming back ---------------------------------------------------------------------------------------------------

test("attempts follow one another at waits that grow, and tell how long they are", () => {
  const { told } = make();
  for (let attempt = 1; attempt <= 7; attempt++) {
    FakeSocket.last.end();
    const { attempt: told_, delay, code } = of(told, "reconnecting").at(-1)!;
    assert.deepEqual([told_, delay, code], [attempt, Math.min(30_000, 1000 * 2 ** (attempt - 1)) / 2, 1006]);
    clock.pass(delay - 1);
    assert.equal(FakeSocket.all.length, attempt);
    clock.pass(1);
    assert.equal(FakeSocket.all.length, attempt + 1);
  }
});

test("a stable connection starts the waits from the beginning, a short one does not", () => {
  const { told } = make({ stableAfter: 5000 });
  const delays = [4999, 4999, 5000].map((lasts) => {
    FakeSocket.last.accept();
    clock.pass(lasts);
    FakeSocket.last.end();
    const { delay } = of(told, "reconnecting").at(-1)!;
    clock.pass(delay);
    return delay;
  });
  assert.deepEqual(delays, [500, 1000, 500]);
});

test("1012 starts the waits from the beginning, 1013 makes them longer", () => {
  const { told } = make();
  for (const code of [1006, 1006, 1012, 1006, 1013]) {
    FakeSocket.last.end(code);
    if (code !== 1013) clock.pass(of(told, "reconnecting").at(-1)!.delay);
  }
  assert.deepEqual(
    of(told, "reconnecting").map(({ delay }) => delay),
    [500, 1000, 500, 1000, 5000 + 20_000 / 2],
  );
  assert.deepEqual(
    of(told, "reconnecting").map(({ attempt }) => attempt),
    [1, 2, 1, 2, 3],
  );
});

for (const code of [1000, 3000, 4001, 4401, 4999]) {
  test(`${code} is the last word`, () => {
    const { socket, told } = opened();
    FakeSocket.last.end(code, "go away");
    assert.deepEqual([socket.state, socket.readyState, clock.pending], ["closed", 3, 0]);
    assert.deepEqual(
      of(told, "close").map((close) => [close.code, close.reason, close.final]),
      [[code, "go away", true]],
    );
    goOnline();
    show("visible");
    clock.pass(1e6);
    assert.equal(FakeSocket.all.length, 1);
  });
}

for (const code of [1001, 1002, 1003, 1005, 1006, 1007, 1008, 1009, 1011, 1012, 1013, 1014]) {
  test(`${code} is followed by an attempt`, () => {
    const { socket, told } = opened();
    FakeSocket.last.end(code);
    assert.equal(socket.state, "waiting");
    assert.deepEqual(
      of(told, "close").map(({ final }) => final),
      [false],
    );
    clock.pass(7500);
    assert.equal(FakeSocket.all.length, 2);
  });
}

test("the page may decide otherwise, or leave it to the code", () => {
  const asked: object[] = [];
  const shouldReconnect: Options["shouldReconnect"] = (loss) => {
    asked.push(loss);
    return { 4000: true, 1006: false }[loss.code];
  };
  const results = [4000, 4001, 1012, 1006].map((code) => {
    const { socket } = opened({ shouldReconnect });
    FakeSocket.last.end(code, "why");
    return socket.state;
  });
  assert.deepEqual(results, ["waiting", "closed", "waiting", "closed"]);
  assert.deepEqual(asked[0], { code: 4000, reason: "why" });
});

test("a handshake that is refused looks like a network that has gone, and backs off", () => {
  const { told } = make({ maxRetries: 3 });
  for (let attempt = 0; attempt < 4; attempt++) {
    FakeSocket.last.end();
    clock.pass(30_000);
  }
  assert.deepEqual(
    of(told, "reconnecting").map(({ delay }) => delay),
    [500, 1000, 2000],
  );
  assert.deepEqual(
    of(told, "close").map(({ final }) => final),
    [false, false, false, true],
  );
  assert.deepEqual([FakeSocket.all.length, clock.pending], [4, 0]);
});

test("without retries the first loss is the last", () => {
  const { socket } = opened({ maxRetries: 0 });
  FakeSocket.last.end(1012);
  assert.equal(socket.state, "closed");
});

test("an attempt without an answer is given up; what becomes of it later does not matter", () => {
  const { socket, told } = make({ connectTimeout: 100 });
  const first = FakeSocket.last;
  clock.pass(100);
  assert.ok(first.closing);
  const [{ code, reason }] = of(told, "close") as [SocketEvents["close"]];
  assert.deepEqual([code, reason, socket.state], [1006, "no answer in 100 ms", "waiting"]);
  clock.pass(500);
  FakeSocket.last.accept();
  const before = told.length;
  first.accept();
  first.deliver("late");
  first.end();
  assert.deepEqual([told.length, socket.state, clock.pending], [before, "open", 0]);
});

test("an attempt may take for ever", () => {
  make({ connectTimeout: Infinity });
  clock.pass(2 ** 31 - 2);
  assert.equal(FakeSocket.alive.length, 1);
});

test("a function gives the address of each attempt", () => {
  let since = 0;
  const { socket } = make({}, () => `/chat/?since=${since++}`);
  FakeSocket.last.end();
  clock.pass(500);
  assert.deepEqual(
    FakeSocket.all.map(({ url }) => url.slice(-1)),
    ["0", "1"],
  );
  assert.match(socket.url, /since=1$/);
});

test("an error in a function of the page ends the socket and comes to light", () => {
  let calls = 0;
  const address = () => (calls++ ? "ftp://example.org/" : "/");
  const { socket, told } = make({}, address);
  FakeSocket.last.end();
  assert.throws(() => clock.pass(500), SyntaxError);
  assert.deepEqual([socket.state, clock.pending], ["closed", 0]);
  assert.match(of(told, "close").at(-1)!.reason, /^SyntaxError: The URL's scheme/);

  const other = opened({
    shouldReconnect: () => {
      throw new Error("no idea");
    },
  });
  assert.throws(() => FakeSocket.last.end(1006), /no idea/);
  assert.equal(other.socket.state, "closed");
});

// -- the queue -----------------------------------------------------------------------------------------------------

test("what is sent while away goes out with the next connection, behind what its listeners send", () => {
  const { socket } = make();
  socket.addEventListener("open", () => socket.send("hello"));
  const bytes = new Uint8Array([1, 2]);
  assert.deepEqual([socket.send("one"), socket.sendJSON({ two: 2 }), socket.queued], [true, true, 2]);
  FakeSocket.last.end();
  assert.equal(socket.send(bytes), true);
  clock.pass(500);
  FakeSocket.last.accept();
  assert.deepEqual(FakeSocket.last.sent, ["hello", "one", '{"two":2}', bytes]);
  assert.deepEqual([socket.send("now"), FakeSocket.last.sent.at(-1), socket.queued], [true, "now", 0]);
});

test("what is sent between the other side's close and its event waits as well", () => {
  const { socket } = opened();
  FakeSocket.last.readyState = 2;
  assert.deepEqual([socket.send("a"), socket.send("b", { queue: false }), socket.state], [true, false, "open"]);
  FakeSocket.last.end(1012);
  socket.open();
  FakeSocket.last.accept();
  assert.deepEqual(FakeSocket.last.sent, ["a"]);
});

test("a full queue refuses what is new, and says so three times", () => {
  const { socket, told } = make({ maxQueue: 2, maxQueueSize: 10 });
  assert.deepEqual(
    [socket.send("a"), socket.send("b".repeat(10)), socket.send("c"), socket.send("d")],
    [true, false, true, false],
  );
  const drops = of(told, "drop").map(({ data, reason }) => [data, reason]);
  assert.deepEqual(drops, [
    ["b".repeat(10), "full"],
    ["d", "full"],
  ]);
  assert.deepEqual(
    new Set(warnings),
    new Set(["channels: a message was dropped: too many wait for a connection (maxQueue, maxQueueSize)"]),
  );
  FakeSocket.last.accept();
  assert.deepEqual(FakeSocket.last.sent, ["a", "c"]);
});

test("who handles a drop can do without the warning", () => {
  const { socket } = make({ maxQueue: 0 });
  socket.addEventListener("drop", (event) => event.preventDefault());
  assert.equal(socket.send("a"), false);
  assert.deepEqual(warnings, []);
});

test("now or not at all", () => {
  const { socket, told } = make();
  assert.equal(socket.send("a", { queue: false }), false);
  assert.equal(socket.sendJSON("a", { queue: false }), false);
  FakeSocket.last.accept();
  assert.equal(socket.sendJSON("b", { queue: false }), true);
  assert.deepEqual(FakeSocket.last.sent, ['"b"']);
  assert.deepEqual(of(told, "drop"), []);
});

test("what waits when the socket is closed for good is dropped, and so is what comes after", () => {
  const { socket, told } = make({ maxRetries: 0 });
  socket.send("a");
  socket.send("b");
  FakeSocket.last.end();
  assert.equal(socket.send("c"), false);
  assert.equal(socket.send("d", { queue: false }), false);
  assert.deepEqual(
    of(told, "drop").map(({ data, reason }) => [data, reason]),
    ["a", "b", "c"].map((data) => [data, "closed"]),
  );
  assert.equal(socket.queued, 0);
});

test("what cannot be sent is an error in every state", () => {
  const { socket } = make();
  for (const step of [() => FakeSocket.last.accept(), () => socket.close(), () => FakeSocket.last.end(1000)]) {
    assert.throws(() => socket.send({} as unknown as Data), TypeError);
    assert.throws(() => socket.sendJSON(undefined, { queue: false }), TypeError);
    step();
  }
});

test("a loss tells how many bytes never left", () => {
  const { told } = opened();
  FakeSocket.last.bufferedAmount = 42;
  FakeSocket.last.end();
  assert.deepEqual(
    of(told, "close").map(({ unsent }) => unsent),
    [42],
  );
});

// -- the page ------------------------------------------------------------------------------------------------------

for (const [name, wake] of [
  ["the network returns", goOnline],
  ["somebody looks", () => show("visible")],
] as const) {
  test(`a long wait is shortened when ${name}`, () => {
    const { told } = make();
    for (let failures = 0; failures < 6; failures++) {
      FakeSocket.last.end();
      if (failures < 5) clock.pass(of(told, "reconnecting").at(-1)!.delay);
    }
    wake();
    const waits = of(told, "reconnecting")
      .slice(-2)
      .map(({ attempt, delay, code }) => [attempt, delay, code]);
    assert.deepEqual(waits, [
      [6, 15_000, 1006],
      [6, 500, 1006],
    ]);
    clock.pass(499);
    assert.equal(FakeSocket.all.length, 6);
    clock.pass(1);
    assert.equal(FakeSocket.all.length, 7);
    FakeSocket.last.end();
    assert.equal(of(told, "reconnecting").at(-1)!.delay, 15_000);
  });
}

test("nothing is shortened that is short, open, hidden, or that the server asked for", () => {
  const { socket, told } = make();
  const waits = () => of(told, "reconnecting").length;
  goOnline();
  FakeSocket.last.accept();
  goOnline();
  FakeSocket.last.end();
  clock.pass(1);
  assert.equal(waits(), 1);
  goOnline();
  assert.equal(waits(), 1);
  clock.pass(499);
  FakeSocket.last.end(1013);
  goOnline();
  show("visible");
  assert.equal(waits(), 2);
  clock.pass(20_000);
  FakeSocket.last.end();
  show("hidden");
  assert.equal(waits(), 3);
  socket.close();
  goOnline();
  assert.deepEqual([waits(), clock.pending], [3, 0]);
});

// -- open and close ------------------------------------------------------------------------------------------------

test("a close is answered by the other side, and final", () => {
  const { socket, told } = opened();
  socket.close(4000, "done");
  socket.close();
  assert.deepEqual([socket.state, socket.readyState], ["closing", 2]);
  assert.deepEqual(FakeSocket.last.closing, { code: 4000, reason: "done" });
  FakeSocket.last.deliver("last words");
  FakeSocket.last.end(1012);
  assert.deepEqual(
    told.map(([type]) => type),
    ["state", "message", "close", "state"],
  );
  assert.deepEqual(
    of(told, "state").map(({ state, previous }) => [previous, state]),
    [
      ["open", "closing"],
      ["closing", "closed"],
    ],
  );
  assert.equal(of(told, "close")[0]!.final, true);
  socket.close();
  assert.equal(clock.pending, 0);
});

test("a code that a page may not use changes nothing", () => {
  const { socket } = opened();
  assert.throws(() => socket.close(1012), RangeError);
  assert.equal(socket.state, "open");
});

test("an attempt that is closed before it was answered ends with it", () => {
  const { socket, told } = make();
  socket.close();
  FakeSocket.last.end(1006);
  assert.deepEqual([socket.state, clock.pending, of(told, "close")[0]!.final], ["closed", 0, true]);
});

test("an attempt that is closed and never answered ends with its time", () => {
  const { socket } = make();
  socket.close();
  clock.pass(25_000);
  assert.deepEqual([socket.state, clock.pending], ["closed", 0]);
});

test("a wait that is closed ends at once", () => {
  const { socket, told } = opened();
  FakeSocket.last.end();
  socket.close(4000, "enough");
  assert.deepEqual([socket.state, clock.pending], ["closed", 0]);
  const last = of(told, "close").at(-1)!;
  assert.deepEqual([last.code, last.reason, last.wasClean, last.final], [4000, "enough", true, true]);
});

test("opening ends a wait, begins again after the end, and is nothing else", () => {
  const { socket, told } = opened();
  socket.open();
  FakeSocket.last.end();
  socket.open();
  socket.open();
  assert.equal(FakeSocket.all.length, 2);
  FakeSocket.last.end(4401);
  clock.pass(1e6);
  told.length = 0;
  socket.open();
  assert.equal(FakeSocket.all.length, 3);
  FakeSocket.last.accept();
  const told_ = of(told, "state").map(({ state, previous }) => [previous, state]);
  assert.deepEqual(told_, [
    ["closed", "connecting"],
    ["connecting", "open"],
  ]);
  assert.deepEqual(
    of(told, "open").map(({ reconnected }) => reconnected),
    [true],
  );
  FakeSocket.last.end();
  assert.equal(of(told, "reconnecting").at(-1)!.attempt, 1);
  for (let failures = 0; failures < 4; failures++) {
    clock.pass(of(told, "reconnecting").at(-1)!.delay);
    FakeSocket.last.end();
  }
  goOnline();
  assert.equal(of(told, "reconnecting").at(-1)!.delay, 500);
});

test("a listener may close or open the socket itself", () => {
  const closing = opened();
  closing.socket.addEventListener("close", () => closing.socket.close(), { once: true });
  FakeSocket.last.end();
  assert.deepEqual([closing.socket.state, clock.pending], ["closed", 0]);
  assert.deepEqual(
    of(closing.told, "close").map(({ final }) => final),
    [false, true],
  );
  assert.deepEqual(of(closing.told, "reconnecting"), []);
  assert.deepEqual(
    of(closing.told, "state").map(({ state }) => state),
    ["closed"],
  );

  const eager = opened();
  eager.socket.addEventListener("close", () => eager.socket.open());
  FakeSocket.last.readyState = 2;
  eager.socket.send("waits");
  FakeSocket.last.end(4401);
  assert.deepEqual([eager.socket.state, FakeSocket.all.length], ["connecting", 3]);
  FakeSocket.last.accept();
  assert.deepEqual(FakeSocket.last.sent, ["waits"]);

  const hasty = make();
  hasty.socket.addEventListener("close", goOnline);
  FakeSocket.last.end(1006);
  clock.pass(500);
  hasty.told.length = 0;
  FakeSocket.last.end(1006);
  assert.deepEqual(
    of(hasty.told, "reconnecting").map(({ delay }) => delay),
    [500],
  );

  const shy = make();
  shy.socket.send("never");
  shy.socket.addEventListener("open", () => shy.socket.close());
  FakeSocket.last.accept();
  assert.deepEqual([FakeSocket.last.sent, shy.socket.state, shy.socket.queued], [[], "closing", 1]);
  FakeSocket.last.end(1000);
  assert.deepEqual(
    of(shy.told, "drop").map(({ data }) => data),
    ["never"],
  );
});

test("a socket that is closed for good holds on to nothing of the page", () => {
  const { socket } = make();
  assert.equal(getEventListeners(page, "visibilitychange").length, 1);
  socket.close();
  FakeSocket.last.end(1000);
  assert.equal(getEventListeners(page, "visibilitychange").length, 0);
});

test("chance decides each wait anew", () => {
  const drawn = [0.25, 0.75];
  chance.draw = () => drawn.shift()!;
  const { told } = make();
  FakeSocket.last.end();
  clock.pass(250);
  FakeSocket.last.end();
  assert.deepEqual(
    of(told, "reconnecting").map(({ delay }) => delay),
    [250, 1500],
  );
});
