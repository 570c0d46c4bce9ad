import time

import pytest

from channels.test.clock import Clock


def test_time_stands_still_but_for_a_tick() -> None:
    """Each look is later than the one before, by so little that nothing falls due."""
    clock = Clock()
    looks = [clock() for _ in range(1000)]
    assert looks == sorted(set(looks))
    assert looks[-1] - looks[0] < 0.01
    assert abs(looks[0] - time.time()) < 3600


def test_time_moves_on_when_told_to() -> None:
    """Forward, by as much as is said, and never back."""
    clock = Clock()
    before = clock()
    clock.advance(60)
    assert 60 <= clock() - before < 60.001
    with pytest.raises(ValueError, match="time goes forward, not -1 seconds"):
        clock.advance(-1)
