"""The socket of a page: one stream, that of the binding."""

from collections.abc import Iterable
from typing import Any, ClassVar

from channels.generic.websockets import WebsocketDemultiplexer

from .bindings import ItemBinding, group_of


class ListStreams(WebsocketDemultiplexer):
    """Hears of the items on one list, and hands on what the page does to them."""

    consumers: ClassVar = {"items": ItemBinding.consumer}

    def connection_groups(self, **kwargs: Any) -> Iterable[str]:
        """Be in the group of the list from the beginning."""
        return [group_of(kwargs["name"])]
