"""What was sent in a test, and the assertions on it."""

from __future__ import annotations

import json as json_module
import pprint
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from difflib import ndiff
from typing import Any, Final

from channel_layers import codec
from channel_layers.envelope import GROUP, MESSAGE, Envelope
from channel_layers.suggestions import did_you_mean

__unittest = True  # its frames stay out of the traceback of a failed assertion

ANYTHING: Final[Any] = type("Anything", (), {"__repr__": lambda self: "anything"})()
"""Stands for whatever was sent."""

SHOWN: Final = 10
"""Messages that a failed assertion lists."""


@dataclass(eq=False, slots=True)
class Sending:
    """One message that was sent. ``seen`` is whether the test has looked at it."""

    alias: str
    envelope: Envelope
    address: str
    seen: bool = False

    @property
    def is_to_group(self) -> bool:
        """Whether it was sent to a group."""
        return self.envelope.kind == GROUP

    @property
    def content(self) -> dict[str, Any]:
        """The message."""
        content: dict[str, Any] = codec.decode(self.envelope.content)
        return content

    def __str__(self) -> str:
        sender = self.envelope.route or "the test, or a view or signal in it"
        left_out = f", without {', '.join(self.envelope.without)}" if self.envelope.without else ""
        return f"to {self.address}{left_out}: {self.content!r:.500}\n      by {sender}"


class Sent:
    """What was sent on the layers of a test, oldest first.

    An assertion looks at what no other has looked at before, and a client that has received a message has looked at
    it. So two messages that are alike need two assertions, and :meth:`assert_nothing_sent` at the end says that nothing
    else was sent.

    ``waiting`` says what no consumer has handled yet, ``client_name`` whose a reply channel is.
    """

    def __init__(self, waiting: Callable[[], str], client_name: Callable[[str], str]) -> None:
        self._sendings: list[Sending] = []
        self._by_envelope: dict[int, Sending] = {}
        self._waiting = waiting
        self._client_name = client_name

    def note(self, alias: str, envelopes: Iterable[Envelope]) -> None:
        """Remember messages among ``envelopes``, which were written to the layer ``alias``."""
        for envelope in envelopes:
            if envelope.kind in (MESSAGE, GROUP):
                sending = Sending(alias, envelope, self._address(envelope.kind == GROUP, envelope.target))
                self._sendings.append(sending)
                self._by_envelope[id(envelope)] = sending

    def see(self, envelope: Envelope) -> None:
        """The test has looked at ``envelope``."""
        sending = self._by_envelope.get(id(envelope))
        if sending is not None:
            sending.seen = True

    def forget(self) -> None:
        """Count everything sent so far as looked at."""
        for sending in self._sendings:
            sending.seen = True

    def to(self, is_group: bool, target: str, alias: str) -> list[Sending]:
        """Return all that was sent to a channel or a group."""
        return [s for s in self._sendings if (s.alias, s.is_to_group, s.envelope.target) == (alias, is_group, target)]

    @property
    def unseen(self) -> list[Sending]:
        """What the test has not looked at."""
        return [sending for sending in self._sendings if not sending.seen]

    def assert_sent(self, is_group: bool, target: str, content: Any, json: Any, alias: str) -> dict[str, Any]:
        """Return the first message to ``target`` that is like ``content``, or whose text is like ``json``.

        Raises :exc:`AssertionError` that shows what was sent instead.
        """
        candidates = self.to(is_group, target, alias)
        if content is not ANYTHING:
            content = codec.decode(codec.encode(content))  # as it would arrive: tuples as lists, for one
        for sending in candidates:
            if not sending.seen and _is_like(sending.content, content, json):
                sending.seen = True
                return sending.content
        expected = content if json is ANYTHING else json
        raise AssertionError(self._failure(is_group, target, expected, json is not ANYTHING, candidates))

    def assert_nothing_sent(self, where: tuple[bool, str, str] | None = None) -> None:
        """Raise :exc:`AssertionError` that shows what was sent, unless nothing was that the test has not looked at.

        ``where`` is a channel or group and its layer; without it, everything counts.
        """
        found = self.unseen if where is None else [sending for sending in self.to(*where) if not sending.seen]
        if found:
            place = "" if where is None else f" to {self._address(*where[:2])}"
            raise AssertionError(
                f"Expected nothing to be sent{place}, but {_were_sent(len(found))}:\n"
                f"{listed(found)}\nLook at a message with assert_sent(), assert_group_sent() or a client's receive(), "
                "or call forget_sent() once you are through with what was sent so far."
            )

    def _failure(self, is_group: bool, target: str, expected: Any, is_json: bool, candidates: list[Sending]) -> str:
        lines = [f"No such message was sent to {self._address(is_group, target)}."]
        if expected is not ANYTHING:
            lines.append(f"Expected{' as JSON in its text' if is_json else ''}: {expected!r:.500}")
        unseen = [sending for sending in candidates if not sending.seen]
        if unseen:
            lines += ["Sent there were:", listed(unseen)]
            lines += _difference(expected, _content_as(unseen[0].content, is_json)) if len(unseen) == 1 else []
        elif candidates:
            lines += ["Sent there were only such as this test has looked at before:", listed(candidates)]
        else:
            lines.append(self._elsewhere(is_group, target))
        waiting = self._waiting()
        return "\n".join([*lines, *([waiting] if waiting else [])])

    def _address(self, is_group: bool, target: str) -> str:
        if is_group:
            return f"group {target!r}"
        return self._client_name(target) if "!" in target else f"channel {target!r}"

    def _elsewhere(self, is_group: bool, target: str) -> str:
        if not self._sendings:
            return "Nothing at all was sent."
        same_kind = {s.envelope.target for s in self._sendings if s.is_to_group == is_group}
        twin = any(s.is_to_group != is_group and s.envelope.target == target for s in self._sendings)
        kinds = ("a group: assert_group_sent()", "a channel: assert_sent()")
        hint = f" {target!r} is {kinds[is_group]} looks there." if twin else did_you_mean(target, same_kind)
        return f"Nothing was sent there.{hint} Sent elsewhere were:\n{listed(self._sendings)}"


def listed(sendings: list[Sending]) -> str:
    """Return the messages, a few lines each."""
    lines = [f"  - {sending}" for sending in sendings[:SHOWN]]
    more = len(sendings) - SHOWN
    return "\n".join(lines + ([f"  and {more} more"] if more > 0 else []))


def _were_sent(count: int) -> str:
    if count == 1:
        return "one message was, and this test has not looked at it"
    return f"{count} messages were, and this test has not looked at them"


def _is_like(sent: dict[str, Any], content: Any, json: Any) -> bool:
    if content is not ANYTHING and sent != content:
        return False
    return json is ANYTHING or _content_as(sent, True) == json


def _content_as(sent: dict[str, Any], is_json: bool) -> Any:
    """Return the message, or what its text says as JSON, or the text where that is none."""
    if not is_json:
        return sent
    text = sent.get("text")
    try:
        return json_module.loads(text) if isinstance(text, str) else text
    except ValueError:
        return text


def _difference(expected: Any, sent: Any) -> list[str]:
    lines = ndiff(pprint.pformat(expected, width=100).splitlines(), pprint.pformat(sent, width=100).splitlines())
    return ["Expected (-) and sent (+):", *(f"  {line.rstrip()}" for line in lines)]
