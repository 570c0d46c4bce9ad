// What the declarations have to allow, and what they have to refuse, in a program that imports the module.

import {
  type Data,
  type Options,
  ReconnectingWebSocket,
  type SocketEvent,
  WebSocketBridge,
} from "../../src/channels/static/channels/js/client.js";

const options: Partial<Options> = {
  maxDelay: 10_000,
  shouldReconnect: ({ code }) => (code === 4000 ? true : undefined),
};
const socket = new ReconnectingWebSocket(() => new URL("wss://example.org/"), ["a"], options);
new ReconnectingWebSocket();

socket.addEventListener("open", ({ reconnected }) => reconnected satisfies boolean);
socket.addEventListener("reconnecting", ({ attempt, delay, code }) => (attempt + delay + code) satisfies number);
socket.addEventListener("message", (event) => event.json(), { once: true });
socket.addEventListener("drop", (event) => {
  event.preventDefault();
  event.data satisfies Data;
  event.reason satisfies "full" | "closed";
});
socket.onclose = (event: SocketEvent<"close">) => event.final satisfies boolean;
socket.send(new Uint8Array(1), { queue: false }) satisfies boolean;
socket.stream("tea").addEventListener("message", ({ data }) => data.pot);
if (socket.state === "waiting") socket.open();

const bridge = new WebSocketBridge();
bridge.connect("/live/");
bridge.listen((action, stream) => [action.any, stream satisfies string | null]);
bridge.stream("tea").send({ pot: 1 }) satisfies boolean;
bridge.socket?.close(4000, "done");

// @ts-expect-error there is no such event
socket.addEventListener("opened", () => undefined);
// @ts-expect-error an object has to be sent as JSON
socket.send({ pot: 1 });
// @ts-expect-error there is no such option
new ReconnectingWebSocket("/", [], { maxDelays: 1 });
// @ts-expect-error the state changes by itself
socket.state = "open";
// @ts-expect-error there is no such state
if (socket.state === "away") socket.open();
