// A room's page: what is typed goes to the server, what the room says comes back.

import { ReconnectingWebSocket } from "../channels/js/client.js";
import * as messages from "./messages.js";
import * as status from "./status.js";

const TYPING_EVERY = 2000; // milliseconds between two typing frames of ours
const TYPING_LASTS = 4000; // milliseconds after which somebody who was typing is not

const { nick, room } = document.querySelector("#chat").dataset;
const composer = document.querySelector("#composer");
const field = composer.elements.text;

const unsettled = new Map(); // key -> {text, sentAt} of our messages that the room has not answered
const typists = new Map(); // nick -> the timer that forgets it
let lastTyping = -TYPING_EVERY;

const url = `/rooms/${room}/socket/?${new URLSearchParams({ nick })}`;
const socket = new ReconnectingWebSocket(url, [], { maxDelay: 10_000 });

const handlers = {
  hello({ history }) {
    status.connected();
    messages.showHistory(() => history.forEach(settle));
    unsettled.forEach(send);
  },
  message({ message }) {
    forget(message.nick);
    const sentAt = unsettled.get(message.key)?.sentAt;
    settle(message);
    if (sentAt !== undefined) status.roundTrip(messages.noteRoundTrip(message.key, performance.now() - sentAt));
  },
  announcement({ text }) {
    messages.showAnnouncement(text);
  },
  typing({ nick: typist }) {
    if (typist === nick) return;
    clearTimeout(typists.get(typist));
    typists.set(typist, setTimeout(forget, TYPING_LASTS, typist));
    showTypists();
  },
  error({ reasons, key }) {
    if (unsettled.delete(key)) messages.refuse(key, reasons.join(" "));
    else messages.showAnnouncement(reasons.join(" "));
  },
};

socket.addEventListener("message", (event) => {
  const frame = event.json();
  status.codeVersion(frame.code);
  handlers[frame.type]?.(frame);
});

socket.addEventListener("reconnecting", ({ delay }) => {
  status.away(delay);
  status.waiting(unsettled.size);
  unsettled.forEach((said, key) => messages.note(key, "waiting"));
  [...typists.keys()].forEach(forget);
});

composer.addEventListener("submit", (event) => {
  event.preventDefault();
  const text = field.value.trim();
  field.value = "";
  if (!text) return;
  const key = newKey();
  const said = { text };
  unsettled.set(key, said);
  messages.showPending(key, nick, text);
  send(said, key);
  lastTyping = -TYPING_EVERY;
});

field.addEventListener("input", () => {
  if (performance.now() - lastTyping < TYPING_EVERY) return;
  if (sendNow({ type: "typing" })) lastTyping = performance.now();
});

document.querySelector("#retry").addEventListener("click", () => socket.open());

for (const button of document.querySelectorAll("[data-copies]")) {
  button.addEventListener("click", () => copy(button, document.getElementById(button.dataset.copies)));
}

// Sends a message of ours now, or leaves it to the next greeting. One that had already reached the server goes there
// a second time; its key lets the server save it once.
function send(said, key) {
  said.sentAt = performance.now();
  const sent = sendNow({ type: "message", key, text: said.text });
  messages.note(key, sent ? "sending" : "waiting");
  status.waiting(unsettled.size);
}

// Nothing is left to the socket's own queue: the greeting sends all that the room has not answered.
function sendNow(frame) {
  return socket.sendJSON(frame, { queue: false });
}

function settle(message) {
  unsettled.delete(message.key);
  messages.showSaved(message, message.nick === nick);
}

function forget(typist) {
  clearTimeout(typists.get(typist));
  if (typists.delete(typist)) showTypists();
}

function showTypists() {
  const names = new Intl.ListFormat("en").format(typists.keys());
  const verb = typists.size > 1 ? "are" : "is";
  document.querySelector("#typing").textContent = typists.size ? `${names} ${verb} typing…` : "";
}

// 128 random bits in hex: crypto.randomUUID() is missing on pages served by plain http from another host.
function newKey() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

// Copies a line, or selects it for Ctrl-C where the browser keeps the clipboard to itself.
async function copy(button, line) {
  try {
    await navigator.clipboard.writeText(line.textContent);
    button.textContent = "Copied";
  } catch {
    getSelection().selectAllChildren(line);
    button.textContent = "Selected";
  }
  setTimeout(() => (button.textContent = "Copy"), 2000);
}

field.focus({ preventScroll: true });
