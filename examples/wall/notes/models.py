"""Notes, which tell of themselves."""

from typing import Any

from channels import Group
from channels.sse import event
from django.db import models, transaction

GROUP = "wall"


class Note(models.Model):
    """A note. Whoever saves one, all who look at the wall see it at once."""

    text = models.CharField(max_length=140)

    class Meta:
        ordering = ["id"]

    def __str__(self) -> str:
        return self.text

    def save(self, *args: Any, **kwargs: Any) -> None:
        """Save it, and send it once that is committed."""
        super().save(*args, **kwargs)
        transaction.on_commit(lambda: Group(GROUP).send(self.as_event()))

    def as_event(self) -> dict[str, Any]:
        """Return it as the wall gets it: its id is what a page says that comes back."""
        return event({"text": self.text}, id=self.pk)
