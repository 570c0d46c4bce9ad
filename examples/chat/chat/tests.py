"""The chat, tested without a server: consumers run here, one by one."""

from uuid import uuid4

from channels.test import ChannelTestCase, HandshakeRefused, WSClient
from django.urls import reverse

from .models import ChatMessage
from .views import announce_token


def enter(room: str, nick: str) -> WSClient:
    """Connect somebody to a room, and read the greeting."""
    client = WSClient()
    client.connect(f"/rooms/{room}/socket/?nick={nick}")
    assert client.receive_json()["type"] == "hello"
    return client


class ChatTests(ChannelTestCase):
    """What happens in a room."""

    def test_the_room_hears_what_is_said(self) -> None:
        ada, grace = enter("lobby", "ada"), enter("lobby", "grace")
        other = enter("attic", "alan")
        message = {"type": "message", "key": uuid4().hex, "text": "Hello"}
        ada.send_json(message)
        said = grace.receive_json()["message"]
        self.assertEqual((said["nick"], said["text"]), ("ada", "Hello"))
        self.assertEqual(ChatMessage.objects.get().room, "lobby")
        self.assertIsNone(other.receive())

    def test_a_bad_frame_is_its_sender_s_affair(self) -> None:
        ada = enter("lobby", "ada")
        ada.send_text("not JSON")
        self.assertEqual(ada.receive_json()["type"], "error")
        self.assert_nothing_sent()

    def test_a_name_is_needed(self) -> None:
        with self.assertRaises(HandshakeRefused) as refused:
            WSClient().connect("/rooms/lobby/socket/?nick=<b>")
        self.assertEqual(refused.exception.status, 403)

    def test_a_view_speaks_into_the_room(self) -> None:
        ada = enter("lobby", "ada")
        url = reverse("chat:announce", args=["lobby"])
        bearer = {"Authorization": f"Bearer {announce_token('lobby')}"}
        self.client.post(url, {"text": "Tea is ready"}, headers=bearer)
        self.assertEqual(ada.receive_json()["text"], "Tea is ready")
