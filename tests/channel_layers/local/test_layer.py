"""The embedded layer as a layer: its options."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from channel_layers.local import LocalChannelLayer
from tests.channel_layers.local.conftest import NewLayer
from tests.channel_layers.local.users import SharedServer
from tests.channel_layers.redis.server import until


def test_projects_are_told_apart_by_their_text(base: Path) -> None:
    """The directory shows the name, and is another for another path; by default it is that of where one is."""
    layers = [LocalChannelLayer(project=name, directory=str(base)) for name in ("/srv/a/shop", "/srv/b/shop", "/")]
    names = [Path(layer.address.path).parent.name for layer in layers]
    assert len(set(names)) == 3
    assert [name.rpartition("-")[0] for name in names] == ["shop", "shop", "project"]
    here = LocalChannelLayer(directory=str(base))
    assert here.address.path == LocalChannelLayer(project=str(Path.cwd()), directory=str(base)).address.path


def test_it_has_no_hosts() -> None:
    """The error names the layer that has."""
    with pytest.raises(TypeError, match=r"has no hosts; channel_layers\.redis\.RedisChannelLayer has"):
        LocalChannelLayer(hosts="redis://localhost")


def test_it_crosses_processes_and_belongs_to_a_project() -> None:
    """So commands accept it, and settings give it the project."""
    assert (LocalChannelLayer.crosses_processes, LocalChannelLayer.per_project) == (True, True)


def test_it_is_closed_from_a_loop(new_layer: NewLayer, shared: SharedServer) -> None:
    """The server ends with it."""
    layer = new_layer()

    async def main() -> None:
        await layer.asend("a", {})
        await layer.aclose()

    asyncio.run(main())
    until(shared.is_gone)
