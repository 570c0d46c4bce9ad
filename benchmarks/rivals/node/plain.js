// The package "ws": echo on /echo/, and a room for each path below /rooms/. The port is the first argument.
const { createServer } = require("node:http");
const { WebSocket, WebSocketServer } = require("ws");

const rooms = new Map();
const server = createServer();
const sockets = new WebSocketServer({ server, perMessageDeflate: false });

sockets.on("connection", (socket, request) => {
  const echoes = request.url === "/echo/";
  const members = echoes ? null : join(socket, request.url);
  socket.on("message", (data, isBinary) => {
    if (echoes) return socket.send(data, { binary: isBinary });
    for (const member of members) {
      if (member.readyState === WebSocket.OPEN) member.send(data, { binary: isBinary });
    }
  });
});

function join(socket, room) {
  const members = rooms.get(room) ?? new Set();
  rooms.set(room, members.add(socket));
  socket.on("close", () => {
    members.delete(socket);
    if (!members.size) rooms.delete(room);
  });
  return members;
}

server.listen({ port: Number(process.argv[2]), host: "127.0.0.1", backlog: 4096 });
