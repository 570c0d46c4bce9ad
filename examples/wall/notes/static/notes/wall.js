// A page that follows the wall. The browser connects again by itself, and says which note it has had last.

const live = document.querySelector("#live");
const notes = document.querySelector("#notes");
const form = document.querySelector("form");
const source = new EventSource("events/");
let last = 0;

source.onopen = () => show("live", "Live");
source.onerror = () => show("away", "Away");
source.onmessage = ({ data, lastEventId }) => {
  if (Number(lastEventId) <= last) return; // one that was sent while we asked for what we had missed comes twice
  last = Number(lastEventId);
  const note = document.createElement("li");
  note.textContent = JSON.parse(data).text;
  notes.append(note);
};

form.addEventListener("submit", async (submit) => {
  submit.preventDefault();
  const answer = await fetch(form.action, { method: "POST", body: new FormData(form) }).catch(() => null);
  if (answer?.ok) form.elements.text.value = "";
});

function show(state, words) {
  live.dataset.state = state;
  live.textContent = words;
}
