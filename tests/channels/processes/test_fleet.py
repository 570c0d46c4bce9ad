"""A fleet of real processes: kept alive, replaced, ended."""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import Awaitable, Callable

import pytest

from channels.processes import fleet
from channels.processes.child import Child, Launch
from channels.processes.fleet import LONGEST_DELAY, Fleet, delay_of
from tests.channels.processes.children import Kept, kill


@pytest.fixture(autouse=True)
def _lines(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "django.channels.processes")


def run(main: Callable[[], Awaitable[None]]) -> None:
    """Run a test in a loop, which must leave no task behind."""

    async def whole() -> None:
        await main()
        assert asyncio.all_tasks() == {asyncio.current_task()}

    asyncio.run(whole())


# -- keeping -----------------------------------------------------------------------------------------------------------


def test_as_many_as_asked_for() -> None:
    """Each with a name; told to end they end in order."""

    async def main() -> None:
        kept = Kept(3)
        await kept.ready(3)
        assert sorted(child.name for child in kept.started) == ["worker 1", "worker 2", "worker 3"]
        assert kept.launched == [(name, False) for name in ("worker 1", "worker 2", "worker 3")]
        assert await kept.stopped()
        ends = sorted(name for word, name in kept.happened if word == "ended")
        assert ends == ["worker 1", "worker 2", "worker 3"]

    run(main)


def test_one_that_is_killed_is_started_again_at_once(caplog: pytest.LogCaptureFixture) -> None:
    """In the same place; the line names it and says what happened."""

    async def main() -> None:
        kept = Kept(2)
        await kept.ready(2)
        first = next(child for child in kept.started if child.name == "worker 1")
        kill(first)
        again = await kept.ready(3)
        assert (again.name, again.pid != first.pid) == ("worker 1", True)
        assert ("ended", "worker 1") in kept.happened
        assert f"worker 1 (process {first.pid}) was ended by SIGKILL; another is started now" in caplog.messages
        assert await kept.stopped()

    run(main)


def test_one_that_dies_again_and_again_has_to_wait(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Longer each time; the fleet lives on."""
    monkeypatch.setattr(fleet, "FIRST_DELAY", 0.01)

    async def main() -> None:
        kept = Kept(behaviour="dies")
        await kept.ready(4)
        await kept.stopped()
        assert " ended with status 3; another is started now" in caplog.messages[0]
        assert " ended with status 3; another is started in 0.0 s" in caplog.messages[1]

    run(main)


def test_delays_grow_up_to_a_limit() -> None:
    """None at first; then doubled each time, and different for each process."""
    assert [delay_of(n) for n in (0, 1)] == [0.0, 0.0]
    for failures in range(2, 100):
        longest = min(0.5 * 2 ** (failures - 2), LONGEST_DELAY)
        assert longest / 2 <= delay_of(failures) <= longest
    assert len({delay_of(50) for _ in range(10)}) == 10


def test_one_that_has_lived_for_long_is_started_at_once(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What had happened before is forgotten."""
    monkeypatch.setattr(fleet, "STEADY", 0.0)

    async def main() -> None:
        kept = Kept(behaviour="dies")
        await kept.ready(4)
        await kept.stopped()
        assert all("another is started now" in line for line in caplog.messages[:3])

    run(main)


def test_a_fleet_that_never_began_ends(caplog: pytest.LogCaptureFixture) -> None:
    """With all that it has started, and says so."""

    async def main() -> None:
        kept = Kept(2, "fails")
        assert not await kept.ended()
        assert " ended with status 2 before it was ready: nothing is started" in caplog.messages[0]

    run(main)


@pytest.mark.parametrize(
    ("behaviour", "fault"),
    [
        ("fails with a reason", r"^worker does not start: the port is taken$"),
        ("fails", r"^worker does not start: worker \(process \d+\) ended with status 2 before it was ready$"),
    ],
)
def test_a_fleet_that_never_began_knows_why(behaviour: str, fault: str) -> None:
    """In the words of the process that did not start, if it had any: they can be said last."""

    async def main() -> None:
        kept = Kept(1, behaviour)
        assert kept.fleet.fault == ""
        assert not await kept.ended()
        assert re.search(fault, kept.fleet.fault)

    run(main)


def test_a_patient_fleet_waits_for_code_that_works(caplog: pytest.LogCaptureFixture) -> None:
    """It starts nothing until it is told that there is another."""

    async def main() -> None:
        kept = Kept(behaviour="fails", is_patient=True)
        await kept.when(lambda: kept.fleet.is_broken)
        kept.fleet.roll()
        await kept.when(lambda: len(kept.launched) == 2)
        kept.behaviour = "works"
        kept.fleet.roll()
        await kept.ready(1)
        await kept.when(lambda: not kept.fleet.is_broken)
        assert kept.launched == [("worker", False), ("worker", True), ("worker", True)]
        assert caplog.messages[0].endswith(" ended with status 2; another is started when its code has changed")
        assert await kept.stopped()

    run(main)


def test_a_program_that_is_missing_is_an_error() -> None:
    """It ends the fleet: nothing could mend that."""

    async def main() -> None:
        missing = Fleet("worker", 1, lambda name, is_new: Launch(["/no/such/program"]), stop_timeout=1)
        with pytest.raises(FileNotFoundError, match="/no/such/program"):
            await missing.run()

    run(main)


# -- replacing ---------------------------------------------------------------------------------------------------------


def test_a_roll_replaces_one_after_another(caplog: pytest.LogCaptureFixture) -> None:
    """Each new one is ready before the old one is told to end, and that has ended before the next begins."""

    async def main() -> None:
        kept = Kept(2)
        await kept.ready(2)
        del kept.happened[:], kept.launched[:]
        before = kept.fleet.rolled
        kept.fleet.roll()
        await kept.heard("ended", 2)
        assert kept.happened == [
            (word, name) for name in ("worker 1", "worker 2") for word in ("ready", "finishing", "ended")
        ]
        assert kept.launched == [("worker 1", True), ("worker 2", False)]
        assert kept.fleet.rolled > before
        await kept.when(lambda: "all 2 workers replaced" in caplog.messages)
        assert await kept.stopped()

    run(main)


def test_a_roll_that_is_asked_for_during_a_roll_comes_behind_it() -> None:
    """So the newest code is run in the end."""

    async def main() -> None:
        kept = Kept()
        await kept.ready(1)
        kept.fleet.roll()
        await kept.when(lambda: len(kept.launched) == 2)
        kept.fleet.roll()
        kept.fleet.roll()
        await kept.heard("ended", 2)
        assert len(kept.launched) == 3
        assert await kept.stopped()

    run(main)


def test_new_code_that_does_not_start_changes_nothing(caplog: pytest.LogCaptureFixture) -> None:
    """The processes that run go on; when the code is mended, the next roll replaces them."""

    async def main() -> None:
        kept = Kept(2)
        await kept.ready(2)
        kept.behaviour = "fails"
        kept.fleet.roll()
        await kept.when(lambda: kept.fleet.is_broken)
        assert not any(child.has_ended for child in kept.started)
        assert caplog.messages[-1] == "the new worker 1 does not start; what runs goes on as it is"
        kept.behaviour = "works"
        kept.fleet.roll()
        await kept.ready(4)
        assert await kept.stopped()

    run(main)


def test_one_that_takes_too_long_to_start_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """As one that fails."""
    monkeypatch.setattr(fleet, "START_TIMEOUT", 0.1)

    async def main() -> None:
        kept = Kept()
        await kept.ready(1)
        kept.behaviour = "starts for ever"
        kept.fleet.roll()
        await kept.when(lambda: kept.fleet.is_broken)
        assert await kept.stopped()

    run(main)


def test_a_process_asks_for_another_in_its_place(caplog: pytest.LogCaptureFixture) -> None:
    """It works until that is ready; the line has its reason."""

    async def main() -> None:
        kept = Kept(first=["is full"])
        first = await kept.ready(1)
        await kept.heard("ended")
        assert [word for word, _ in kept.happened] == ["ready", "replace", "ready", "finishing", "ended"]
        assert f"worker (process {first.pid}) is replaced: it is full" in caplog.messages
        assert await kept.stopped()

    run(main)


def test_one_is_replaced_on_request() -> None:
    """The others stay; a request for one that has been replaced already is none."""

    async def main() -> None:
        kept = Kept(2)
        await kept.ready(2)
        chosen = next(child for child in kept.started if child.name == "worker 2")
        kept.fleet.replace(chosen, "it is stuck")
        kept.fleet.replace(chosen, "it is stuck")
        await kept.heard("ended")
        assert kept.happened[-1] == ("ended", "worker 2")
        kept.fleet.roll()
        await kept.heard("ended", 3)
        assert len(kept.launched) == 5
        assert await kept.stopped()

    run(main)


def test_a_replacement_that_fails_is_tried_again(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The old one works until it succeeds."""
    monkeypatch.setattr(fleet, "RETRY_DELAY", 0.05)

    async def main() -> None:
        kept = Kept()
        first = await kept.ready(1)
        kept.behaviour = "fails"
        kept.fleet.replace(first, "it is full")
        await kept.when(lambda: any("goes on for now" in line for line in caplog.messages))
        assert not first.has_ended
        kept.behaviour = "works"
        await kept.ready(2)
        assert await kept.stopped()

    run(main)


def test_one_that_dies_while_its_successor_starts_is_not_started_twice() -> None:
    """The successor takes the place, and nothing else does."""

    async def main() -> None:
        kept = Kept()
        first = await kept.ready(1)
        kept.fleet.roll()
        await kept.when(lambda: len(kept.launched) == 2)
        kill(first)
        await kept.ready(2)
        await kept.heard("ended")
        kept.fleet.roll()
        await kept.ready(3)
        assert len(kept.launched) == 3
        assert await kept.stopped()

    run(main)


# -- ending ------------------------------------------------------------------------------------------------------------


def test_told_twice_all_end_at_once() -> None:
    """Those that still finish something do not any more, and the fleet says that not all went well."""

    async def main() -> None:
        kept = Kept(2, "finishes late")
        await kept.ready(2)
        kept.fleet.stop()
        await kept.heard("finishing", 2)
        assert not await kept.stopped()

    run(main)


def test_one_that_is_replaced_already_is_told_once() -> None:
    """The end of the fleet does not cut it short, however close it follows."""

    async def main() -> None:
        kept = Kept(first=["finishes late"])
        await kept.ready(1)
        kept.fleet.roll()
        await kept.heard("finishing")
        kept.fleet.stop()
        await kept.heard("finishing", 2)
        assert not kept.started[0].has_ended
        kept.fleet.stop()
        assert not await kept.ended()

    run(main)


def test_one_that_does_not_end_is_killed(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    """After its time, and a little more."""
    monkeypatch.setattr(fleet, "GRACE", 0.1)

    async def main() -> None:
        kept = Kept(behaviour="is stubborn", stop_timeout=0.0)
        child = await kept.ready(1)
        assert not await kept.stopped()
        assert caplog.messages == [f"{child} does not end and is killed", f"{child} was ended by SIGKILL"]

    run(main)


def test_one_that_ends_badly_is_reported(caplog: pytest.LogCaptureFixture) -> None:
    """By the fleet as a whole, and with its name."""

    async def main() -> None:
        kept = Kept(2, "ends badly")
        await kept.ready(2)
        assert not await kept.stopped()
        assert sorted(line.partition(" (")[0] for line in caplog.messages) == ["worker 1", "worker 2"]
        assert all(line.endswith("ended with status 1") for line in caplog.messages)

    run(main)


def test_it_can_be_stopped_while_it_starts() -> None:
    """And while it replaces a process: whatever was begun ends."""

    async def main() -> None:
        kept = Kept(2)
        assert await kept.stopped()
        kept = Kept(2)
        await kept.ready(2)
        kept.fleet.roll()
        await kept.when(lambda: len(kept.launched) == 3)
        assert await kept.stopped()
        kept = Kept(behaviour="fails", is_patient=True)
        await kept.when(lambda: kept.fleet.is_broken)
        assert await kept.stopped()

    run(main)


def test_what_follows_from_an_end_is_waited_for() -> None:
    """The fleet has not ended before everybody has been told of each end."""

    async def main() -> None:
        told: list[str] = []

        async def tell(child: Child) -> None:
            await asyncio.sleep(0.05)
            told.append(child.name)

        kept = Kept(2)
        kept.fleet._ended = tell
        await kept.ready(2)
        await kept.stopped()
        assert sorted(told) == ["worker 1", "worker 2"]

    run(main)
