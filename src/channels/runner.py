"""One message after another: decode, route, call the consumer, say how it ended."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from django.core.signals import got_request_exception

from channel_layers import codec
from channel_layers.base import BaseChannelLayer
from channel_layers.envelope import (
    AGAIN,
    EVENT,
    RAISED,
    RETURNED,
    UNACCEPTED,
    UNDECIDED,
    UNROUTED,
    Envelope,
    done,
    next_attempt,
)
from channel_layers.notes import EXTENSION, SESSION
from channel_layers.slot import Refused
from channels import conf
from channels.boundary import Boundary
from channels.exceptions import ChannelSocketException, ConsumeLater, DenyConnection, ResponseLater
from channels.layers import ChannelLayerWrapper
from channels.message import LaneState, Message
from channels.noted_session import count_lost
from channels.pending import Pending
from channels.routing import Match

if TYPE_CHECKING:
    from channels.worker import Worker

logger = logging.getLogger("django.channels")
traces = logging.getLogger("django.channels.trace")

CONNECT: Final = "websocket.connect"
SECRET_KEYS: Final = frozenset(("headers", "query_string"))
"""Keys of a message that stay out of the log, because cookies and session keys are in them."""


class Runner:
    """Runs what one slot has taken. Made in the slot's thread."""

    def __init__(self, worker: Worker, pending: Pending) -> None:
        self._layer: ChannelLayerWrapper = worker.channel_layer
        self._router = worker.channel_layer.router
        self._retries = worker.message_retries
        self._accepts_on_return = conf.accepts_on_return()
        self._callback: Callable[[str, Message], None] | None = worker.callback
        self._trace = worker.trace
        self._postponed = worker.postponed
        self._pending = pending
        self._settled = False
        self._boundary = Boundary(pending, type(worker))

    def run(self, envelope: Envelope) -> None:
        """Handle the messages of ``envelope``, gather what they send, and settle it behind that."""
        lane = LaneState(envelope.session) if envelope.owner else None
        self._settled = not envelope.token
        content, handled = self._decoded(envelope), 0
        if type(content) is list:
            outcome, handled = self._handle_batch(content, envelope, lane)
        else:
            outcome = self._handle(content, envelope, lane)
        if outcome == AGAIN and self._settled:  # whoever owns an event sends it again itself
            self._postponed.add(_again(envelope, handled))
        if self._settled or lane is None:
            self._pending.end()
            if lane is not None and lane.changed:
                self._keep_session(envelope.owner, lane.session or b"")
        else:
            self._pending.settle_event(envelope, outcome, handled, lane.session if lane.changed else None)

    def _keep_session(self, channel: str, session: bytes) -> None:
        """Keep what a consumer of an unordered route has changed, unless its lane has gone on to something newer."""
        if EXTENSION not in self._layer.extensions:
            count_lost(self._layer, channel, "its route has ordered=False, and its layer keeps no copy of sessions")
        elif not self._layer.keep_note(channel, SESSION, session):
            count_lost(self._layer, channel, "its route has ordered=False, and another consumer changed it meanwhile")

    def _handle_batch(self, batch: list[Any], envelope: Envelope, lane: LaneState | None) -> tuple[int, int]:
        """Return how the last of ``batch`` that was handled ended, and the number of those before it."""
        outcome, handled = RAISED, 0
        for handled, content in enumerate(batch):  # noqa: B007 - the number of the last one
            outcome = self._handle(content, envelope, lane)
            if outcome == AGAIN:
                break
        return outcome, handled

    def _decoded(self, envelope: Envelope) -> Any:
        """Return the content of ``envelope``: a dict, or a list of them; an empty one for what cannot be decoded."""
        try:
            return codec.decode(envelope.content)
        except codec.DecodeError as error:
            self._layer.losses.count("undecodable", f"a message on {envelope.target!r} cannot be decoded: {error}")
            return []

    def _handle(self, content: dict[str, Any], envelope: Envelope, lane: LaneState | None) -> int:
        try:
            message = Message(content, envelope.target, self._layer, lane, envelope.attempt)
            found = self._router.find(message)
            if found is None:
                return self._unrouted(message)
            if not found.route.ordered and not self._settled:
                self._settle_early(envelope)
            if self._callback is not None:
                self._callback(envelope.target, message)
            return self._traced_call(found, message) if self._trace else self._call(found, message)
        except Exception:  # a fault of the callback, of a signal's receiver or of ours: the lane goes on all the same
            logger.exception("a message on %s could not be handled", envelope.target)
            return RAISED

    def _unrouted(self, message: Message) -> int:
        tried = "; ".join(self._router.tried(message)) or "none"
        logger.error("no consumer for a message on %s. Routes: %s", message.channel_name, tried)
        return UNROUTED

    def _settle_early(self, envelope: Envelope) -> None:
        """Let the lane go on while this event of an unordered route is handled; a connect still has to decide."""
        if envelope.kind == EVENT and envelope.target != CONNECT:
            self._pending.write_now(done(envelope.owner, envelope.token))
            self._settled = True

    def _traced_call(self, found: Match, message: Message) -> int:
        started = time.perf_counter()
        outcome = self._call(found, message)
        path, took = message.get("path", ""), (time.perf_counter() - started) * 1000
        traces.info("%s %s -> %s %.1f ms", message.channel_name, path, found.route.name, took)
        return outcome

    def _call(self, found: Match, message: Message) -> int:
        """Call the consumer and translate the exceptions by which it steers."""
        route = found.route
        self._pending.begin(route.name)
        try:
            self._boundary.call(route, message, found.kwargs)
        except ConsumeLater:
            return self._again(found, message)
        except ResponseLater:
            return UNDECIDED
        except DenyConnection as denial:
            return self._deny(found, message, denial)
        except ChannelSocketException as action:
            return self._act(found, message, action)
        except BaseException:  # noqa: BLE001 - whatever a consumer raises ends its call, never the thread of its slot
            return self._raised(found, message)
        return RETURNED if message.channel_name != CONNECT else self._decision(message)

    def _decision(self, message: Message) -> int:
        """Return what it says of a connection that its connect consumer has returned."""
        if not self._accepts_on_return:
            return UNDECIDED
        return UNACCEPTED if message.has_to_accept else RETURNED

    def _again(self, found: Match, message: Message) -> int:
        self._pending.discard()
        if message.attempt < self._retries:
            return AGAIN
        logger.warning(
            "%s asked for a message %d times again; it is dropped: %.100r",
            found.route.name,
            message.attempt,
            {**message.content, **dict.fromkeys(message.content.keys() & SECRET_KEYS, "...")},
        )
        return RAISED

    def _deny(self, found: Match, message: Message, denial: DenyConnection) -> int:
        self._pending.discard()
        if message.channel_name != CONNECT or message.reply_channel is None:
            logger.error("%s raised DenyConnection on %s, not %s", found.route.name, message.channel_name, CONNECT)
            return RAISED
        reply: dict[str, Any] = {"accept": False, "status": denial.status, "reason": denial.reason}
        if denial.headers:
            reply["headers"] = denial.headers
        if denial.content:
            reply["body"] = denial.content
        try:
            message.reply_channel.send(reply)
        except Exception:  # noqa: BLE001 - logged by _raised
            return self._raised(found, message)
        return RETURNED

    def _act(self, found: Match, message: Message, action: ChannelSocketException) -> int:
        try:
            action.run(message)
        except Exception:  # noqa: BLE001 - logged by _raised
            return self._raised(found, message)
        return RETURNED

    def _raised(self, found: Match, message: Message) -> int:
        path = message.get("path")
        where = f"{message.channel_name} {path}" if path else message.channel_name
        logger.exception("%s raised on %s", found.route.name, where)  # noqa: LOG004 - each caller handles it now
        self._boundary.report()
        return RAISED


def _again(envelope: Envelope, handled: int) -> Envelope:
    """Return what nobody else sends again, as its next attempt, without the first ``handled`` messages of a batch."""
    content = envelope.content
    if handled:
        content = codec.join([codec.encode(rest) for rest in codec.decode(content)[handled:]])
    return next_attempt(envelope, content=content, token=0)


def report_refused(layer: BaseChannelLayer, refusal: Refused) -> None:
    """Count and log a send that was refused when it left: its consumer has returned already."""
    envelope, error = refusal
    sender = envelope.route or "a process outside consumers"
    layer.losses.count(f"refused send of {sender}", f"a message of {sender} was not sent: {error}")
    try:
        raise error
    except type(error):  # monitors look at the exception being handled
        got_request_exception.send(sender=Runner, request=None)
