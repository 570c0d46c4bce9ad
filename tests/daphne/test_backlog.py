"""What waits for a slow client: its order, its size, and what of it may be dropped."""

from __future__ import annotations

from collections.abc import Iterable

from hypothesis import given
from hypothesis import strategies as st

from daphne.backlog import Backlog
from daphne.broadcast import CLOSE, COALESCE, DROP_OLDEST, Broadcast


def of(group: str, policy: str) -> Broadcast:
    """Return some message to ``group``."""
    return Broadcast(group, {}, None, policy)


KINDS = st.sampled_from([None, of("a", CLOSE), of("b", DROP_OLDEST), of("c", COALESCE), of("d", COALESCE)])


def filled(entries: Iterable[tuple[bytes, Broadcast | None]]) -> Backlog:
    """Return a backlog with these frames."""
    backlog = Backlog()
    for frame, broadcast in entries:
        backlog.add(frame, broadcast)
    return backlog


def rest_of(backlog: Backlog) -> list[bytes]:
    """Take everything out."""
    taken = []
    while backlog:
        taken.append(backlog.pop())
    assert backlog.size == 0
    return taken


def test_frames_leave_in_their_order() -> None:
    """Whatever they are of, and the answer to a ping last."""
    backlog = filled([(b"1", None), (b"2", of("b", DROP_OLDEST)), (b"3", of("c", COALESCE)), (b"4", None)])
    backlog.pong = b"pong"
    assert backlog.size == 4
    assert rest_of(backlog) == [b"1", b"2", b"3", b"4", b"pong"]


def test_the_newest_of_a_group_takes_the_place_of_the_one_before() -> None:
    """Of this group alone; it then waits behind what came between."""
    backlog = filled([(b"c1", of("c", COALESCE)), (b"x", None), (b"d1", of("d", COALESCE))])
    assert backlog.add(b"c2.", of("c", COALESCE))
    assert not backlog.add(b"y", None)
    assert rest_of(backlog) == [b"x", b"d1", b"c2.", b"y"]


def test_the_oldest_that_may_be_dropped_is_dropped() -> None:
    """Nothing else is: not what was sent to the socket itself, nor to other groups."""
    backlog = filled(
        [(b"x", None), (b"b1", of("b", DROP_OLDEST)), (b"c", of("c", COALESCE)), (b"b2", of("b", DROP_OLDEST))]
    )
    assert backlog.drop_oldest()
    assert backlog.size == 4
    assert backlog.drop_oldest()
    assert not backlog.drop_oldest()
    assert rest_of(backlog) == [b"x", b"c"]


@given(st.lists(st.tuples(st.integers(1, 5), KINDS) | st.sampled_from(["pop", "drop"])))
def test_any_sequence_agrees_with_a_list(steps: list[tuple[int, Broadcast | None] | str]) -> None:
    """Frames, sizes and what is dropped are those of a plain list that is searched."""
    backlog, model = Backlog(), list[tuple[bytes, Broadcast | None]]()
    for number, step in enumerate(steps):
        if step == "pop" and model:
            assert backlog.pop() == model.pop(0)[0]
        elif step == "drop":
            droppable = [entry for entry in model if entry[1] is not None and entry[1].policy == DROP_OLDEST]
            assert backlog.drop_oldest() == bool(droppable)
            if droppable:
                model.remove(droppable[0])
        elif isinstance(step, tuple):
            size, broadcast = step
            frame = (b"%d." % number) * size
            coalesces = broadcast is not None and broadcast.policy == COALESCE
            older = [entry for entry in model if coalesces and entry[1] is broadcast]
            model = [entry for entry in model if entry not in older] + [(frame, broadcast)]
            assert backlog.add(frame, broadcast) == bool(older)
        assert backlog.size == sum(len(frame) for frame, _ in model)
    assert rest_of(backlog) == [frame for frame, _ in model]
