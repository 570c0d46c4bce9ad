"""Conformance of the coroutines: every verb has a twin that does the same."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

import pytest

from channel_layers.base import BaseChannelLayer
from channel_layers.conformance.harness import KIND, Harness, NewLayer, drained, event, messages
from channel_layers.envelope import DONE, done
from channel_layers.inbox import Inbox
from channel_layers.registry import Announcement
from channel_layers.slot import Refused

T = TypeVar("T")


class TwinConformance(Harness):
    """Verbs with ``a`` in front."""

    def run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """Run ``coroutine`` on a loop of its own, for no longer than ``patience``."""

        async def bounded() -> T:
            async with asyncio.timeout(self.patience):
                return await coroutine

        return asyncio.run(bounded())

    # -- waiting ---------------------------------------------------------------------------------------------------

    def test_areceive(self, layer: BaseChannelLayer, peer: BaseChannelLayer) -> None:
        """A coroutine that waits is woken by a send, and gets what receive would have returned."""

        async def main() -> None:
            waiting = asyncio.create_task(layer.areceive(["conformance.a", "conformance.b"], block=True))
            await asyncio.sleep(0)
            await peer.asend("conformance.b", {"n": 1})
            assert await waiting == ("conformance.b", {"n": 1})
            await peer.asend_many([("conformance.a", {"n": 2}), ("conformance.a", {"n": 3})])
            assert await layer.areceive(["conformance.a"]) == ("conformance.a", {"n": 2})
            assert await layer.areceive(["conformance.a"], block=True) == ("conformance.a", {"n": 3})
            assert await layer.areceive(["conformance.a"]) == (None, None)
            assert await layer.areceive(["conformance.a"], block=True, timeout=0.01) == (None, None)
            assert await layer.areceive([], block=True) == (None, None)

        self.run(main())

    def test_areceive_is_woken_by_another_thread(self, layer: BaseChannelLayer, peer: BaseChannelLayer) -> None:
        """A send from a thread without a loop wakes a coroutine."""

        async def main() -> tuple[str | None, dict[str, Any] | None]:
            sent = asyncio.get_running_loop().run_in_executor(None, peer.send, "conformance.a", {"n": 1})
            received = await layer.areceive(["conformance.a"], block=True)
            await sent
            return received

        assert self.run(main()) == ("conformance.a", {"n": 1})

    def test_areceive_from_an_inbox(self, layer: BaseChannelLayer, peer: BaseChannelLayer, inbox: Inbox) -> None:
        """An inbox is received from by its name as well."""
        channel = inbox.new_channel()

        async def main() -> None:
            assert await layer.areceive([inbox.name]) == (None, None)
            assert await layer.areceive([inbox.name], block=True, timeout=0.01) == (None, None)
            waiting = asyncio.create_task(layer.areceive([inbox.name], block=True))
            await asyncio.sleep(0)
            await peer.asend_many([(channel, {"n": 1}), (channel, {"n": 2})])
            assert await waiting == (channel, {"n": 1})
            assert await layer.areceive([inbox.name], block=True) == (channel, {"n": 2})

        self.run(main())

    def test_many_coroutines_wait_at_once(self, layer: BaseChannelLayer, peer: BaseChannelLayer) -> None:
        """As many may wait as there are tasks: the last to begin can be the first to be served."""

        async def main() -> None:
            channels = [f"conformance.{n}" for n in range(64)]
            waiting = {c: asyncio.create_task(layer.areceive([c], block=True)) for c in channels}
            await asyncio.sleep(0)
            for channel in reversed(channels):
                await peer.asend(channel, {})
                assert await waiting[channel] == (channel, {})

        self.run(main())

    # -- cancelling ------------------------------------------------------------------------------------------------

    def test_a_cancelled_areceive_takes_nothing(
        self, layer: BaseChannelLayer, peer: BaseChannelLayer, inbox: Inbox
    ) -> None:
        """A message that comes as its reader is cancelled is there for the next, in queues and inboxes."""
        channel = inbox.new_channel()

        async def main() -> None:
            for source, target in (("conformance.a", "conformance.a"), (inbox.name, channel)):
                waiting = asyncio.create_task(layer.areceive([source], block=True))
                await asyncio.sleep(0)
                peer.send(target, {"n": 1})
                waiting.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await waiting
                assert await layer.areceive([source], block=True) == (target, {"n": 1})

        self.run(main())

    def test_an_areceive_that_is_cancelled_late_loses_nothing(
        self, layer: BaseChannelLayer, peer: BaseChannelLayer
    ) -> None:
        """Wherever it has come to with its message: another call gets that, or it has come to its end itself."""

        async def main() -> None:
            for steps in range(30):
                await peer.asend("conformance.a", {"n": steps})
                receiving = asyncio.create_task(layer.areceive(["conformance.a"], block=True))
                for _ in range(steps):
                    await asyncio.sleep(0)
                receiving.cancel()
                try:
                    received = await receiving
                except asyncio.CancelledError:
                    received = await layer.areceive(["conformance.a"], block=True)
                assert received == ("conformance.a", {"n": steps})

        self.run(main())

    def test_a_cancelled_atake_takes_nothing(self, layer: BaseChannelLayer, peer: BaseChannelLayer) -> None:
        """A message that comes as its taker is cancelled goes to another slot, which may be waiting already."""

        async def main() -> None:
            with layer.open_slot() as slot, layer.open_slot() as other:
                first = asyncio.create_task(slot.atake({"conformance.a": 1}, 1))
                await asyncio.sleep(0)
                second = asyncio.create_task(other.atake({"conformance.a": 1}, 1))
                await asyncio.sleep(0)
                peer.send("conformance.a", {})
                first.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await first
                assert len(await second) == 1
                await other.asettle([])

        self.run(main())

    # -- the others ------------------------------------------------------------------------------------------------

    def test_slots_and_inboxes(self, layer: BaseChannelLayer, peer: BaseChannelLayer, inbox: Inbox) -> None:
        """atake, asettle and an inbox's areceive take an event to a worker and back."""
        owner = inbox.new_channel()

        async def main() -> None:
            assert await layer.awrite([event("conformance.a", owner)]) == []
            with peer.open_slot() as slot:
                assert len(await slot.atake({"conformance.a": 1}, 1)) == 1
                assert await slot.atake({"conformance.a": 1}, 1, 0) == []
                assert await slot.atake({"conformance.a": 1}, 1, 0.01) == []
                assert await slot.asettle([peer.message(owner, {"n": 1}), done(owner, 1)]) == []
                assert await slot.asettle([]) == []
            deliveries = await inbox.areceive()
            while len(deliveries) < 2:
                deliveries += await inbox.areceive()
            assert messages(deliveries) == [(owner, {"n": 1})]
            assert [envelope.kind for _, envelope in deliveries][1:] == [DONE]

        self.run(main())

    def test_started_writes_keep_their_order(self, layer: BaseChannelLayer, peer: BaseChannelLayer) -> None:
        """However many are under way at once; each tells its end."""
        ends: list[tuple[int, Exception | None]] = []

        async def main() -> None:
            ended = asyncio.Event()

            def written(refused: list[Refused], error: Exception | None) -> None:
                ends.append((len(refused), error))
                if len(ends) == 20:
                    ended.set()

            for n in range(20):
                layer.start_write([layer.message("conformance.a", {"n": n})], written)
            await ended.wait()

        self.run(main())
        assert ends == [(0, None)] * 20
        assert [content["n"] for _, content in drained(peer, "conformance.a")] == list(range(20))

    def test_a_started_write_tells_what_was_refused(self, new_layer: NewLayer) -> None:
        """By queues that are full, and by inboxes that stay so; the rest was sent."""
        layer = new_layer(capacity=1, inbox_capacity=1, send_timeout=0)
        channel = layer.new_channel(f"{KIND}!")
        layer.send(channel, {})
        layer.send("conformance.full", {})
        found: list[Refused] = []

        async def main() -> None:
            ended = asyncio.Event()

            def written(refused: list[Refused], error: Exception | None) -> None:
                found.extend(refused)
                ended.set()

            targets = (channel, "conformance.full", "conformance.a")
            layer.start_write([layer.message(target, {}) for target in targets], written)
            await ended.wait()

        self.run(main())
        assert {refusal.envelope.target for refusal in found} == {channel, "conformance.full"}
        assert {type(refusal.error) for refusal in found} == {layer.ChannelFull}
        assert layer.depth("conformance.a") == 1

    def test_an_interrupt_ends_atake(self, layer: BaseChannelLayer) -> None:
        """A coroutine that takes is interrupted like a thread."""

        async def main() -> None:
            with layer.open_slot() as slot:
                waiting = asyncio.create_task(slot.atake({"conformance.a": 1}, 1))
                await asyncio.sleep(0)
                slot.interrupt()
                assert await waiting == []

        self.run(main())

    def test_refusals(self, new_layer: NewLayer) -> None:
        """A coroutine gets the same errors, for a queue at once and for an inbox after its wait."""
        layer = new_layer(capacity=1, inbox_capacity=1, send_timeout=0)
        channel = layer.inbox(KIND).new_channel()

        async def main() -> None:
            for target in ("conformance.a", channel):
                await layer.asend(target, {})
                with pytest.raises(layer.ChannelFull):
                    await layer.asend(target, {})
                with pytest.raises(layer.ChannelFull):
                    await layer.asend_many([(target, {}), (target, {})])

        self.run(main())

    def test_groups(self, layer: BaseChannelLayer, peer: BaseChannelLayer) -> None:
        """The verbs of groups have twins."""

        async def main() -> None:
            await peer.agroup_add("conformance", "conformance.a")
            assert await layer.agroup_channels("conformance") == ["conformance.a"]
            await layer.asend_group("conformance", {"n": 1})
            await layer.asend_group("conformance", {"n": 2}, without=["conformance.a"])
            await layer.agroup_discard("conformance", "conformance.a")
            await layer.asend_group("conformance", {"n": 3})
            assert await peer.areceive(["conformance.a"], block=True) == ("conformance.a", {"n": 1})
            assert await peer.areceive(["conformance.a"]) == (None, None)

        self.run(main())

    def test_events_and_processes(self, layer: BaseChannelLayer, peer: BaseChannelLayer, inbox: Inbox) -> None:
        """The verbs of interface servers and the registry have twins."""
        queued, lost = (
            event("conformance.a", inbox.new_channel()),
            event("conformance.a", inbox.new_channel()),
        )

        async def main() -> None:
            await layer.awrite([queued])
            assert await layer.afind_lost([queued, lost]) == [lost]
            assert await layer.aretract(queued) is True
            assert await layer.aretract(queued) is False
            await peer.aannounce(Announcement("w1"))
            assert [process.process for process in await layer.aprocesses()] == ["w1"]
            await peer.awithdraw("w1")
            assert await layer.aprocesses() == []

        self.run(main())

    def test_flush_and_close(self, new_layer: NewLayer) -> None:
        """A layer can be flushed and closed from a coroutine."""
        layer = new_layer()

        async def main() -> None:
            await layer.asend("conformance.a", {})
            await layer.aflush()
            assert await layer.areceive(["conformance.a"]) == (None, None)
            await layer.aclose()

        self.run(main())
