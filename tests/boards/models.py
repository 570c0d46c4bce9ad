"""Models that have something of every kind of field."""

from __future__ import annotations

import uuid
from typing import Any

from django.db import models


class Board(models.Model):
    """Something that tasks are on."""

    name: models.CharField[str, str] = models.CharField(max_length=20)

    def __str__(self) -> str:
        return self.name

    def shouted(self) -> str:
        """Return the name in capitals."""
        return self.name.upper()


class Label(models.Model):
    """Something that tasks have several of."""

    name: models.CharField[str, str] = models.CharField(max_length=20)

    def __str__(self) -> str:
        return self.name


class Task(models.Model):
    """A row with fields that may be set by clients, and fields that may not."""

    title: models.CharField[str, str] = models.CharField(max_length=20)
    done: models.BooleanField[bool, bool] = models.BooleanField(default=False)
    due: models.DateField[Any, Any] = models.DateField(null=True)
    board: models.ForeignKey[Any, Any] = models.ForeignKey(Board, models.CASCADE, null=True)
    labels = models.ManyToManyField(Label)
    secret: models.CharField[str, str] = models.CharField(max_length=20, default="secret")
    serial: models.IntegerField[int, int] = models.IntegerField(default=7, editable=False)
    attachment = models.FileField(default="")

    def __str__(self) -> str:
        return self.title


class Token(models.Model):
    """A row whose primary key is chosen by Python."""

    id: models.UUIDField[uuid.UUID, uuid.UUID] = models.UUIDField(primary_key=True, default=uuid.uuid4)
    name: models.CharField[str, str] = models.CharField(max_length=20)

    def __str__(self) -> str:
        return self.name
