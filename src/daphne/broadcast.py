"""A message to a group as the members of this process get it, and what it means that one of them is slow."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from fnmatch import translate
from typing import Any, Final

from daphne.compression import Deflater
from daphne.framing import binary_frame, deflated_binary_frame, deflated_text_frame, text_frame

CLOSE: Final = "close"
"""A client that has too much unread is closed with 1013."""
DROP_OLDEST: Final = "drop-oldest"
"""Of what a slow client has unread, the oldest messages of such groups are dropped."""
COALESCE: Final = "coalesce"
"""Of what waits for a slow client, only the newest message of the group is kept."""
POLICIES: Final = (CLOSE, DROP_OLDEST, COALESCE)
MAX_SHARE_SIZE: Final = 16 * 1024
"""Bytes of frames that are written as one: what is longer costs more to copy than a write, and can be dropped later."""


def data_frame(content: dict[str, Any], deflater: Deflater | None = None) -> bytes | None:
    """Return the ``text`` or ``bytes`` of a message as a frame, or ``None`` if it has neither."""
    text = content.get("text")
    if text is not None:
        return text_frame(text) if deflater is None else deflated_text_frame(text, deflater)
    data = content.get("bytes")
    if data is None:
        return None
    return binary_frame(data) if deflater is None else deflated_binary_frame(data, deflater)


class Broadcast:
    """One message to a group. ``frame`` is its data as it is, ``policy`` one of :data:`POLICIES`."""

    __slots__ = ("_deflated", "content", "frame", "group", "policy")

    def __init__(self, group: str, content: dict[str, Any], frame: bytes | None, policy: str = CLOSE) -> None:
        self.group = group
        self.content = content
        self.frame = frame
        self.policy = policy
        self._deflated: dict[int, bytes | None] = {}

    def deflated(self, deflater: Deflater) -> bytes | None:
        """Return the frame for the members with this deflater: it is made once for all of them."""
        bits = deflater.window_bits
        if bits not in self._deflated:
            self._deflated[bits] = data_frame(self.content, deflater)
        return self._deflated[bits]


class Share:
    """Messages to groups that one member gets one after another; ``broadcasts`` has them in order."""

    __slots__ = ("_frames", "broadcasts")

    def __init__(self, broadcasts: Sequence[Broadcast]) -> None:
        self.broadcasts = broadcasts
        self._frames: dict[int, bytes] = {}

    def frames(self, deflater: Deflater | None) -> bytes:
        """Return all frames in one piece, made once for all members with this deflater.

        Nothing is returned if they have to be written one by one: one of them closes or has no data, or they are long.
        """
        bits = 0 if deflater is None else deflater.window_bits
        if bits not in self._frames:
            self._frames[bits] = self._joined(deflater)
        return self._frames[bits]

    def _joined(self, deflater: Deflater | None) -> bytes:
        frames = [each.frame if deflater is None else each.deflated(deflater) for each in self.broadcasts]
        found = [frame for frame in frames if frame is not None]
        is_plain = len(found) == len(frames) and not any(each.content.get("close") for each in self.broadcasts)
        return b"".join(found) if is_plain and sum(map(len, found)) <= MAX_SHARE_SIZE else b""


class WritePolicies:
    """Which policy a group has: ``rules`` are pairs of a shell glob and a policy, the first that matches counts.

    Raises :exc:`ValueError` for a policy that does not exist.
    """

    def __init__(self, rules: Iterable[tuple[str, str]] = ()) -> None:
        self._rules = [(re.compile(translate(glob)), policy) for glob, policy in rules]
        for _, policy in self._rules:
            if policy not in POLICIES:
                raise ValueError(f"a write policy is {', '.join(POLICIES)}; there is no {policy!r}")

    def of(self, group: str) -> str:
        """Return the policy of ``group``."""
        return next((policy for pattern, policy in self._rules if pattern.match(group)), CLOSE)
