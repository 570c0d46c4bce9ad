"""Rooms, and what was said in them."""

from typing import Any

from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import models


def validate_unicode(text: str) -> None:
    """Refuse lone surrogates: JSON can spell them, UTF-8 cannot store them."""
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise ValidationError("Half of a surrogate pair is no text.") from error


class Room(models.Model):
    """A room, for everybody or for staff alone."""

    name = models.CharField(max_length=40, unique=True)
    topic = models.CharField(max_length=120)
    staff_only = models.BooleanField(default=False)

    class Meta:
        ordering = ["id"]

    def __str__(self) -> str:
        return self.name

    @property
    def group_name(self) -> str:
        """The group of the sockets that are in the room."""
        return f"room-{self.pk}"

    def is_open_to(self, user: Any) -> bool:
        """Return whether somebody may enter."""
        return user.is_staff or not self.staff_only


class Saying(models.Model):
    """Something that was said in a room."""

    room = models.ForeignKey(Room, models.CASCADE, related_name="sayings")
    user = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE)
    text = models.CharField(max_length=500, validators=[validate_unicode])
    created = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["id"]

    def __str__(self) -> str:
        return f"{self.user} in {self.room}: {self.text}"

    def as_dict(self) -> dict[str, Any]:
        """Return what the page shows; the time is ISO 8601, in UTC."""
        return {"who": self.user.first_name, "text": self.text, "at": self.created}
