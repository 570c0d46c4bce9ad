"""The opening handshake of a test's client: decided as by an interface server."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from channel_layers.envelope import UNDECIDED
from channel_layers.opening import REFUSALS, accepts, accepts_in_the_end, has_data, refuses


class HandshakeRefused(AssertionError):
    """The WebSocket was not let in.

    ``status``, ``headers`` (pairs of bytes) and ``content`` (bytes) are what the client gets, ``reason`` is for the
    log.
    """

    def __init__(
        self, status: int, reason: str, headers: list[tuple[bytes, bytes]] | None = None, content: bytes = b""
    ) -> None:
        super().__init__(status, reason)
        self.status = status
        self.reason = reason
        self.headers = headers or []
        self.content = content

    def __str__(self) -> str:
        return f"the WebSocket was refused with {self.status}: {self.reason}"


class Opening:
    """What has been said of a handshake: ``accepted`` holds the deciding reply, ``refused`` the refusal."""

    def __init__(self) -> None:
        self.accepted: Mapping[str, Any] | None = None
        self.refused: HandshakeRefused | None = None
        self._answered = False

    @property
    def is_decided(self) -> bool:
        """Whether the socket is let in or refused."""
        return self.accepted is not None or self.refused is not None

    def hear(self, content: Mapping[str, Any], from_group: bool) -> None:
        """A message for the socket may decide, if a consumer and not a group sent it."""
        if self.is_decided or from_group:
            return
        if refuses(content):
            reason = content.get("reason") or "its consumer refused"
            headers = [(name, value) for name, value in content.get("headers") or ()]
            self.refused = HandshakeRefused(content.get("status") or 403, reason, headers, content.get("body") or b"")
        elif accepts(content):
            self.accepted = content
        self._answered = self._answered or has_data(content)

    def end(self, outcome: int) -> None:
        """The connect consumer has ended without a decision, which may now wait for somebody else's."""
        if accepts_in_the_end(outcome, self._answered):
            self.accepted = {}
        elif outcome != UNDECIDED:
            self.refused = HandshakeRefused(*REFUSALS[outcome])
