// Socket.IO with its Redis adapter. The path that a client gives says what its socket is for. Arguments: port, Redis.
const { createServer } = require("node:http");
const { createAdapter } = require("@socket.io/redis-adapter");
const { createClient } = require("redis");
const { Server } = require("socket.io");

async function main(port, url) {
  const publisher = createClient({ url });
  const subscriber = publisher.duplicate();
  await Promise.all([publisher.connect(), subscriber.connect()]);
  const server = createServer();
  const io = new Server(server, {
    adapter: createAdapter(publisher, subscriber),
    transports: ["websocket"],
    perMessageDeflate: false,
    serveClient: false,
  });
  io.on("connection", (socket) => {
    const path = socket.handshake.query.path;
    if (path.startsWith("/rooms/")) socket.join(path);
    socket.on("echo", (text) => socket.emit("echo", text));
    socket.on("rooms", (text) => io.to(path).emit("rooms", text));
    socket.on("churn", async (text) => {
      await socket.join("churn");
      await socket.leave("churn");
      socket.emit("churn", text);
    });
  });
  server.listen({ port: Number(port), host: "127.0.0.1", backlog: 4096 });
}

main(...process.argv.slice(2));
