"""The contract of a channel layer as tests, for backends here and elsewhere.

A backend is tested by a subclass in its own test suite::

    class TestRedisChannelLayer(LayerConformance):
        def make_layer(self, **options):
            return RedisChannelLayer(prefix=new_prefix(), **options)

Nothing here sleeps: what depends on time asks :meth:`~channel_layers.conformance.harness.Harness.advance` to move the
layer's clock, and what waits is woken by an event. Failed assertions are explained if ``conftest.py`` calls
``pytest.register_assert_rewrite("channel_layers.conformance")``.
"""

from channel_layers.conformance.bodies import BodyConformance
from channel_layers.conformance.contents import ContentConformance
from channel_layers.conformance.custody import CustodyConformance
from channel_layers.conformance.events import EventConformance
from channel_layers.conformance.groups import GroupConformance
from channel_layers.conformance.inboxes import InboxConformance
from channel_layers.conformance.notes import NoteConformance
from channel_layers.conformance.queues import QueueConformance
from channel_layers.conformance.readers import ReaderConformance
from channel_layers.conformance.redelivery import RedeliveryConformance
from channel_layers.conformance.registry import RegistryConformance
from channel_layers.conformance.sizes import SizeConformance
from channel_layers.conformance.slots import SlotConformance
from channel_layers.conformance.turns import TurnConformance
from channel_layers.conformance.twins import TwinConformance

__all__ = ["LayerConformance"]


class LayerConformance(
    QueueConformance,
    ContentConformance,
    SizeConformance,
    InboxConformance,
    GroupConformance,
    SlotConformance,
    ReaderConformance,
    CustodyConformance,
    RedeliveryConformance,
    EventConformance,
    BodyConformance,
    NoteConformance,
    TurnConformance,
    RegistryConformance,
    TwinConformance,
):
    """Every test of the contract. A subclass gives :meth:`make_layer`, and what else its backend has."""
