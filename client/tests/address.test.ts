import assert from "node:assert/strict";
import { test } from "node:test";

import { resolve } from "../src/address.js";
import { useWorld } from "./world.js";

useWorld();

test("an address is relative to the page", () => {
  assert.equal(resolve(undefined), "wss://example.org:8443/");
  assert.equal(resolve("/chat/?a=b"), "wss://example.org:8443/chat/?a=b");
  assert.equal(resolve("socket/"), "wss://example.org:8443/rooms/tea/socket/");
  assert.equal(resolve("//other.example/x"), "wss://other.example/x");
});

test("a full address is taken as it is, without what a WebSocket may not have", () => {
  assert.equal(resolve("ws://other.example/x"), "ws://other.example/x");
  assert.equal(resolve("https://other.example/x#y"), "wss://other.example/x");
  assert.equal(resolve(new URL("http://other.example/x")), "ws://other.example/x");
});

test("a page by http has sockets without TLS", () => {
  globalThis.location = new URL("http://localhost:8000/page") as unknown as Location;
  assert.equal(resolve("/chat/"), "ws://localhost:8000/chat/");
});

test("without a page an address has to be full", () => {
  globalThis.location = undefined as unknown as Location;
  assert.equal(resolve("wss://example.org/"), "wss://example.org/");
  assert.throws(() => resolve("/chat/"), TypeError);
});
