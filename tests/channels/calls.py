"""Calls of consumers through a boundary, as a slot of a worker makes them."""

from collections.abc import Callable
from functools import partial
from typing import Any

from channels.boundary import Boundary
from channels.message import Message
from channels.pending import Pending
from channels.routing import Route
from channels.runner import report_refused
from channels.worker import Worker
from tests.channels.workers import in_thread, layer_of


class Calls:
    """Calls consumers through one boundary."""

    def __init__(self) -> None:
        self.layer = layer_of()
        self.pending = Pending(self.layer.channel_layer, partial(report_refused, self.layer.channel_layer))
        self.boundary = Boundary(self.pending, Worker)

    def __call__(self, consumer: Callable[..., Any], **kwargs: Any) -> None:
        route = Route("jobs", consumer)
        self.pending.begin(route.name)
        try:
            self.boundary.call(route, Message({"n": 1}, "jobs", self.layer), kwargs)
        finally:
            self.pending.end()


def as_slot(function: Callable[[Calls], None]) -> None:
    """Run ``function`` in a thread of its own, as a slot would be, with a boundary made there."""
    in_thread(lambda: function(Calls()))
