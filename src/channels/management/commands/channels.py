"""What happens on a channel layer, seen from outside: who is there, does a message arrive, how long does it take."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from django.core.management.base import BaseCommand, CommandError, CommandParser

from channel_layers import codec
from channel_layers.base import BaseChannelLayer
from channel_layers.envelope import EVENT, Envelope
from channel_layers.exceptions import ChannelFull, InvalidContent, InvalidName, MessageTooLarge
from channel_layers.registry import Announcement
from channel_layers.suggestions import did_you_mean
from channels.layers import ChannelLayerWrapper
from channels.management.layer import add_layer_option, shared_layer

COUNT: Final = 3
TIMEOUT: Final = 5.0
PING_KIND: Final = "channels.ping"
"""Kind of the inbox that answers to a ping arrive in."""
COLUMNS: Final = ("role", "pid", "host", "slots", "connections", "age", "channels")


class Command(BaseCommand):
    """``status``, ``send`` and ``ping``."""

    help = "Shows the processes on a channel layer, sends a message, or measures round trips through workers."
    requires_system_checks = ()  # it is there to find out what is wrong

    def add_arguments(self, parser: CommandParser) -> None:
        """Add the three subcommands and their options."""
        commands = parser.add_subparsers(dest="subcommand", required=True, metavar="status | send | ping")
        status = commands.add_parser("status", help="Lists the processes that are alive.")
        status.add_argument("--json", action="store_true", dest="as_json", help="Print JSON.")
        send = commands.add_parser("send", help="Sends one message to a channel.")
        send.add_argument("channel", metavar="CHANNEL", help="A channel, or a reply channel.")
        send.add_argument("content", metavar="JSON", help="The message: a JSON object.")
        ping = commands.add_parser("ping", help="Measures round trips through workers; no consumer is called.")
        ping.add_argument("channels", nargs="*", metavar="CHANNEL", help="Channels to ping (all that workers read).")
        ping.add_argument("--count", type=int, default=COUNT, help=f"Round trips for each channel ({COUNT}).")
        ping.add_argument(
            "--timeout",
            type=float,
            default=TIMEOUT,
            metavar="SECONDS",
            help=f"How long to wait for an answer ({TIMEOUT:g}).",
        )
        for each in (status, send, ping):
            add_layer_option(each)

    def handle(self, *args: Any, **options: Any) -> None:
        """Do what the subcommand says; raise :exc:`CommandError` if the layer or the workers do not answer."""
        layer = shared_layer(options["layer"])
        subcommand = {"status": self._status, "send": self._send, "ping": self._ping}[options["subcommand"]]
        try:
            subcommand(layer, options)
        except OSError as error:
            raise CommandError(f"the channel layer {layer} does not answer: {error}") from error

    def _status(self, layer: ChannelLayerWrapper, options: Mapping[str, Any]) -> None:
        now = layer.clock()
        found = [described(process, now) for process in layer.processes()]
        found.sort(key=lambda row: (row["role"], row["host"], row["pid"]))
        if options["as_json"]:
            self.stdout.write(json.dumps(found, indent=2))
        elif found:
            self.stdout.write(table(found))
        else:
            self.stdout.write(f"No process is alive on the channel layer {layer}.")

    def _send(self, layer: ChannelLayerWrapper, options: Mapping[str, Any]) -> None:
        channel = options["channel"]
        try:
            layer.send(channel, json.loads(options["content"]))
        except json.JSONDecodeError as error:
            raise CommandError(f"the message is not JSON: {error}: {options['content']!r}") from error
        except (ChannelFull, InvalidContent, InvalidName, MessageTooLarge) as error:
            raise CommandError(str(error)) from error
        self.stdout.write(f"Sent to {channel}.")
        read = read_channels(layer)
        if channel not in read and "!" not in channel and "?" not in channel:
            hint = did_you_mean(channel, read)
            self.stderr.write(f"No worker reads {channel!r} now; the message waits for {layer.expiry:g} s.{hint}")

    def _ping(self, layer: ChannelLayerWrapper, options: Mapping[str, Any]) -> None:
        if options["count"] < 1:
            raise CommandError(f"--count is 1 or more, not {options['count']}")
        read = read_channels(layer)
        channels = options["channels"] or sorted(read)
        if not channels:
            raise CommandError(f"no worker is alive on the channel layer {layer}; start one: manage.py runworker")
        for channel in channels:
            if channel not in read:
                raise CommandError(f"no worker reads {channel!r}.{did_you_mean(channel, read)}")
        self.stdout.write("From here into the queue of a channel, to a worker that reads it, and back:")
        self._ping_all(Pinger(layer.channel_layer, options["timeout"]), channels, options["count"])

    def _ping_all(self, pinger: Pinger, channels: Iterable[str], count: int) -> None:
        try:
            for channel in channels:
                seconds = [pinger.round_trip(channel) for _ in range(count)]
                self.stdout.write(f"{channel}: {', '.join(f'{each * 1000:.2f}' for each in seconds)} ms")
        except TimeoutError as error:
            raise CommandError(str(error)) from error
        finally:
            pinger.close()


class Pinger:
    """Sends events without content, which a worker settles and gives to no consumer; waits for that.

    What it measures is the way through the layer and the wait for a free slot, queued messages included.
    """

    def __init__(self, layer: BaseChannelLayer, timeout: float) -> None:
        self._layer = layer
        self._timeout = timeout
        self._inbox = layer.inbox(PING_KIND)
        self._channel = self._inbox.new_channel()
        self._count = 0

    def round_trip(self, channel: str) -> float:
        """Return how many seconds it took; raise :exc:`TimeoutError`, with nothing left in the queue."""
        self._count += 1
        event = Envelope(EVENT, channel, codec.join([]), self._channel, self._count)
        started = time.monotonic()
        self._layer.write([event])
        while (left := started + self._timeout - time.monotonic()) > 0:
            if any(delivery.envelope.token == self._count for delivery in self._inbox.receive(left)):
                return time.monotonic() - started
        self._layer.retract(event)
        waiting = self._layer.depth(channel)
        raise TimeoutError(
            f"{channel}: no answer in {self._timeout:g} s; {waiting} messages wait there. "
            "Its workers are busy or gone: see manage.py channels status."
        )

    def close(self) -> None:
        """Give the inbox up."""
        self._inbox.close()


def read_channels(layer: ChannelLayerWrapper) -> set[str]:
    """Return the channels that live workers read."""
    return {channel for process in layer.processes() for channel in process.channels}


def described(process: Announcement, now: float) -> dict[str, Any]:
    """Return what ``status`` tells of a process; ``age`` is seconds since its heartbeat."""
    return {
        "role": "worker" if process.slots else "server",
        "process": process.process,
        "pid": process.pid,
        "host": process.host,
        "slots": process.slots,
        "connections": process.connections,
        "age": round(max(0.0, now - process.time), 1),
        "channels": list(process.channels),
    }


def table(rows: Sequence[Mapping[str, Any]]) -> str:
    """Return ``rows`` as text in columns, below their names."""
    cells = [list(COLUMNS), *([_cell(row[name]) for name in COLUMNS] for row in rows)]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    return "\n".join("  ".join(map(str.ljust, line, widths)).rstrip() for line in cells)


def _cell(value: object) -> str:
    return ", ".join(value) if isinstance(value, list) else str(value)
