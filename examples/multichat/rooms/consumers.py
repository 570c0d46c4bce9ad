"""The whole chat on the server: one class, with a method for each event of a socket.

A socket is in any number of rooms. Its channel session remembers which; what a frame
asks for is a command with the room's number.
"""

from typing import Any

from channels import Group
from channels.generic.websockets import JsonWebsocketConsumer
from channels.message import Message
from django.core.exceptions import ValidationError

from .models import Room, Saying

HISTORY = 30


class ChatConsumer(JsonWebsocketConsumer):
    """Lets users into rooms, and passes on what they say there."""

    # Every message has the user of the browser's session, and the channel session.
    http_user = True

    def connect(self, message: Message, **kwargs: Any) -> None:
        """Accept those who are logged in, and nobody else."""
        if message.user.is_authenticated:
            message.channel_session["rooms"] = []
            super().connect(message, **kwargs)
        else:
            self.close()

    def receive(self, content: Any, **kwargs: Any) -> None:
        """Do what a frame asks for, or tell its sender alone why not."""
        commands = {"join": self.join, "leave": self.leave, "say": self.say}
        try:
            command = commands[content["command"]]
            room = Room.objects.get(pk=content["room"])
            if not room.is_open_to(self.message.user):
                raise ValidationError("This room is for staff.")
            command(room, content)
        except ValidationError as error:
            self.send({"error": " ".join(error.messages)})
        except (KeyError, TypeError, ValueError, Room.DoesNotExist):
            self.send({"error": "That is no command, or there is no such room."})

    def disconnect(self, message: Message, **kwargs: Any) -> None:
        """Tell the rooms. The socket has left their groups by itself."""
        for room in Room.objects.filter(pk__in=self.rooms):
            self.tell(room, note=f"{self.name} has left")

    def join(self, room: Room, content: dict[str, Any]) -> None:
        """Enter a room: see what was said, and be announced."""
        if room.pk in self.rooms:
            return
        self.rooms = [*self.rooms, room.pk]
        sayings = room.sayings.select_related("user").order_by("-id")[:HISTORY]
        said = [saying.as_dict() for saying in reversed(sayings)]
        self.send({"room": room.pk, "joined": True, "said": said})
        Group(room.group_name).add(self.message.reply_channel)
        self.tell(room, note=f"{self.name} has joined")

    def leave(self, room: Room, content: dict[str, Any]) -> None:
        """Leave a room and stay connected."""
        if room.pk not in self.rooms:
            return
        self.rooms = [pk for pk in self.rooms if pk != room.pk]
        Group(room.group_name).discard(self.message.reply_channel)
        self.send({"room": room.pk, "joined": False})
        self.tell(room, note=f"{self.name} has left")

    def say(self, room: Room, content: dict[str, Any]) -> None:
        """Save what was said and show it to all in the room."""
        if room.pk not in self.rooms:
            raise ValidationError("Join the room before you speak there.")
        text = str(content["text"]).strip()
        saying = Saying(room=room, user_id=self.message.user.pk, text=text)
        saying.full_clean()
        saying.save()
        self.tell(room, said=[saying.as_dict()])

    def tell(self, room: Room, **content: Any) -> None:
        """Send to everybody in a room."""
        self.group_send(room.group_name, {"room": room.pk, **content})

    @property
    def name(self) -> str:
        """How others call this user."""
        return self.message.user.first_name

    @property
    def rooms(self) -> list[int]:
        """The numbers of the rooms that the socket is in."""
        return self.message.channel_session.get("rooms", [])

    @rooms.setter
    def rooms(self, numbers: list[int]) -> None:
        self.message.channel_session["rooms"] = numbers
