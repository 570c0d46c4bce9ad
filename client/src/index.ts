export { WebSocketBridge, type Handler } from "./bridge.js";
export { ReconnectingWebSocket, type SendOptions } from "./socket.js";
export { Stream, type StreamEvents } from "./streams.js";
export type { Address } from "./address.js";
export type { Loss } from "./codes.js";
export type { SocketEvents, SocketEvent, State, Target } from "./events.js";
export type { Options } from "./options.js";
export type { Data } from "./queue.js";
