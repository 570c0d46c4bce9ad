"""What waits for a client that reads more slowly than it is written to."""

from __future__ import annotations

from collections import deque

from daphne.broadcast import COALESCE, DROP_OLDEST, Broadcast


class Backlog:
    """Frames in the order in which they will leave; ``size`` is their bytes, ``pong`` the answer to the last ping."""

    __slots__ = ("_droppable", "_frames", "_number", "pong", "size")

    def __init__(self) -> None:
        self.size = 0
        self.pong = b""
        self._frames: dict[int | str, bytes] = {}
        self._droppable: deque[int] = deque()
        self._number = 0

    def __bool__(self) -> bool:
        return bool(self._frames or self.pong)

    def add(self, frame: bytes, broadcast: Broadcast | None) -> bool:
        """Append a frame; return whether it takes the place of an older one of its group."""
        policy = broadcast and broadcast.policy
        key: int | str = self._number
        replaced = b""
        if broadcast is not None and policy == COALESCE:
            key = broadcast.group
            replaced = self._frames.pop(key, b"")
        elif policy == DROP_OLDEST:
            self._droppable.append(self._number)
        self._number += 1
        self._frames[key] = frame
        self.size += len(frame) - len(replaced)
        return bool(replaced)

    def drop_oldest(self) -> bool:
        """Drop the oldest frame that may be dropped; return whether there was one."""
        if not self._droppable:
            return False
        self.size -= len(self._frames.pop(self._droppable.popleft()))
        return True

    def pop(self) -> bytes:
        """Take the next frame out."""
        if not self._frames:
            pong, self.pong = self.pong, b""
            return pong
        key = next(iter(self._frames))
        if self._droppable and self._droppable[0] == key:
            self._droppable.popleft()
        frame = self._frames.pop(key)
        self.size -= len(frame)
        return frame
