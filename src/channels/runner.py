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
from channels.claims import Claims
from channels.exceptions import ChannelSocketException, ConsumeLater, DenyConnection, ResponseLater
from channels.faults import extra_of, place_of
from channels.layers import ChannelLayerWrapper
from channels.message import LaneState, Message
from channels.noted_session import count_lost
from channels.pending import Pending
from channels.routing import Match
from channels.time_limits import TimeLimit, this_thread

if TYPE_CHECKING:
    from channels.worker import Worker

logger = logging.getLogger("django.channels")
traces = logging.getLogger("django.channels.trace")

CONNECT: Final = "websocket.connect"
SECRET_KEYS: Final = frozenset(("headers", "query_string"))
"""Keys of a message that stay out of the log, because cookies and session keys are in them."""


class Abandoned(BaseException):
    """A run has come back that was given up: nobody waits for it."""


class Runner:
    """Runs what one slot has taken. Made in the slot's thread.

    Without ``claims`` nothing is delivered again or set aside: what fails is logged and gone.
    """

    def __init__(self, worker: Worker, pending: Pending, claims: Claims | None = None) -> None:
        self._layer: ChannelLayerWrapper = worker.channel_layer
        self._router = worker.channel_layer.router
        self._retries = worker.message_retries
        self._accepts_on_return = conf.accepts_on_return()
        self._callback: Callable[[str, Message], None] | None = worker.callback
        self._trace = worker.trace
        self._postponed = worker.postponed
        self._pending = pending
        self._claims = claims
        self.abandon: Callable[[str], object] = logger.error
        """Called when a run has reached its hard limit, with a sentence."""
        self._settled = False
        self._fault = ""  # why the run has failed
        self._is_poison = False  # whether every further run would fail, too
        self._boundary = Boundary(pending, type(worker))

    def run(self, envelope: Envelope) -> None:
        """Handle the messages of ``envelope``, gather what they send, and settle it behind that."""
        lane = self._begin(envelope)
        content, handled = self._decoded(envelope), 0
        if type(content) is list:
            outcome, handled = self._handle_batch(content, envelope, lane)
        else:
            outcome = self._handle(content, envelope, lane)
        self.finish(envelope, lane, outcome, handled)

    def _begin(self, envelope: Envelope) -> LaneState | None:
        self._settled, self._fault, self._is_poison = not envelope.token, "", False
        return LaneState(envelope.session) if envelope.owner else None

    def finish(self, envelope: Envelope, lane: LaneState | None, outcome: int, handled: int) -> None:
        """Settle ``envelope``, of whose messages so many were handled, the last of them with ``outcome``."""
        if self._claims is not None and not envelope.owner:
            self._end_claimed(envelope, outcome, handled, self._claims)
        elif outcome == AGAIN and self._settled:  # whoever owns an event sends it again itself
            self._postponed.add(_again(envelope, handled))
        if self._settled or lane is None:
            self._pending.end()
            if lane is not None and lane.changed:
                self._keep_session(envelope.owner, lane.session or b"")
        else:
            self._pending.settle_event(envelope, outcome, handled, lane.session if lane.changed else None)

    def _end_claimed(self, envelope: Envelope, outcome: int, handled: int, claims: Claims) -> None:
        """Say what becomes of a message of no connection: nobody else does."""
        if outcome == AGAIN:
            claims.again(envelope, _again(envelope, handled))
        elif self._is_poison:
            claims.set_aside(envelope, self._fault)
        elif outcome == RAISED and claims.is_kept(envelope):
            self._pending.discard()
            claims.failed(envelope, self._fault)

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
            self._is_poison, self._fault = True, f"it cannot be decoded: {error}"
            return []

    def _handle(self, content: dict[str, Any], envelope: Envelope, lane: LaneState | None) -> int:
        try:
            message, found = self._routed(content, envelope, lane)
            if found is None:
                return self._unrouted(message, envelope)
            return self._traced_call(found, message) if self._trace else self._call(found, message)
        except Exception as error:  # noqa: BLE001 - logged by _broken
            return self._broken(error, envelope)

    def _routed(
        self, content: dict[str, Any], envelope: Envelope, lane: LaneState | None
    ) -> tuple[Message, Match | None]:
        """Return the message and its route, with everything done that comes before the consumer."""
        message = Message(content, envelope.target, self._layer, lane, envelope.attempt)
        found = self._router.find(message)
        if found is not None:
            if not found.route.ordered and not self._settled:
                self._settle_early(envelope)
            if self._callback is not None:
                self._callback(envelope.target, message)
        return message, found

    def _broken(self, error: Exception, envelope: Envelope) -> int:
        """Log a fault of the callback, of a signal's receiver or of ours: the lane goes on all the same."""
        logger.exception("a message on %s could not be handled", envelope.target)  # noqa: LOG004 - each caller handles it
        self._fault = f"{type(error).__name__}: {error}"
        return RAISED

    def _unrouted(self, message: Message, envelope: Envelope) -> int:
        tried = "; ".join(self._router.tried(message)) or "none"
        self._is_poison, self._fault = True, f"no consumer for it. Routes: {tried}"
        if self._claims is None or envelope.owner:
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
        self._show(found, message, started)
        return outcome

    def _show(self, found: Match, message: Message, started: float) -> None:
        path, took = message.get("path", ""), (time.perf_counter() - started) * 1000
        traces.info("%s %s -> %s %.1f ms", message.channel_name, path, found.route.name, took)

    def _call(self, found: Match, message: Message) -> int:
        """Call the consumer and translate the exceptions by which it steers."""
        route = found.route
        self._pending.begin(route.name)
        limit = TimeLimit(route, message, self.abandon, this_thread()) if route.is_limited else None
        try:
            self._boundary.call(route, message, found.kwargs)
        except BaseException as error:  # noqa: BLE001 - whatever a consumer raises ends its call, never its thread
            return self._steered(error, found, message)
        finally:
            if limit is not None:
                self._end_limit(limit)
        return self._returned(message)

    def _end_limit(self, limit: TimeLimit) -> None:
        """Raise :exc:`Abandoned` if the run was given up: whatever follows from it has been done."""
        with self._pending.lock:
            limit.end()
            if self._pending.is_abandoned:
                raise Abandoned

    def _returned(self, message: Message) -> int:
        return RETURNED if message.channel_name != CONNECT else self._decision(message)

    def _steered(self, error: BaseException, found: Match, message: Message) -> int:
        """Translate what a consumer has raised; called while it is being handled."""
        match error:
            case ConsumeLater():
                return self._again(found, message)
            case ResponseLater():
                return UNDECIDED
            case DenyConnection():
                return self._deny(found, message, error)
            case ChannelSocketException():
                return self._act(found, message, error)
        self._fault = f"{found.route.name} raised {type(error).__name__}: {error}"
        return self._raised(found, message)

    def _decision(self, message: Message) -> int:
        """Return what it says of a connection that its connect consumer has returned."""
        if not self._accepts_on_return:
            return UNDECIDED
        return UNACCEPTED if message.has_to_accept else RETURNED

    def _again(self, found: Match, message: Message) -> int:
        self._pending.discard()
        if message.attempt < self._retries:
            return AGAIN
        self._is_poison = True
        self._fault = f"{found.route.name} asked for it {message.attempt} times again"
        if self._claims is not None and message.reply_channel is None:
            return RAISED
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
        name, extra = found.route.name, extra_of(message, found.route.name)
        logger.exception("%s raised on %s", name, place_of(message), extra=extra)  # noqa: LOG004 - each caller handles it
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
