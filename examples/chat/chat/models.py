"""What was said, and where."""

from __future__ import annotations

import uuid
from typing import Any

from django.core.exceptions import ValidationError
from django.db import models

# The regular expression of a room's name, for URLs and routing alike.
ROOM = "[a-z0-9-]{1,32}"


def validate_unicode(text: str) -> None:
    """Refuse lone surrogates: JSON can spell them, UTF-8 cannot store them."""
    try:
        text.encode()
    except UnicodeEncodeError as error:
        fault = "Half of a surrogate pair is no text."
        raise ValidationError(fault) from error


class ChatMessage(models.Model):
    """One message. Its sender chose the key, so a resend is saved once."""

    room = models.CharField(max_length=32)
    key = models.UUIDField(default=uuid.uuid4)
    nick = models.CharField(max_length=20)
    text = models.CharField(max_length=500, validators=[validate_unicode])
    created = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["room", "key"], name="chat_message_saved_once"
            ),
        ]
        indexes = [
            models.Index(fields=["room", "id"], name="chat_message_by_room"),
        ]

    def __str__(self) -> str:
        return f"{self.nick} in {self.room}: {self.text}"

    @classmethod
    def latest(cls, room: str, count: int) -> list[ChatMessage]:
        """Return the last messages of a room, at most count, oldest first."""
        newest_first = cls.objects.filter(room=room).order_by("-id")
        return list(reversed(newest_first[:count]))

    def as_dict(self) -> dict[str, Any]:
        """Return what the page shows; the time is ISO 8601, in UTC."""
        return {
            "id": self.id,
            "key": self.key.hex,
            "nick": self.nick,
            "text": self.text,
            "created": self.created.isoformat(),
        }
