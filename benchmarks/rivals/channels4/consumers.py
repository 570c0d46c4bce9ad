"""Consumers for Channels 4, all of them ``async def``: those are its fastest."""
# mypy: disable-error-code="misc, import-not-found, import-untyped, attr-defined, no-any-return, no-untyped-call"
# The types of Channels 4 are not there: in the project's own environment "channels" is the project.

from typing import Any

from channels.consumer import AsyncConsumer
from channels.generic.http import AsyncHttpConsumer
from channels.generic.websocket import AsyncWebsocketConsumer
from channels.layers import get_channel_layer


class Echo(AsyncWebsocketConsumer):
    """Sends back what came."""

    async def receive(self, text_data: str | None = None, bytes_data: bytes | None = None) -> None:
        """Send it back."""
        await self.send(text_data=text_data, bytes_data=bytes_data)


class Room(AsyncWebsocketConsumer):
    """A member of the room in the path, which sends to that room."""

    async def connect(self) -> None:
        """Join, and accept."""
        self.room = f"room-{self.scope['url_route']['kwargs']['room']}"
        await self.channel_layer.group_add(self.room, self.channel_name)
        await self.accept()

    async def disconnect(self, code: int) -> None:
        """Leave."""
        await self.channel_layer.group_discard(self.room, self.channel_name)

    async def receive(self, text_data: str | None = None, bytes_data: bytes | None = None) -> None:
        """Send to the room."""
        await self.channel_layer.group_send(self.room, {"type": "say", "text": text_data})

    async def say(self, event: dict[str, Any]) -> None:
        """Send what somebody sent to the room."""
        await self.send(text_data=event["text"])


class Churn(AsyncWebsocketConsumer):
    """Joins a group, leaves it, and sends back what came."""

    async def receive(self, text_data: str | None = None, bytes_data: bytes | None = None) -> None:
        """Join, leave, answer."""
        await self.channel_layer.group_add("churn", self.channel_name)
        await self.channel_layer.group_discard("churn", self.channel_name)
        await self.send(text_data=text_data)


class HandOut(AsyncWebsocketConsumer):
    """Gives work to the background."""

    async def receive(self, text_data: str | None = None, bytes_data: bytes | None = None) -> None:
        """Give as much as the text says."""
        count = int(text_data or "0")
        for number in range(1, count + 1):
            message = {"type": "work", "reply": self.channel_name, "last": number == count}
            await self.channel_layer.send("background", message)

    async def done(self, event: dict[str, Any]) -> None:
        """Tell the client that all is done."""
        await self.send(text_data="done")


class Background(AsyncConsumer):
    """Does a piece of work, and says when it was the last."""

    async def work(self, event: dict[str, Any]) -> None:
        """Do it."""
        if event["last"]:
            await self.channel_layer.send(event["reply"], {"type": "done"})


class News(AsyncHttpConsumer):
    """Answers when there are news."""

    async def handle(self, body: bytes) -> None:
        """Wait on a channel of its own; one that is in the group."""
        layer = get_channel_layer()
        channel = await layer.new_channel()
        await layer.group_add("readers", channel)
        event = await layer.receive(channel)
        await layer.group_discard("readers", channel)
        await self.send_response(200, event["body"].encode())


class Publish(AsyncHttpConsumer):
    """Answers all who wait with what was posted."""

    async def handle(self, body: bytes) -> None:
        """Send it to the group."""
        await get_channel_layer().group_send("readers", {"type": "news", "body": body.decode()})
        await self.send_response(200, b"sent")
