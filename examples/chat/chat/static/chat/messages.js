// The conversation: in the order of the messages' ids, with those still on their way at the end.

const MOST_SHOWN = 500;
const SLOW = 250; // milliseconds
const AT_END = 40; // pixels

const scroller = document.querySelector("#scroller");
const list = document.querySelector("#messages");
const empty = document.querySelector("#empty");
const template = document.querySelector("#message");
const clock = new Intl.DateTimeFormat([], { hour: "2-digit", minute: "2-digit" });

let lastId = 0;

/** Shows what was said before we came, without reading it all out. */
export function showHistory(show) {
  show();
  list.removeAttribute("aria-busy");
}

/** Shows a message of our own that the room has not seen yet. */
export function showPending(key, nick, text) {
  const item = build({ nick, text, created: new Date().toISOString() });
  item.dataset.key = key;
  item.classList.add("own", "pending");
  keepingPlace(() => list.append(item));
  scroller.scrollTop = scroller.scrollHeight;
}

/** Shows a saved message, once however often it comes. */
export function showSaved(message, own) {
  const known = find(message.key);
  if (known && !known.matches(".pending")) return;
  const item = build(message);
  item.dataset.key = message.key;
  item.classList.toggle("own", own);
  keepingPlace(() => {
    known?.remove();
    insert(item, message.id);
  });
}

/** Shows a text that is not part of the conversation. */
export function showAnnouncement(text) {
  const item = build({ nick: "", text, created: new Date().toISOString() });
  item.classList.add("announcement");
  keepingPlace(() => insert(item, lastId));
}

/** Puts a note beside a message; the kind is one of the style sheet's classes. */
export function note(key, words, kind = "pending") {
  const item = find(key);
  if (!item) return;
  item.classList.add(kind);
  item.querySelector(".badge").textContent = words;
}

/** Puts a round trip (milliseconds) beside a message, and returns it in words. */
export function noteRoundTrip(key, milliseconds) {
  const words = `${milliseconds.toFixed(milliseconds < 10 ? 1 : 0)} ms`;
  note(key, words, milliseconds < SLOW ? "quick" : "slow");
  return words;
}

/** Turns a pending message into a refused one, which keeps its place and says why. */
export function refuse(key, reason) {
  const item = find(key);
  note(key, reason, "refused");
  item.classList.remove("pending");
  item.dataset.id = lastId;
}

function find(key) {
  return list.querySelector(`[data-key="${key}"]`);
}

function build({ nick, text, created }) {
  const item = template.content.firstElementChild.cloneNode(true);
  const time = item.querySelector("time");
  item.dataset.nick = nick;
  item.style.setProperty("--hue", hueOf(nick));
  item.querySelector(".nick").textContent = nick;
  item.querySelector(".text").textContent = text;
  time.dateTime = created;
  time.textContent = clock.format(new Date(created));
  return item;
}

// Pending messages have no id yet, so the comparison fails and everything goes before them.
function insert(item, id) {
  item.dataset.id = id;
  lastId = Math.max(lastId, id);
  const next = [...list.children].find((other) => !(Number(other.dataset.id) <= id));
  list.insertBefore(item, next ?? null);
  while (list.children.length > MOST_SHOWN) list.firstElementChild.remove();
}

// Runs a change of the list: who was reading its end stays at the end, others stay where they are.
function keepingPlace(change) {
  const atEnd = scroller.scrollHeight - scroller.scrollTop - scroller.clientHeight < AT_END;
  change();
  empty.hidden = true;
  for (const item of list.children) {
    item.classList.toggle("follows", item.previousElementSibling?.dataset.nick === item.dataset.nick);
  }
  if (atEnd) scroller.scrollTop = scroller.scrollHeight;
}

function hueOf(nick) {
  return [...nick].reduce((hue, letter) => (hue * 31 + letter.codePointAt(0)) % 360, 7);
}
