"""A server and its workers as one."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from channel_layers.exceptions import LayerUnavailable
from channel_layers.memory import MemoryChannelLayer
from channel_layers.registry import Announcement
from channels.layers import ChannelLayerWrapper
from channels.processes import tree
from channels.processes.tree import Tree

PATIENCE = 10.0


class Part:
    """Stands for the server, or for the workers: notes what it is told, and ends when it may."""

    def __init__(self, name: str, told: list[str], result: bool = True) -> None:
        self._name = name
        self._told = told
        self._result = result
        self._ended = asyncio.Event()
        self.ends_by_itself = False
        self.holds = asyncio.Event()
        self.holds.set()

    async def run(self) -> bool:
        if not self.ends_by_itself:
            await self._ended.wait()
        await self.holds.wait()
        self._told.append(f"{self._name} ended")
        return self._result

    def stop(self) -> None:
        self._told.append(f"stop {self._name}")
        self._ended.set()

    def roll(self) -> None:
        self._told.append(f"roll {self._name}")


class Scene:
    """A tree of parts, and what they were told."""

    def __init__(self, server: bool = True, workers: bool = True, patience: float = PATIENCE) -> None:
        self.told: list[str] = []
        self.layer = MemoryChannelLayer()
        self.server, self.workers = Part("server", self.told, server), Part("workers", self.told, workers)
        wrapper = ChannelLayerWrapper(self.layer, "default", [])
        server_part: Any = self.server
        workers_part: Any = self.workers
        self.tree = Tree(server_part, workers_part, wrapper, patience)

    async def run(self) -> bool:
        async with asyncio.timeout(PATIENCE):
            return await self.tree.run()


def test_the_server_ends_before_the_workers() -> None:
    """So that there is somebody to handle what it leaves behind."""

    async def main() -> None:
        scene = Scene()
        running = asyncio.create_task(scene.run())
        await asyncio.sleep(0)
        scene.tree.stop()
        assert await running
        assert scene.told == ["stop server", "server ended", "stop workers", "workers ended"]

    asyncio.run(main())


def test_workers_empty_the_queues_first(monkeypatch: pytest.MonkeyPatch) -> None:
    """The disconnects of the sockets that the server has closed, for example; but not what none of them reads."""
    monkeypatch.setattr(tree, "PAUSE", 0.0)

    async def main() -> None:
        scene = Scene()
        scene.layer.send("websocket.disconnect", {})
        scene.layer.send("thumbnails", {})
        scene.layer.send("http.request", {})
        scene.layer.announce(Announcement("w", ("thumbnails", "websocket.disconnect")))
        looks = counted(scene)
        running = asyncio.create_task(scene.run())
        await asyncio.sleep(0)
        scene.tree.stop()
        async with asyncio.timeout(PATIENCE):
            while looks.count("websocket.disconnect") < 2:  # noqa: ASYNC110 - a list tells of nothing
                await asyncio.sleep(0)
        assert "server ended" in scene.told
        assert "stop workers" not in scene.told
        scene.layer.receive(["websocket.disconnect"])
        assert await running
        assert (scene.layer.depth("thumbnails"), scene.layer.depth("http.request")) == (1, 1)

    asyncio.run(main())


def counted(scene: Scene) -> list[str]:
    """Return a list of all looks at queues from now on."""
    looks: list[str] = []
    depth = scene.layer.depth

    def look(channel: str) -> int:
        looks.append(channel)
        return depth(channel)

    scene.layer.depth = look  # type: ignore[method-assign]  # that of this layer alone
    return looks


def hurried(scene: Scene) -> None:
    """Ask for the end once more."""
    scene.tree.stop()


def away(scene: Scene) -> None:
    """Let the layer be away."""

    def depth(channel: str) -> int:
        raise LayerUnavailable("it is away")

    scene.layer.depth = depth  # type: ignore[method-assign]  # that of this layer alone


@pytest.mark.parametrize(("patience", "what"), [(PATIENCE, hurried), (PATIENCE, away), (0.0, None)])
def test_nobody_waits_for_ever(patience: float, what: Callable[[Scene], None] | None) -> None:
    """Not when told twice, not without a layer, and not beyond the limit."""

    async def main() -> None:
        scene = Scene(patience=patience)
        scene.layer.send("websocket.receive", {})
        scene.layer.announce(Announcement("w", ("websocket.receive",)))
        running = asyncio.create_task(scene.run())
        await asyncio.sleep(0)
        scene.tree.stop()
        if what is not None:
            what(scene)
        assert await running

    asyncio.run(main())


@pytest.mark.parametrize("part", ["server", "workers"])
def test_one_that_gives_up_ends_the_other(part: str) -> None:
    """A server without workers answers nothing, and workers without a server are asked nothing."""

    async def main() -> None:
        scene = Scene(**{part: False})
        getattr(scene, part).ends_by_itself = True
        assert not await scene.run()
        other = "workers" if part == "server" else "server"
        assert [f"{part} ended", f"stop {other}", f"{other} ended"] == [
            line for line in scene.told if line != f"stop {part}"
        ]

    asyncio.run(main())


def test_a_server_that_finishes_is_not_hurried_by_workers_that_give_up() -> None:
    """It was told once already."""

    async def main() -> None:
        scene = Scene(workers=False)
        scene.server.holds.clear()
        running = asyncio.create_task(scene.run())
        await asyncio.sleep(0)
        scene.tree.stop()
        scene.workers.stop()
        await asyncio.sleep(0.01)
        scene.server.holds.set()
        assert not await running
        assert scene.told.count("stop server") == 1

    asyncio.run(main())


def test_a_roll_is_for_the_workers() -> None:
    """Sockets stay."""

    async def main() -> None:
        scene = Scene()
        scene.tree.roll()
        assert scene.told == ["roll workers"]

    asyncio.run(main())
