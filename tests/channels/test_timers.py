import logging
import threading

import pytest

from channels.timers import Timers

PATIENCE = 10.0


def test_calls_are_made_when_they_are_due() -> None:
    """The earliest first, whenever it was asked for; one may ask to be called again."""
    timers, made, ended = Timers("tests"), list[str](), threading.Event()

    def again() -> float | None:
        made.append("again")
        return 0.001 if made.count("again") < 3 else None

    timers.after(0.05, ended.set)
    timers.after(0.02, lambda: made.append("late"))
    timers.after(0.001, again)
    assert ended.wait(PATIENCE)
    assert made == ["again", "again", "again", "late"]


def test_a_call_that_fails_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    """The others are made all the same."""
    timers, ended = Timers("tests"), threading.Event()

    def fail() -> float | None:
        raise KeyError("nick")

    with caplog.at_level(logging.ERROR):
        timers.after(0.001, fail)
        timers.after(0.002, ended.set)
        assert ended.wait(PATIENCE)
    assert "tests: a call failed" in caplog.text


def test_no_thread_runs_while_nothing_is_due() -> None:
    """It ends with the last call, and another one begins with the next."""
    timers = Timers("tests")
    for _ in range(2):
        ended = threading.Event()
        timers.after(0, ended.set)
        assert ended.wait(PATIENCE)
        while timers._thread is not None:
            pass
