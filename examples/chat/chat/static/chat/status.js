// The status bar, and the banner that stands above the conversation while there is no connection.

const one = (id) => document.getElementById(id);
const banner = one("banner");

let connections = 0;
let connectedAt = null;
let returnsAt = 0;

/** The server has greeted us: we are connected from now on. */
export function connected() {
  connectedAt = performance.now();
  one("reconnects").textContent = connections++;
  banner.hidden = true;
  setState("connected", "Connected for");
}

/** The socket is gone; the next attempt comes in so many milliseconds. */
export function away(delay) {
  connectedAt = null;
  returnsAt = performance.now() + delay;
  banner.hidden = false;
  setState("away", "Not connected");
}

/** Says how many messages wait for the connection to come back. */
export function waiting(count) {
  const held = ["", " One message waits for it."][count] ?? ` ${count} messages wait for it.`;
  const text = `The connection is gone.${held}`;
  if (one("banner-text").textContent !== text) one("banner-text").textContent = text;
}

/** Shows a message's round trip, in words that the caller also shows. */
export function roundTrip(words) {
  one("round-trip").textContent = words;
}

/** Shows the version of the code that answered, and points it out when another one did before. */
export function codeVersion(version) {
  const value = one("code-version");
  if (value.textContent === version) return;
  value.classList.toggle("changed", value.textContent !== "–");
  value.textContent = version;
}

function setState(state, words) {
  one("connection").dataset.state = state;
  one("state").textContent = words;
  tick();
}

function tick() {
  const now = performance.now();
  const seconds = Math.max(0, Math.ceil((returnsAt - now) / 1000));
  one("connected-for").textContent = connectedAt === null ? "" : clock((now - connectedAt) / 1000);
  one("next-attempt").textContent = seconds ? `Next attempt in ${seconds} s.` : "Trying now.";
}

function clock(seconds) {
  const parts = [Math.floor(seconds / 3600), Math.floor(seconds / 60) % 60, Math.floor(seconds) % 60];
  return (parts[0] ? parts : parts.slice(1)).map((part) => String(part).padStart(2, "0")).join(":");
}

setInterval(tick, 500);
