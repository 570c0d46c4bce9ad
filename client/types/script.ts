// The same for a classic script, which has the global of websocketbridge.js.

const tea = new channels.WebSocketBridge({ maxQueue: 10 });
tea.connect();
tea.socket satisfies channels.ReconnectingWebSocket | null;
