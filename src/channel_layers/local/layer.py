"""The channel layer on an embedded server."""

from __future__ import annotations

from os import PathLike
from pathlib import Path
from typing import Any, ClassVar

from channel_layers.local.directory import SharedDirectory, base_directory, directory_name
from channel_layers.local.server import LocalAddress, LocalServer
from channel_layers.redis.layer import RedisChannelLayer


class LocalChannelLayer(RedisChannelLayer):
    """The layer on Redis, on a server that its processes start and end by themselves.

    Processes of one user on one machine that name the same ``project`` share a server; by default the project is the
    directory that they were started in. The first one to need the server starts it, on a unix socket that is below
    ``directory`` and open to this user alone; it ends with the last, and what is in it ends with it. The other options
    are those of :class:`~channel_layers.redis.layer.RedisChannelLayer`, except for ``hosts``.

    Raises :exc:`ValueError` for a directory whose name is too long.
    """

    per_project: ClassVar[bool] = True

    def __init__(
        self, *, project: str | None = None, directory: str | PathLike[str] | None = None, **options: Any
    ) -> None:
        if "hosts" in options:
            raise TypeError("the embedded layer has no hosts; channel_layers.redis.RedisChannelLayer has")
        base = Path(directory) if directory is not None else None
        name = directory_name(project if project is not None else str(Path.cwd()))
        shared = SharedDirectory((base or base_directory()) / name, base)
        self._server = LocalServer(shared)
        super().__init__(hosts=[LocalAddress(path=str(shared.socket), server=self._server)], **options)

    def close(self) -> None:
        """Close all connections, and be no user of the server any more, until a verb is used again."""
        super().close()
        self._server.leave()

    async def aclose(self) -> None:
        """As :meth:`close`."""
        await super().aclose()
        self._server.leave()
