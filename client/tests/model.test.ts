// Any order of what pages, networks and servers do, against the laws that a socket keeps.

import assert from "node:assert/strict";
import { test } from "node:test";

import { isFinal } from "../src/codes.js";
import type { State } from "../src/events.js";
import { ReconnectingWebSocket } from "../src/socket.js";
import { chance, clock, FakeSocket, goOnline, numbers, show, useWorld } from "./world.js";

useWorld();

const RUNS = 400;
const STEPS = 120;
const CODES = [1000, 1001, 1006, 1006, 1006, 1011, 1012, 1012, 1013, 3000, 4001];
const ACCEPTED = new Map<State, State[]>([
  ["connecting", ["open", "waiting", "closing", "closed"]],
  ["open", ["waiting", "closing", "closed"]],
  ["waiting", ["connecting", "closed"]],
  ["closing", ["closed"]],
  ["closed", ["connecting"]],
]);

/** What one run has seen. */
class Ledger {
  taken: string[] = [];
  refused: string[] = [];
  dropped: string[] = [];
  states: [State, State][] = [];
  finals = 0;
}

function watch(socket: ReconnectingWebSocket): Ledger {
  const ledger = new Ledger();
  socket.addEventListener("drop", (event) => {
    ledger.dropped.push(event.data as string);
    event.preventDefault();
  });
  socket.addEventListener("state", ({ previous, state }) => ledger.states.push([previous, state]));
  socket.addEventListener("close", ({ final, code }) => {
    if (final) ledger.finals++;
    else assert.ok(!isFinal(code), `${code} is final`);
  });
  return ledger;
}

/** Something that may happen at any time. */
function step(random: () => number, socket: ReconnectingWebSocket, ledger: Ledger, number: number): void {
  const current = FakeSocket.all.filter(({ over }) => !over).at(-1);
  const kind = Math.floor(random() * 10);
  if (kind <= 2) send(socket, ledger, String(number));
  else if (kind === 3) current?.end(CODES[Math.floor(random() * CODES.length)]);
  else if (kind === 4 || kind === 5) clock.pass(random() * 20_000);
  else if (kind === 6 && socket.state === "connecting") current?.accept();
  else if (kind === 7 && socket.state === "open")
    FakeSocket.last.readyState = 2; // the other side has begun to close
  else if (kind === 7) goOnline();
  else if (kind === 8) show(random() < 0.5 ? "visible" : "hidden");
  else if (kind === 9 && random() < 0.3) socket.close();
  else if (kind === 9) socket.open();
}

function send(socket: ReconnectingWebSocket, ledger: Ledger, text: string): void {
  (socket.send(text) ? ledger.taken : ledger.refused).push(text);
}

/** What has to hold after each step. */
function assertLaws(socket: ReconnectingWebSocket, ledger: Ledger): void {
  assert.ok(FakeSocket.alive.length <= 1, "never two connections");
  assert.ok(clock.pending <= 1, "never two timers");
  assert.equal(FakeSocket.alive.length === 1, socket.state === "open" || socket.state === "connecting");
  const isAtRest = socket.state === "open" || socket.state === "closed";
  assert.ok(
    isAtRest ? clock.pending === 0 : clock.pending === 1 || socket.state === "closing",
    "a timer where one is due",
  );
  assert.ok(socket.queued <= 5);
  const sent = FakeSocket.all.flatMap((each) => each.sent as string[]);
  const waiting =
    ledger.taken.length - sent.length - ledger.dropped.filter((text) => !ledger.refused.includes(text)).length;
  assert.equal(socket.queued, waiting, "what was taken was sent, waits, or was dropped with an event");
  assert.deepEqual(
    sent,
    [...sent].sort((one, other) => Number(one) - Number(other)),
    "in the order it was taken",
  );
  assert.ok(
    ledger.refused.every((text) => ledger.dropped.includes(text)),
    "what was refused has its event",
  );
}

test("a socket keeps its laws whatever happens", () => {
  for (let seed = 0; seed < RUNS; seed++) {
    const random = numbers(seed);
    FakeSocket.all = [];
    clock.pass(1e7); // nothing of the last run may come to life in this one
    chance.draw = random;
    const socket = new ReconnectingWebSocket("/", [], { maxQueue: 5 });
    const ledger = watch(socket);
    for (let number = 0; number < STEPS; number++) {
      step(random, socket, ledger, number);
      assertLaws(socket, ledger);
    }
    let last: State = "connecting";
    for (const [previous, state] of ledger.states) {
      assert.equal(previous, last);
      assert.ok(ACCEPTED.get(previous)!.includes(state), `${previous} became ${state}`);
      last = state;
    }
    assert.equal(last, socket.state);
    socket.close();
    FakeSocket.alive.forEach((each) => each.end(1000));
    FakeSocket.all.filter(({ over }) => !over).forEach((each) => each.end(1006));
    assert.equal(socket.state, "closed");
    assert.equal(ledger.finals, ledger.states.filter(([, state]) => state === "closed").length);
  }
});
