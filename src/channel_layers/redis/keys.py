"""Names of the keys. What one script touches shares a hash tag, so that in a cluster it is in one slot."""

from __future__ import annotations

import os


class Keys:
    """Key names under ``prefix``.

    All that is about work (queues, bells, claims, slots, processes) shares one tag: one script takes from several
    queues, and one looks for events in queues and claims at once. Every inbox and every group has a tag of its own.
    """

    def __init__(self, prefix: str) -> None:
        if not isinstance(prefix, str) or not prefix or "{" in prefix or "}" in prefix:
            raise ValueError(f"prefix is text without braces, which Redis reads as a hash tag; not {prefix!r}")
        self.prefix = prefix
        self._work = f"{prefix}{{work}}"
        self.queues = f"{self._work}queue:"
        """What the name of a queue begins with; the channel follows."""
        self.bells = f"{self._work}bell:"
        """What the name of a bell begins with; the channel follows."""
        self.claims = f"{self._work}claims:"
        """What the name of a claim list begins with; the slot follows."""
        self.slots = f"{self._work}slots"
        """Hash: slots that hold something -> when they last took."""
        self.processes = f"{self._work}processes"
        """Hash: process -> its last announcement."""
        self.dead = f"{self._work}dead"
        """Stream: messages that were set aside, each with the reason."""

    def queue(self, channel: str) -> str:
        """List: what waits in ``channel``, the oldest first."""
        return self.queues + channel

    def bell(self, channel: str) -> str:
        """List: one token while something waits in ``channel``; idle slots wait for it."""
        return self.bells + channel

    def kept(self, channel: str) -> str:
        """String: there while messages in ``channel`` do not expire. Scripts make the name from the queue's."""
        return f"{self.queue(channel)}:kept"

    def content(self, event: str) -> str:
        """String: the content of an event that is too long to be in the queue itself."""
        return f"{self._work}content:{event}"

    def wake(self, slot: str) -> str:
        """List: a token that ends the wait of ``slot``."""
        return f"{self._work}wake:{slot}"

    def stream(self, inbox: str) -> str:
        """Stream: the entries of ``inbox``."""
        return f"{self.prefix}{{inbox:{inbox}}}"

    def gaps(self, inbox: str) -> str:
        """Set: groups whose gap is marked in ``inbox`` and was not read yet."""
        return self.stream(inbox) + "gaps"

    def waiting(self, inbox: str) -> str:
        """Counter: senders that wait for room in ``inbox``."""
        return self.stream(inbox) + "waiting"

    def room(self, inbox: str) -> str:
        """List: a token for each sender that may try again."""
        return self.stream(inbox) + "room"

    def entry(self, inbox: str, key: str) -> str:
        """String: an entry too long to be in the stream itself."""
        return f"{self.stream(inbox)}entry:{key}"

    def notes(self, inbox: str) -> str:
        """Hash: name and key of a connection of ``inbox`` -> what is kept of it."""
        return self.stream(inbox) + "notes"

    def body(self, channel: str) -> str:
        """List: how many bytes of a body were fetched, one token for each piece."""
        return f"{self.prefix}{{body:{channel}}}"

    def turns(self, channel: str) -> tuple[str, str, str]:
        """Hash: whose turn it is among the messages of a connection; and what is held: its orders, its messages."""
        state = f"{self.prefix}{{turns:{channel}}}"
        return state, state + "orders", state + "messages"

    def group(self, group: str) -> str:
        """Hash: queues and inboxes that ``group`` reaches -> when that was last registered."""
        return f"{self.prefix}{{group:{group}}}"

    def answers(self, question: str) -> str:
        """List: what processes answered to a question."""
        return f"{self.prefix}{{answers:{question}}}"

    def trial(self) -> str:
        """Of several types: what the names of keys begin with that tell what an account may do."""
        return f"{self.prefix}{{trial:{os.urandom(8).hex()}}}"

    def is_stream(self, key: str) -> bool:
        """Return whether ``key`` is the stream of an inbox."""
        return key.startswith(f"{self.prefix}{{inbox:") and key.endswith("}")
