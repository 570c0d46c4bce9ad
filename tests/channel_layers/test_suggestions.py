import pytest

from channel_layers.suggestions import closest, did_you_mean


@pytest.mark.parametrize(
    ("word", "expected"),
    [("connct", "connect"), ("CONNECT", "connect"), ("receiver", "Receive"), ("zzz", None), ("", None)],
)
def test_closest_ignores_letter_case(word: str, expected: str | None) -> None:
    """The most similar name is found as it is written, or nothing."""
    assert closest(word, ["connect", "Receive"]) == expected


def test_similarity_can_be_demanded() -> None:
    """With a higher threshold a vague likeness is none."""
    assert closest("chat.receive", ["websocket.receive"]) == "websocket.receive"
    assert closest("chat.receive", ["websocket.receive"], similarity=0.8) is None


def test_did_you_mean_ends_a_sentence() -> None:
    """The suggestion is a sentence with a space in front, or nothing."""
    assert did_you_mean("pth", ["path", "order"]) == " Did you mean 'path'?"
    assert did_you_mean("pth", []) == ""


def test_nobody_means_what_they_said() -> None:
    """A class that exists and cannot be imported is not suggested in its own place."""
    assert did_you_mean("path", ["path", "paths"]) == ""
    assert did_you_mean("Path", ["path"]) == " Did you mean 'path'?"
