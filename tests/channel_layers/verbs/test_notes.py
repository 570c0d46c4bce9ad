"""What a layer without notes says of them; :mod:`channel_layers.conformance.notes` tests those that keep some."""

from __future__ import annotations

import asyncio
from typing import Any, ClassVar

import pytest

from channel_layers.base import BaseChannelLayer
from channel_layers.conformance.notes import NoteConformance
from channel_layers.envelope import Envelope, done, note
from channel_layers.exceptions import ExtensionMissing
from channel_layers.memory import MemoryChannelLayer
from channel_layers.verbs.notes import NoteVerbs, outdated


class ForgetfulLayer(MemoryChannelLayer):
    """A layer that keeps no notes."""

    extensions: ClassVar[list[str]] = ["groups", "flush", "turns"]
    read_note = NoteVerbs.read_note
    aread_note = NoteVerbs.aread_note


class TestForgetfulLayer(NoteConformance):
    """The suite for a layer without notes: it says so."""

    def make_layer(self, **options: Any) -> BaseChannelLayer:
        return ForgetfulLayer(**options)

    def test_its_verbs_say_where_notes_are_kept(self, layer: BaseChannelLayer) -> None:
        """Whoever calls one learns what to look for, and which layers have it; a coroutine, too."""
        with pytest.raises(ExtensionMissing, match=r"ForgetfulLayer keeps no notes of connections: .*'notes'.*memory"):
            layer.read_note("x!1", "session")
        with pytest.raises(ExtensionMissing, match="keeps no notes"):
            asyncio.run(layer.aread_note("x!1", "session"))
        with pytest.raises(ExtensionMissing, match="keeps no notes"):
            asyncio.run(layer.akeep_note("x!1", "session", b"1:"))


def test_a_session_that_comes_too_late_is_counted() -> None:
    """What a consumer had changed is lost: the loss names its connection."""
    layer = MemoryChannelLayer()
    layer.count_outdated(done("x!1", 1, session=b"1:"))
    assert layer.losses.counts == {"session change lost": 1}


@pytest.mark.parametrize("envelope", [note("x!1", "session", b"1:"), done("x!1", 1, session=b"1:")])
def test_what_is_outdated_names_its_connection(envelope: Envelope) -> None:
    """That is all that is told of it: what it brought may be a secret."""
    assert str(outdated(envelope)) == "something newer was kept of 'x!1' after it had been read"
