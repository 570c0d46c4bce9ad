"""The configurations of the documentation, in the real servers: requests and sockets pass, and closes both ways."""

from __future__ import annotations

import asyncio
import os
import re
from asyncio.subprocess import PIPE, STDOUT
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import uvloop
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed
from websockets.typing import Origin

from tests.daphne.serving import DISCONNECT
from tests.daphne.site import LIMIT, Site, running, welcomed
from tests.documents import ROOT, blocks
from tests.runserver import free_port
from tests.services import require

PAGE = ROOT / "docs/howto/put-a-proxy-in-front.md"
UPSTREAM = "127.0.0.1:8000"


def configuration(proxy: str) -> str:
    """Return what the documentation shows for ``proxy``."""
    [found] = [block.source for block in blocks(PAGE) if block.marker == proxy]
    return found


def nginx(folder: Path, text: str, port: int) -> list[str]:
    """Return the command for the block of a site, within the file that Debian puts it into."""
    site = text.replace("listen 80;", f"listen 127.0.0.1:{port};")
    paths = "".join(
        f"{name}_temp_path {folder}/{name};\n" for name in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    (folder / "nginx.conf").write_text(
        f"daemon off; pid {folder}/pid; error_log stderr;\nevents {{}}\nhttp {{\naccess_log off;\n{paths}{site}}}\n"
    )
    return [require("nginx"), "-p", str(folder), "-c", str(folder / "nginx.conf"), "-e", "stderr"]


def caddy(folder: Path, text: str, port: int) -> list[str]:
    """Return the command for a site without TLS, since nobody certifies example.com here."""
    site = text.replace("example.com", f"http://127.0.0.1:{port}")
    (folder / "Caddyfile").write_text("{\n    admin off\n}\n" + site)
    return [require("caddy"), "run", "--config", str(folder / "Caddyfile"), "--adapter", "caddyfile"]


def haproxy(folder: Path, text: str, port: int) -> list[str]:
    """Return the command, in the foreground."""
    (folder / "haproxy.cfg").write_text(text.replace("bind :80", f"bind 127.0.0.1:{port}"))
    return [require("haproxy"), "-db", "-f", str(folder / "haproxy.cfg")]


PROXIES: dict[str, Callable[[Path, str, int], list[str]]] = {"nginx": nginx, "caddy": caddy, "haproxy": haproxy}


@asynccontextmanager
async def in_front_of(site: Site, proxy: str, folder: Path) -> AsyncIterator[int]:
    """Run the proxy as the documentation has it, but for the ports; yield its port."""
    port, text = free_port(), configuration(proxy)
    assert UPSTREAM in text
    command = PROXIES[proxy](folder, text.replace(UPSTREAM, f"127.0.0.1:{site.port}"), port)
    environment = {**os.environ, "HOME": str(folder), "XDG_DATA_HOME": str(folder), "XDG_CONFIG_HOME": str(folder)}
    process = await asyncio.create_subprocess_exec(*command, env=environment, stdout=PIPE, stderr=STDOUT)
    try:
        while not await answers(port):
            assert process.returncode is None, (await process.communicate())[0].decode()
            await asyncio.sleep(0.02)  # nothing tells when it listens but an answer
        yield port
    finally:
        process.terminate()
        await process.communicate()


async def answers(port: int) -> bool:
    """Return whether somebody listens."""
    try:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
    except OSError:
        return False
    writer.close()
    await writer.wait_closed()
    return True


@pytest.mark.parametrize("proxy", PROXIES)
def test_requests_and_sockets_pass(proxy: str, tmp_path: Path) -> None:
    """A page, an echo of text and bytes, compression; the page's own origin is let in; codes arrive on both sides."""

    async def scene() -> None:
        async with asyncio.timeout(LIMIT), running() as site, in_front_of(site, proxy, tmp_path) as port:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(f"GET /page HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nConnection: close\r\n\r\n".encode())
            answer = await reader.read()
            assert re.match(rb"HTTP/1\.1 200 ", answer)
            assert b"/page " in answer
            writer.close()
            await writer.wait_closed()
            url, origin = f"ws://127.0.0.1:{port}/chat", Origin(f"http://127.0.0.1:{port}")
            async with connect(url, origin=origin, proxy=None) as client:
                assert [extension.name for extension in client.protocol.extensions] == ["permessage-deflate"]
                await welcomed(client)
                for message in ("hello", b"\0\1", "long " * 50_000):
                    await client.send(message)
                    assert await client.recv() == message
                await client.close(4001, "enough")
            async with connect(url, origin=origin, proxy=None) as client:
                await welcomed(client)
                await client.send("close")
                with pytest.raises(ConnectionClosed) as closed:
                    await client.recv()
                assert closed.value.rcvd is not None
                assert (closed.value.rcvd.code, closed.value.rcvd.reason) == (4001, "asked for")
            gone = await site.seen(DISCONNECT, 2)
            assert [(each["code"], each["reason"]) for each in gone] == [(4001, "enough"), (4001, "asked for")]

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(scene())
