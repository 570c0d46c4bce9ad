"""The groups of the in-memory layer."""

from __future__ import annotations


class Groups(dict[str, dict[str, float]]):
    """Which queues and inboxes each group reaches, and when each was said to; used under the layer's lock."""

    def join(self, group: str, member: str, time: float) -> None:
        """Let ``group`` reach a queue or an inbox."""
        self.setdefault(group, {})[member] = time

    def leave(self, group: str, member: str) -> None:
        """Let ``group`` reach a queue or an inbox no more; a group that reaches nothing takes no memory."""
        members = self.get(group)
        if members is not None:
            members.pop(member, None)
            if not members:
                del self[group]

    def leave_all(self, member: str) -> None:
        """Let no group reach a queue or an inbox any more."""
        for group in [group for group, members in self.items() if member in members]:
            self.leave(group, member)

    def joined(self, group: str, member: str) -> float | None:
        """Return when ``group`` was last said to reach ``member``, ``None`` if it does not."""
        return self.get(group, {}).get(member)
