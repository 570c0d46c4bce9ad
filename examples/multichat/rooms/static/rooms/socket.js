// A WebSocket that comes back: each wait is drawn at random from a range that doubles, so that not all return at once.

const FIRST_WAIT = 500; // milliseconds
const LONGEST_WAIT = 10_000;

/** Calls open() each time the socket is open, frame(content) for each frame of JSON, and away() when it is gone. */
export function connect(url, { open, frame, away }) {
  let socket;
  let attempts = 0;
  const begin = () => {
    socket = new WebSocket(url);
    socket.onopen = () => {
      attempts = 0;
      open();
    };
    socket.onmessage = (event) => frame(JSON.parse(event.data));
    socket.onclose = () => {
      away();
      setTimeout(begin, Math.random() * Math.min(LONGEST_WAIT, FIRST_WAIT * 2 ** attempts++));
    };
  };
  begin();
  return (content) => socket.send(JSON.stringify(content));
}
