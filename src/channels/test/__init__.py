"""Testing consumers: synchronous, without sleeping and without a broker.

A test has layers of its own in memory. Consumers run in its thread and on its database connection, when a client or
the test says so. Names of 1.x keep their meaning.
"""

from channels.test.cases import ChannelTestCase, TransactionChannelTestCase
from channels.test.client import Client
from channels.test.liveserver import ChannelLiveServerTestCase
from channels.test.opening import HandshakeRefused
from channels.test.routes import apply_routes
from channels.test.stage import Stage, configured_layers
from channels.test.websocket import HttpClient, WSClient

__all__ = [
    "ChannelLiveServerTestCase",
    "ChannelTestCase",
    "Client",
    "HandshakeRefused",
    "HttpClient",
    "Stage",
    "TransactionChannelTestCase",
    "WSClient",
    "apply_routes",
    "configured_layers",
]
