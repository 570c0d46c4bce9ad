"""What waits for a slow client comes out as it went in, and leaves nothing behind."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daphne import spool
from daphne.spool import IN_MEMORY, Spool

STEPS = st.lists(st.one_of(st.binary(min_size=1, max_size=60), st.integers(1, 50)), max_size=60)


@given(steps=STEPS)
def test_bytes_come_out_in_their_order(steps: list[bytes | int]) -> None:
    """However much goes in or out at a time, in memory or in the file."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(spool, "IN_MEMORY", 100)
        waiting, expected = Spool(), b""
        for step in steps:
            if isinstance(step, bytes):
                waiting.append(step)
                expected += step
            elif expected:
                taken = waiting.take(step)
                assert taken
                assert expected.startswith(taken)
                expected = expected[len(taken) :]
            assert waiting.size == len(expected)
        while waiting.size:
            taken = waiting.take(1000)
            assert expected.startswith(taken)
            expected = expected[len(taken) :]
        assert expected == b""
        waiting.close()


def test_only_much_is_in_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The file has no name, so that nothing of it outlasts the process, and goes when it was read."""
    made: list[Any] = []
    create = tempfile.TemporaryFile

    def record(**options: Any) -> Any:
        made.append(create(dir=tmp_path, **options))
        return made[-1]

    monkeypatch.setattr(tempfile, "TemporaryFile", record)
    waiting = Spool()
    waiting.append(bytes(IN_MEMORY))
    assert made == []
    waiting.append(b"more")
    assert (len(made), list(tmp_path.iterdir())) == (1, [])
    assert waiting.take(IN_MEMORY) == bytes(IN_MEMORY)
    assert waiting.take(IN_MEMORY) == b"more"
    assert made[0].closed
    waiting.append(b"little")
    assert (len(made), waiting.take(3)) == (1, b"little")
    waiting.append(bytes(IN_MEMORY + 1))
    waiting.close()
    assert (made[1].closed, waiting.size) == (True, 0)
    waiting.close()
