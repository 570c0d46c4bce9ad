// A page that follows its blog: each frame is a post as it looks now, or one that is gone.

const FIRST_WAIT = 500; // milliseconds
const LONGEST_WAIT = 10_000;

const live = document.querySelector("#live");
const posts = document.querySelector("#posts");
let attempts = 0;

function follow() {
  const socket = new WebSocket(`${location.pathname}socket/`);
  let early = []; // what comes while we catch up
  socket.onopen = async () => {
    attempts = 0;
    await catchUp();
    early.forEach(show);
    early = null;
    setState("live", "Live");
  };
  socket.onmessage = (event) => {
    const change = JSON.parse(event.data);
    if (early) early.push(change);
    else show(change);
  };
  socket.onclose = () => {
    setState("away", "Away");
    // Drawn at random from a range that doubles, so that not all readers return at once.
    setTimeout(follow, Math.random() * Math.min(LONGEST_WAIT, FIRST_WAIT * 2 ** attempts++));
  };
}

function setState(name, words) {
  live.dataset.state = name;
  live.textContent = words;
}

function show({ post, html }) {
  const shown = document.getElementById(`post-${post}`);
  if (html === null) {
    shown?.remove();
    return;
  }
  const template = document.createElement("template");
  template.innerHTML = html;
  const article = template.content.firstElementChild;
  article.classList.add("fresh");
  if (shown) shown.replaceWith(article);
  else posts.prepend(article);
}

/** Shows what was written between the page and its socket, or while the socket was away. */
async function catchUp() {
  const page = new DOMParser().parseFromString(await (await fetch(location)).text(), "text/html");
  posts.replaceChildren(...page.querySelector("#posts").children);
}

follow();
