"""The machine's own limit: a WebSocket echo in C on uvloop, no application: ``python -m benchmarks.raw PORT``."""

from __future__ import annotations

import sys

import uvloop
from picows import WSFrame, WSListener, WSMsgType, WSTransport, WSUpgradeRequest, ws_create_server


class Echo(WSListener):
    """Sends back what comes."""

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        """Echo a message, answer a close."""
        if frame.msg_type in (WSMsgType.TEXT, WSMsgType.BINARY):
            transport.send(frame.msg_type, frame.get_payload_as_bytes())
        elif frame.msg_type == WSMsgType.CLOSE:
            transport.disconnect()


def listener(request: WSUpgradeRequest) -> Echo:
    """Return what handles a new socket."""
    return Echo()


async def serve(port: int) -> None:
    """Serve until killed."""
    server = await ws_create_server(listener, "127.0.0.1", port)
    print("ready", flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(serve(int(sys.argv[1])))
