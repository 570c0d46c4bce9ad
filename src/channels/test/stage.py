"""What a test has of its own: layers in memory, a clock, and the memory of what was sent."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from channel_layers.envelope import Envelope
from channel_layers.memory import MemoryChannelLayer
from channel_layers.slot import Refused
from channel_layers.suggestions import did_you_mean
from channels.channel import Channel, Group
from channels.layers import DEFAULT_CHANNEL_LAYER, ChannelLayerWrapper, channel_layers, common_options
from channels.message import Message
from channels.routing import Router
from channels.test.bench import Bench
from channels.test.clock import Clock
from channels.test.commits import run_callbacks
from channels.test.sent import ANYTHING, Sent

__unittest = True  # its frames stay out of the traceback of a failed assertion

if TYPE_CHECKING:
    from channels.test.client import Client


class RecordingLayer(MemoryChannelLayer):
    """The in-memory layer, with a memory of what was sent: ``sent``, under the name ``alias``."""

    def __init__(self, alias: str, sent: Sent, **options: Any) -> None:
        super().__init__(**options)
        self._alias = alias
        self._sent = sent

    def write(self, envelopes: Sequence[Envelope]) -> list[Refused]:
        """Write ``envelopes`` and remember those that were not refused."""
        return self._noted(envelopes, super().write(envelopes))

    async def awrite(self, envelopes: Sequence[Envelope]) -> list[Refused]:
        """As :meth:`write`."""
        return self._noted(envelopes, await super().awrite(envelopes))

    def _noted(self, envelopes: Sequence[Envelope], refused: list[Refused]) -> list[Refused]:
        lost = {id(refusal.envelope) for refusal in refused}
        self._sent.note(self._alias, [envelope for envelope in envelopes if id(envelope) not in lost])
        return refused


class StagedLayer(ChannelLayerWrapper):
    """A layer of one test, with the routing of the settings, and the ``bench`` that runs its consumers."""

    channel_layer: RecordingLayer

    def __init__(self, stage: Stage, alias: str, config: Mapping[str, Any]) -> None:
        layer = RecordingLayer(alias, stage.sent, clock=stage.clock, **common_options(config))
        super().__init__(layer, alias, config["ROUTING"])
        self.stage = stage
        self.bench = Bench(self)
        self.warned.add(None)  # that nothing reads it: the test does

    def make_router(self, routing: Any) -> Router:
        """Return a router for ``routing`` with the default routes, as under ``runserver``."""
        router = super().make_router(routing)
        router.check_default()
        return router


class Stage:
    """Puts layers in memory in place of those of the settings while its ``with`` block runs.

    ``aliases`` are all of ``CHANNEL_LAYERS`` unless given. Consumers run in the thread of the test, when the test or a
    client says so, and ``on_commit`` callbacks do as well.
    """

    def __init__(self, aliases: Iterable[str] | None = None) -> None:
        self.clock = Clock()
        self.sent = Sent(self.waiting, self.client_name)
        chosen = list(channel_layers.configs) if aliases is None else list(aliases)
        self.layers = {alias: StagedLayer(self, alias, channel_layers.config(alias)) for alias in chosen}
        self._former: dict[str, ChannelLayerWrapper | None] = {}

    def __enter__(self) -> Self:
        for alias, layer in self.layers.items():
            self._former[alias] = channel_layers.set(alias, layer)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for alias, former in self._former.items():
            channel_layers.set(alias, former)

    def layer(self, alias: str) -> StagedLayer:
        """Return the layer ``alias``; raise :exc:`KeyError` if it is not among those of the test."""
        if alias not in self.layers:
            hint = did_you_mean(alias, self.layers)
            raise KeyError(f"the test has no layer {alias!r} of its own, only {sorted(self.layers)!r}.{hint}")
        return self.layers[alias]

    # -- time and consumers ----------------------------------------------------------------------------------------

    def settle(self) -> None:
        """Run ``on_commit`` callbacks and hand over what has arrived for clients."""
        run_callbacks()
        for layer in self.layers.values():
            layer.bench.deliver()

    def run_consumers(self) -> int:
        """Run consumers until no message waits for one, and return how many were run; raise what they raise."""
        self.settle()
        total = 0
        while count := sum(layer.bench.run_all() for layer in self.layers.values()):
            total += count
        return total

    def advance(self, seconds: float) -> int:
        """Let time pass on the clock of the layers, then run what falls due; as :meth:`run_consumers`."""
        self.clock.advance(seconds)
        for layer in self.layers.values():
            layer.bench.release_due()
        return self.run_consumers()

    def waiting(self) -> str:
        """Return what waits for a consumer, as a sentence, or nothing."""
        return " ".join(filter(None, (layer.bench.waiting() for layer in self.layers.values())))

    def client_name(self, channel: str) -> str:
        """Return whose reply channel ``channel`` is, for people."""
        for layer in self.layers.values():
            if channel in layer.bench.connections:
                return repr(layer.bench.connections[channel])
        return repr(channel)

    # -- what was sent ---------------------------------------------------------------------------------------------

    def get_next_message(
        self, channel: str, alias: str = DEFAULT_CHANNEL_LAYER, require: bool = False
    ) -> Message | None:
        """Take the next message of ``channel``; if there is none, return ``None`` or raise :exc:`AssertionError`."""
        self.settle()
        message = self.layer(alias).bench.next_message(channel)
        if message is None and require:
            raise AssertionError(f"No message waits on {channel!r}. {self.waiting()}".rstrip())
        return message

    def assert_sent(
        self,
        channel: str | Channel | Client,
        content: Any = ANYTHING,
        *,
        json: Any = ANYTHING,
        alias: str = DEFAULT_CHANNEL_LAYER,
    ) -> dict[str, Any]:
        """Return the first message sent to ``channel`` that is ``content``, or says ``json`` in its text.

        One that an assertion or a client has looked at before does not count. Raises :exc:`AssertionError` that shows
        what was sent instead.
        """
        self.settle()
        return self.sent.assert_sent(False, name_of_channel(channel), content, json, alias)

    def assert_group_sent(
        self,
        group: str | Group,
        content: Any = ANYTHING,
        *,
        json: Any = ANYTHING,
        alias: str = DEFAULT_CHANNEL_LAYER,
    ) -> dict[str, Any]:
        """As :meth:`assert_sent`, of what was sent to ``group``."""
        self.settle()
        return self.sent.assert_sent(True, name_of_group(group), content, json, alias)

    def assert_nothing_sent(
        self,
        channel: str | Channel | Client | None = None,
        *,
        group: str | Group | None = None,
        alias: str = DEFAULT_CHANNEL_LAYER,
    ) -> None:
        """Raise :exc:`AssertionError` if anything was sent (there) that the test has not looked at."""
        self.settle()
        if channel is None and group is None:
            self.sent.assert_nothing_sent()
        if channel is not None:
            self.sent.assert_nothing_sent((False, name_of_channel(channel), alias))
        if group is not None:
            self.sent.assert_nothing_sent((True, name_of_group(group), alias))

    def forget_sent(self) -> None:
        """Count everything sent so far as looked at."""
        self.settle()
        self.sent.forget()


def name_of_channel(channel: str | Channel | Client) -> str:
    """Return the name of a channel, of a client its reply channel's."""
    if isinstance(channel, str):
        return channel
    return channel.name if isinstance(channel, Channel) else channel.reply_channel


def name_of_group(group: str | Group) -> str:
    """Return the name of a group."""
    return group if isinstance(group, str) else group.name


@contextmanager
def configured_layers(*aliases: str) -> Iterator[None]:
    """Use the layers ``aliases`` as ``CHANNEL_LAYERS`` has them, with their ``TEST_CONFIG``; for tests of a real one.

    They are emptied before and after. Raises :exc:`~channels.layers.InvalidChannelLayerError` without ``TEST_CONFIG``,
    lest a test empties what the site uses.
    """
    with ExitStack() as exits:
        for alias in aliases or (DEFAULT_CHANNEL_LAYER,):
            layer = channel_layers.make_test_backend(alias)
            exits.callback(layer.close)
            layer.flush()
            exits.callback(layer.flush)
            exits.callback(channel_layers.set, alias, channel_layers.set(alias, layer))
        yield


def staged(alias: str) -> StagedLayer:
    """Return the layer ``alias`` of the test that runs; raise :exc:`AssertionError` if it has none of its own."""
    layer = channel_layers[alias]
    if not isinstance(layer, StagedLayer):
        raise AssertionError(
            f"Clients need a channel layer of the test's own, and {alias!r} is none: derive the test case from "
            "channels.test.ChannelTestCase (or TransactionChannelTestCase), with the alias among test_channel_aliases "
            "where that is set; under pytest, use a fixture such as ws_client or channel_stage."
        )
    return layer
