"""Nothing to route: the one page asks for its events by HTTP, which Django's views answer."""

from typing import Any

channel_routing: list[Any] = []
