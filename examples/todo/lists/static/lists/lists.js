// The page shows what the rows are. It changes none by itself: it asks for a change, and shows it when the row has it.

const FIRST_WAIT = 500; // milliseconds
const LONGEST_WAIT = 10_000;
const STREAM = "items";

const list = document.querySelector("#items");
const form = document.querySelector("#add");
const state = document.querySelector("#state");
const template = document.querySelector("#item").content.firstElementChild;
let socket;
let attempts = 0;

function follow() {
  socket = new WebSocket(`${location.pathname}socket/`);
  let early = []; // what comes while we catch up
  socket.onopen = async () => {
    attempts = 0;
    await catchUp();
    early.forEach(receive);
    early = null;
    setState("connected", "Everybody sees what you do here");
  };
  socket.onmessage = (event) => {
    const { stream, payload } = JSON.parse(event.data);
    if (stream !== STREAM) return;
    if (early) early.push(payload);
    else receive(payload);
  };
  socket.onclose = () => {
    setState("away", "Away: nothing can be changed until the connection is back");
    // Drawn at random from a range that doubles, so that not all pages return at once.
    setTimeout(follow, Math.random() * Math.min(LONGEST_WAIT, FIRST_WAIT * 2 ** attempts++));
  };
}

function ask(action, pk, data) {
  socket.send(JSON.stringify({ stream: STREAM, payload: { action, pk, data } }));
}

function receive({ action, pk, data }) {
  if (action === "delete") find(pk)?.remove();
  else show({ pk, ...data });
  count();
}

function show({ pk, text, done }) {
  const item = find(pk) ?? list.appendChild(build(pk));
  const [box, field] = item.querySelectorAll("input");
  item.classList.toggle("done", done);
  box.checked = done;
  box.setAttribute("aria-label", `Done: ${text}`);
  field.value = text;
  field.setAttribute("aria-label", `Text of ${text}`);
  item.querySelector("button").setAttribute("aria-label", `Delete ${text}`);
}

function build(pk) {
  const item = template.cloneNode(true);
  item.dataset.pk = pk;
  const [box, field] = item.querySelectorAll("input");
  box.addEventListener("change", () => ask("update", pk, { done: box.checked }));
  field.addEventListener("change", () => field.reportValidity() && ask("update", pk, { text: field.value }));
  item.querySelector("button").addEventListener("click", () => ask("delete", pk));
  return item;
}

function find(pk) {
  return list.querySelector(`[data-pk="${pk}"]`);
}

function showAll(rows) {
  list.replaceChildren();
  rows.forEach(show);
  count();
}

function count() {
  const all = list.children.length;
  const done = list.querySelectorAll(".done").length;
  document.querySelector("#progress").textContent = all ? `${done} of ${all} done` : "";
  document.querySelector("#bar").style.width = all ? `${(100 * done) / all}%` : "0";
}

function setState(name, words) {
  state.dataset.state = name;
  state.textContent = words;
  document.querySelectorAll("main input, main button").forEach((control) => (control.disabled = name === "away"));
}

/** Shows what has happened between the page and its socket, or while the socket was away. */
async function catchUp() {
  const page = new DOMParser().parseFromString(await (await fetch(location)).text(), "text/html");
  showAll(JSON.parse(page.querySelector("#rows").textContent));
}

form.addEventListener("submit", (event) => {
  event.preventDefault();
  ask("create", null, { text: form.elements.text.value });
  form.reset();
});

showAll(JSON.parse(document.querySelector("#rows").textContent));
follow();
