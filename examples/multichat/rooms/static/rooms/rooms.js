// The page: doors on the left, the rooms that are open beside them, one socket for all.

import { connect } from "./socket.js";

const state = document.querySelector("#state");
const error = document.querySelector("#error");
const house = document.querySelector("#rooms");
const doors = new Map([...document.querySelectorAll(".door")].map((door) => [Number(door.dataset.room), door]));
const rooms = new Map();
const clock = new Intl.DateTimeFormat([], { hour: "2-digit", minute: "2-digit" });

const send = connect("/socket/", {
  open() {
    setState("connected", "Connected");
    // The server has forgotten which rooms this socket's predecessor was in; the page has not.
    for (const number of rooms.keys()) command("join", number);
  },
  frame(content) {
    error.textContent = content.error ?? "";
    if (content.joined === true) enter(content.room, content.said);
    else if (content.joined === false) leave(content.room);
    else content.said?.forEach((saying) => show(content.room, saying));
    if (content.note) append(content.room, note(content.note));
  },
  away() {
    setState("away", "Away, trying again");
  },
});

for (const [number, door] of doors) {
  door.addEventListener("click", () => command(rooms.has(number) ? "leave" : "join", number));
}

function command(name, room, more = {}) {
  send({ command: name, room, ...more });
}

function setState(name, words) {
  state.dataset.state = name;
  state.textContent = words;
  for (const door of doors.values()) door.disabled = name !== "connected";
}

function enter(number, said) {
  doors.get(number).setAttribute("aria-pressed", "true");
  if (!rooms.has(number)) rooms.set(number, open(number));
  rooms.get(number).querySelector("ol").replaceChildren();
  said.forEach((saying) => show(number, saying));
}

function leave(number) {
  doors.get(number).setAttribute("aria-pressed", "false");
  rooms.get(number)?.remove();
  rooms.delete(number);
}

function open(number) {
  const room = copy("#room");
  const name = doors.get(number).querySelector(".name").firstChild.textContent.trim();
  room.querySelector("h2").textContent = name;
  room.setAttribute("aria-label", name);
  const form = room.querySelector("form");
  form.elements.text.setAttribute("aria-label", `Say something in the ${name}`);
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    command("say", number, { text: form.elements.text.value });
    form.reset();
  });
  house.append(room);
  form.elements.text.focus();
  return room;
}

function show(number, { who, text, at }) {
  const item = copy("#saying");
  item.querySelector("strong").textContent = who;
  item.querySelector("span").textContent = text;
  const time = item.querySelector("time");
  time.dateTime = at;
  time.textContent = clock.format(new Date(at));
  append(number, item);
}

function note(words) {
  const item = copy("#note");
  item.textContent = words;
  return item;
}

function append(number, item) {
  const list = rooms.get(number)?.querySelector("ol");
  list?.append(item);
  list?.scrollTo(0, list.scrollHeight);
}

function copy(template) {
  return document.querySelector(template).content.firstElementChild.cloneNode(true);
}
