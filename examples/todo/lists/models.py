"""Things to do."""

from django.db import models


class Item(models.Model):
    """One thing to do, on a list that is there as soon as something is on it."""

    list = models.SlugField(max_length=40)
    text = models.CharField(max_length=120)
    done = models.BooleanField(default=False)

    class Meta:
        ordering = ["id"]

    def __str__(self) -> str:
        return self.text
