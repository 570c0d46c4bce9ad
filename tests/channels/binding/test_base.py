"""What every binding has to say, and what becomes of one that does not."""

from typing import Any, ClassVar

import pytest
from django.db.models.signals import post_save

from channels.binding import Binding
from channels.binding.base import CREATE, DELETE, UPDATE
from channels.channel import Content
from channels.message import Message
from channels.routing import route
from channels.test import Client, Stage, apply_routes
from tests.boards.models import Board
from tests.channels.binding.conftest import Recorded
from tests.channels.connection import Connection


class Plain(Binding):
    """Sends the name of a board, in a format of its own."""

    model: ClassVar[Any] = None
    fields = ("name",)
    stream: ClassVar[str | None] = "boards"
    channel_session_user = False

    @classmethod
    def group_names(cls, instance: Any) -> list[str]:
        return ["all"]

    def serialize(self, instance: Any, action: str) -> dict[str, Any]:
        return {"said": f"{action} {instance.name}"}

    def encode(self, stream: str, payload: dict[str, Any]) -> Content:
        return {"text": f"{stream}: {payload['said']}"}


def test_actions_have_names() -> None:
    """As 1.x called them."""
    assert (CREATE, UPDATE, DELETE) == ("create", "update", "delete")


@pytest.mark.usefixtures("rows")
def test_format_can_be_ones_own(stage: Stage) -> None:
    """A bare binding has serialize and encode to define, and is followed as any other; inbound it has four methods."""
    done: list[Any] = []

    class Boards(Plain):
        model = Board

        def has_permission(self, user: Any, action: str, pk: Any) -> bool:
            return bool(user.is_anonymous)

        def deserialize(self, message: Message) -> tuple[str, Any, dict[str, Any]]:
            action, _, name = message["text"].partition(" ")
            return action, 1, {"name": name}

        def create(self, data: dict[str, Any]) -> None:
            done.append(("create", data))

        def update(self, pk: Any, data: dict[str, Any]) -> None:
            done.append(("update", pk, data))

    client = Client()
    client.join_group("all")
    board = Board.objects.create(name="Kitchen")
    assert client.receive() == {"text": "boards: create Kitchen"}
    with apply_routes(route("edit", Boards.consumer)):
        for text in ("create x", "update y", "delete z"):
            client.send_and_consume("edit", {"text": text})
    assert done == [("create", {"name": "x"}), ("update", 1, {"name": "y"})]
    board.delete()


def test_model_may_be_named(registry: Recorded) -> None:
    """By app and model; what is bound is found when the models are there."""

    class Boards(Plain):
        model = "boards.Board"

    assert Boards._bound is Board
    assert Boards.model_label == "boards.board"
    assert registry.added == [Boards]


def test_model_is_followed_until_it_is_not() -> None:
    """Receivers are those of exactly this model, and go away again."""
    before = len(post_save.receivers)

    class Boards(Plain):
        model = Board

    class Others(Boards):
        """A binding to the same model, by inheritance."""

    assert len(post_save.receivers) == before + 2
    Boards.unregister()
    Others.unregister()
    assert len(post_save.receivers) == before


def test_base_for_others_is_not_registered(registry: Recorded) -> None:
    """A class whose own body says that it has no model."""
    type("Base", (Plain,), {"model": None})
    assert registry.added == []


def test_missing_model_is_told() -> None:
    """One that is missing by mistake."""
    with pytest.raises(ValueError, match="Forgotten has no model: name one, or say model = None if it is a base"):
        type("Forgotten", (Plain,), {})


def test_missing_fields_are_told(registry: Recorded) -> None:
    """When the class is defined."""
    with pytest.raises(ValueError, match="Unlisted has neither fields nor exclude"):
        type("Unlisted", (Plain,), {"model": Board, "fields": None})
    assert registry.added == []


def test_misspelt_field_is_told() -> None:
    """When the model is there."""
    with pytest.raises(ValueError, match=r"Misspelt: boards\.Board has no field 'nmae'\. Did you mean 'name'\?"):
        type("Misspelt", (Plain,), {"model": Board, "exclude": ["nmae"]})


@pytest.mark.usefixtures("rows")
def test_missing_stream_is_told() -> None:
    """When there is something to send on it."""

    class Streamless(Plain):
        model = Board
        stream = None

    with pytest.raises(ValueError, match="Streamless has no stream"):
        Board.objects.create(name="Kitchen")


@pytest.mark.parametrize(
    ("method", "arguments"),
    [
        ("group_names", (Board(),)),
        ("serialize", (Board(), CREATE)),
        ("encode", ("boards", {})),
        ("has_permission", (None, CREATE, None)),
        ("deserialize", (Connection().message(),)),
        ("create", ({},)),
        ("update", (1, {})),
    ],
)
def test_missing_method_is_told(method: str, arguments: tuple[Any, ...]) -> None:
    """By the name of the class and the method, with its parameters."""

    class Empty(Binding):
        model = Board
        fields = ("name",)

    with pytest.raises(NotImplementedError, match=rf"Empty has to define {method}\("):
        getattr(Empty(), method)(*arguments)
