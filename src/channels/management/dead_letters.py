"""What can be done with messages that were set aside: look at them, send them again, forget them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, Final

from django.core.management.base import CommandError, CommandParser

from channel_layers.dead import DeadLetter
from channel_layers.exceptions import ChannelFull, InvalidName
from channels.layers import ChannelLayerWrapper
from channels.management.tables import table

COLUMNS: Final = ("key", "channel", "age", "runs", "reason")
MAX_REASON: Final = 100
"""Characters of a reason in the list; ``--json`` has all of it."""


def add_arguments(parser: CommandParser) -> None:
    """Add the options of ``channels dead``."""
    parser.add_argument("keys", nargs="*", metavar="KEY", help="Messages by their keys (all).")
    parser.add_argument("--channel", metavar="CHANNEL", help="Only messages of this channel.")
    parser.add_argument("--json", action="store_true", dest="as_json", help="Print JSON, with the contents.")
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--resend", action="store_true", help="Send them again, as if for the first time.")
    what.add_argument("--drop", action="store_true", help="Forget them.")


def outcome(layer: ChannelLayerWrapper, options: Mapping[str, Any]) -> str:
    """Do what the options say; return what a person reads. Raises :exc:`CommandError`."""
    letters = _chosen(layer.dead_letters(), options["keys"], options["channel"])
    keys = [letter.key for letter in letters]
    if options["drop"]:
        return f"{_counted(layer.drop_dead(keys))} dropped."
    if options["resend"]:
        return f"{_counted(_resend(layer, keys))} sent again."
    now = layer.clock()
    rows = [described(letter, now) for letter in letters]
    if options["as_json"]:
        return json.dumps(rows, indent=2, default=repr)
    return (
        table(COLUMNS, [{**row, "reason": _shortened(row["reason"])} for row in rows])
        if rows
        else "Nothing is set aside."
    )


def described(letter: DeadLetter, now: float) -> dict[str, Any]:
    """Return what is told of a message; ``age`` is seconds since it was set aside, ``runs`` how often it was tried."""
    return {
        "key": letter.key,
        "channel": letter.channel,
        "age": round(max(0.0, now - letter.time), 1),
        "runs": letter.redelivered + 1,
        "reason": letter.reason,
        "sender": letter.route,
        "content": letter.decoded(),
    }


def _chosen(letters: Sequence[DeadLetter], keys: Sequence[str], channel: str | None) -> list[DeadLetter]:
    unknown = set(keys) - {letter.key for letter in letters}
    if unknown:
        raise CommandError(f"nothing that is set aside has the key {', '.join(sorted(unknown))}; see channels dead")
    return [letter for letter in letters if (not keys or letter.key in keys) and channel in (None, letter.channel)]


def _resend(layer: ChannelLayerWrapper, keys: Sequence[str]) -> int:
    sent = 0
    try:
        for key in keys:
            sent += layer.resend_dead([key])
    except (ChannelFull, InvalidName) as error:
        raise CommandError(f"{_counted(sent)} sent again, then: {error}") from error
    return sent


def _counted(n: int) -> str:
    return f"{n} message{'s'[: n != 1]}"


def _shortened(reason: str) -> str:
    line = " ".join(reason.split())
    return line if len(line) <= MAX_REASON else line[:MAX_REASON] + "…"
