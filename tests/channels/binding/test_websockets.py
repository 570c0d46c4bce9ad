"""Bindings over WebSockets: what happens to rows reaches clients, and clients may change rows, within limits."""

import datetime
import json
import uuid
from collections.abc import Iterable
from typing import Any, ClassVar

import pytest
from django.core.exceptions import ValidationError
from django.core.serializers.base import DeserializationError
from django.db import transaction
from django.db.models.signals import post_save
from django.test.utils import CaptureQueriesContext

from channels import Group, route
from channels.binding.websockets import WebsocketBinding, WebsocketBindingWithMembers
from channels.generic.websockets import WebsocketDemultiplexer
from channels.test import Client, Stage, WSClient, apply_routes
from tests.boards.models import Board, Label, Task, Token

pytestmark = pytest.mark.usefixtures("rows")


class Followed(WebsocketBinding):
    """A base: everybody may do everything, and a task is of the group of its board, else of all."""

    model: ClassVar[Any] = None
    stream = "tasks"

    @classmethod
    def group_names(cls, instance: Any) -> Iterable[str]:
        return [f"board-{instance.board_id}" if instance.board_id else "all"]

    def has_permission(self, user: Any, action: str, pk: Any) -> bool:
        return True


@pytest.fixture
def tasks() -> type[Followed]:
    """A binding to tasks that sends three fields."""

    class Tasks(Followed):
        model = Task
        fields = ("title", "done", "board")

    return Tasks


@pytest.fixture
def member(stage: Stage) -> Client:
    """A member of the group that tasks without a board are of."""
    client = WSClient()
    client.join_group("all")
    return client


def payload(client: Any) -> Any:
    """Return the next payload that a client gets, on the stream of tasks."""
    received = client.receive()
    if received is None:
        return None
    assert received["stream"] == "tasks"
    return received["payload"]


# -- outbound ----------------------------------------------------------------------------------------------------------


def test_creation_is_sent(tasks: Any, member: Client) -> None:
    """A member gets one frame with action, primary key, the listed fields and the model, and nothing more."""
    task = Task.objects.create(title="Buy milk")
    assert payload(member) == {
        "action": "create",
        "pk": task.pk,
        "data": {"title": "Buy milk", "done": False, "board": None},
        "model": "boards.task",
    }
    assert payload(member) is None


def test_update_is_sent(member: Client) -> None:
    """With the new values of all fields that are sent."""

    class Tasks(Followed):
        model = Task
        fields = ("__all__",)

    task = Task.objects.create(title="Buy milk", due=datetime.date(2026, 1, 2))
    payload(member)
    task.title = "Buy bread"
    task.save()
    sent = payload(member)
    assert (sent["action"], sent["pk"]) == ("update", task.pk)
    assert sent["data"] == {
        "title": "Buy bread",
        "done": False,
        "due": "2026-01-02",
        "board": None,
        "labels": [],
        "secret": "secret",
        "serial": 7,
        "attachment": "",
    }


def test_deletion_is_sent(tasks: Any, member: Client) -> None:
    """With the primary key that the row had, also for each row of a queryset."""
    first, second = Task.objects.create(title="1"), Task.objects.create(title="2")
    keys = [first.pk, second.pk]
    payload(member), payload(member)
    first.delete()
    Task.objects.filter(pk=second.pk).delete()
    for key, title in zip(keys, "12", strict=True):
        sent = payload(member)
        assert (sent["action"], sent["pk"], sent["data"]["title"]) == ("delete", key, title)
    assert not hasattr(first, "_binding_groups_before")


def test_excluded_fields_are_not_sent(member: Client) -> None:
    """All others are."""

    class Tasks(Followed):
        model = Task
        exclude = ("secret", "labels", "due")

    Task.objects.create(title="Buy milk")
    assert payload(member)["data"].keys() == {"title", "done", "board", "serial", "attachment"}


def test_uuid_is_sent_as_text(member: Client) -> None:
    """As is whatever else JSON does not know."""

    class Tokens(Followed):
        model = Token
        fields = ("name",)

        @classmethod
        def group_names(cls, instance: Any) -> Iterable[str]:
            return ["all"]

    token = Token.objects.create(name="x")
    assert payload(member)["pk"] == str(token.pk)


def test_move_between_groups_is_a_deletion_and_a_creation(tasks: Any, member: Client) -> None:
    """What a row was a member of is read from the database: the instance has the new value by then."""
    board = Board.objects.create(name="Kitchen")
    other = WSClient()
    other.join_group(f"board-{board.pk}")
    task = Task.objects.create(title="Buy milk")
    assert payload(member)["action"] == "create"
    task.board = board
    task.save()
    assert (payload(member)["action"], payload(other)["action"]) == ("delete", "create")
    task.save()
    assert (payload(member), payload(other)["action"]) == (None, "update")


def test_actions_are_in_order(stage: Stage) -> None:
    """Deletions come first, then updates, then creations, so that somebody in two groups ends up with the row."""

    class Tasks(Followed):
        model = Task
        fields = ("title",)

        @classmethod
        def group_names(cls, instance: Any) -> Iterable[str]:
            return set(instance.title)

    client = WSClient()
    for name in "abc":
        client.join_group(name)
    task = Task.objects.create(title="ab")
    assert [payload(client)["action"] for _ in range(2)] == ["create", "create"]
    task.title = "bc"
    task.save()
    assert [payload(client)["action"] for _ in range(3)] == ["delete", "update", "create"]


def test_sends_wait_for_the_commit(tasks: Any, member: Client) -> None:
    """And are not made at all if it is rolled back."""
    with transaction.atomic():
        Task.objects.create(title="Buy milk")
        assert payload(member) is None
    assert payload(member)["action"] == "create"
    with transaction.atomic():
        Task.objects.create(title="Never mind")
        transaction.set_rollback(True)
    assert payload(member) is None


def test_row_is_as_it_was_saved(tasks: Any, member: Client) -> None:
    """What is done to the instance before the commit is not sent."""
    with transaction.atomic():
        task = Task.objects.create(title="Buy milk")
        task.title = "unsaved"
    assert payload(member)["data"]["title"] == "Buy milk"


def test_save_within_a_save_is_followed(member: Client) -> None:
    """A receiver that saves the instance again, before the binding has heard of it, makes an update of its own."""

    def finish(instance: Task, created: bool, **kwargs: Any) -> None:
        if created:
            instance.done = True
            instance.save()

    post_save.connect(finish, sender=Task)
    try:

        class Tasks(Followed):
            model = Task
            fields = ("done",)

        Task.objects.create(title="Buy milk")
    finally:
        post_save.disconnect(finish, sender=Task)
    sent = [payload(member) for _ in range(2)]
    assert [(each["action"], each["data"]["done"]) for each in sent] == [("update", True), ("create", True)]


def test_row_with_a_chosen_key_is_found(tasks: Any, member: Client) -> None:
    """Saving under the key of a row changes that row, so that is what is sent."""
    task = Task.objects.create(title="Buy milk")
    payload(member)
    Task(pk=task.pk, title="Buy bread").save()
    assert payload(member)["action"] == "update"
    Task(pk=task.pk + 1, title="Buy eggs").save()
    assert payload(member)["action"] == "create"


def test_new_row_costs_no_query_of_its_own(tasks: Any, stage: Stage) -> None:
    """Django inserts it without looking, and so does the binding; a saved one is read once."""
    from django.db import connection  # what counts queries

    with CaptureQueriesContext(connection) as queries:
        task = Task.objects.create(title="Buy milk")
    assert len(queries) == 1
    with CaptureQueriesContext(connection) as queries:
        task.save()
    assert len(queries) == 2


def test_fixtures_send_nothing(tasks: Any, member: Client) -> None:
    """What ``loaddata`` loads may refer to rows that are not there yet."""
    from django.core import serializers  # what loaddata uses

    [loaded] = serializers.deserialize("json", '[{"model": "boards.task", "pk": 1, "fields": {"title": "x"}}]')
    loaded.save()
    assert payload(member) is None


def test_nothing_to_say_is_not_sent(member: Client) -> None:
    """An empty dict in place of a payload suppresses it; the arguments of the signal are there to decide by."""

    class Tasks(Followed):
        model = Task
        fields = ("title",)

        def serialize(self, instance: Any, action: str) -> dict[str, Any]:
            return super().serialize(instance, action) if self.signal_kwargs.get("created") else {}

    task = Task.objects.create(title="Buy milk")
    task.save()
    assert payload(member)["action"] == "create"
    assert payload(member) is None


def test_members_are_sent(member: Client) -> None:
    """Attributes and methods, along dots, beside the fields."""

    class Tasks(WebsocketBindingWithMembers):
        model = Task
        stream = "tasks"
        fields = ("title",)
        send_members = ("board.shouted", "board.name", "__str__")

        @classmethod
        def group_names(cls, instance: Any) -> Iterable[str]:
            return ["all"]

    Task.objects.create(title="Buy milk", board=Board.objects.create(name="Kitchen"))
    assert payload(member)["data"] == {
        "title": "Buy milk",
        "board__shouted": "KITCHEN",
        "board__name": "Kitchen",
        "__str__": "Buy milk",
    }


# -- inbound -----------------------------------------------------------------------------------------------------------


class Asked:
    """What a client has asked for."""

    def __init__(self, client: WSClient) -> None:
        self.client = client

    def __call__(self, action: str, pk: Any = None, **data: Any) -> None:
        """Ask for ``action``."""
        content = {"action": action, "data": data, **({} if pk is None else {"pk": pk})}
        self.client.send_json({"stream": "tasks", "payload": content})


@pytest.fixture
def ask(tasks: Any, client: WSClient) -> Any:
    """A client of a demultiplexer, not in the groups that hear of tasks."""

    class Streams(WebsocketDemultiplexer):
        consumers: ClassVar = {"tasks": tasks.consumer}

    with apply_routes([Streams.as_route(path=r"^/(?P<room>\w+)/$")]):
        client.connect("/kitchen/")
        yield Asked(client)
        assert client.receive() is None


def test_client_creates(ask: Asked) -> None:
    """A row, with what may be set; what is not sent and what is not listed stays at its default."""
    board = Board.objects.create(name="Kitchen")
    ask("create", title="Buy milk", done=True, board=board.pk, secret="known", serial=1, id=99, unknown=1)
    task = Task.objects.get()
    assert (task.title, task.done, task.board, task.secret, task.serial) == ("Buy milk", True, board, "secret", 7)
    assert task.pk != 99


def test_client_updates(ask: Asked) -> None:
    """A row, in the fields that are given and may be set."""
    board = Board.objects.create(name="Kitchen")
    task = Task.objects.create(title="Buy milk", due=datetime.date(2026, 1, 2))
    ask("update", task.pk, title="Buy bread", board=board.pk, secret="known", id=99, due=None)
    task.refresh_from_db()
    assert (task.title, task.board, task.secret) == ("Buy bread", board, "secret")
    assert task.due == datetime.date(2026, 1, 2)
    assert Task.objects.count() == 1


def test_client_deletes(ask: Asked) -> None:
    """A row; one that is gone is no error."""
    task = Task.objects.create(title="Buy milk")
    ask("delete", task.pk)
    assert not Task.objects.exists()
    ask("delete", 99)


def test_clients_of_the_group_hear_of_it(ask: Asked, member: Client) -> None:
    """What a client does is sent as whatever else happens to a row."""
    ask("create", title="Buy milk")
    sent = payload(member)
    assert (sent["action"], sent["data"]["title"]) == ("create", "Buy milk")
    ask("update", sent["pk"], done=True)
    assert payload(member)["data"]["done"] is True
    ask("delete", sent["pk"])
    assert payload(member)["action"] == "delete"


def test_several_values_can_be_set(client: WSClient) -> None:
    """Of a field with many, when it is created and when it is changed."""

    class Tasks(Followed):
        model = Task
        fields = ("title", "labels")

    first, second = Label.objects.create(name="1"), Label.objects.create(name="2")
    with apply_routes(route("websocket.receive", Tasks.consumer)):
        client.connect()
        client.send_json({"action": "create", "data": {"title": "Buy milk", "labels": [first.pk]}})
        task = Task.objects.get()
        assert list(task.labels.all()) == [first]
        client.send_json({"action": "update", "pk": task.pk, "data": {"labels": [first.pk, second.pk]}})
        assert set(task.labels.all()) == {first, second}


@pytest.mark.parametrize(
    ("action", "data"),
    [
        ("create", {"title": "x" * 21}),
        ("create", {"title": ""}),
        ("update", {"title": None}),
        ("update", {"board": 99}),
    ],
)
def test_values_that_the_model_does_not_allow_are_refused(ask: Asked, action: str, data: dict[str, Any]) -> None:
    """They are checked as by a form, those that the client has given."""
    pk = Task.objects.create(title="Buy milk").pk if action == "update" else None
    with pytest.raises(ValidationError):
        ask(action, pk, **data)
    assert list(Task.objects.values_list("title", flat=True)) == ([] if pk is None else ["Buy milk"])


def test_values_of_another_type_are_refused(ask: Asked) -> None:
    """With the model and the value."""
    with pytest.raises(DeserializationError, match=r"boards\.task"):
        ask("create", title="x", done="perhaps")


@pytest.mark.parametrize("action", ["create", "update", "delete"])
def test_permission_is_asked_for(client: WSClient, stage: Stage, action: str, caplog: Any) -> None:
    """With user, action and primary key; without it nothing happens, which is counted and logged."""
    asked: list[Any] = []

    class Tasks(Followed):
        model = Task
        fields = ("title",)

        def has_permission(self, user: Any, action: str, pk: Any) -> bool:
            asked.append((user.is_anonymous, action, pk, self.kwargs))
            return False

    task = Task.objects.create(title="Buy milk")
    with apply_routes(route("websocket.receive", Tasks.consumer, path=r"^/(?P<room>\w+)/$")):
        client.connect("/kitchen/")
        client.send_json({"action": action, "pk": task.pk, "data": {"title": "Buy bread"}})
    assert asked == [(True, action, task.pk, {"room": "kitchen"})]
    assert list(Task.objects.values_list("title", flat=True)) == ["Buy milk"]
    assert stage.layer("default").losses.counts["refused by a binding"] == 1
    assert f"Tasks refused a client to {action} boards.task {task.pk}" in caplog.text


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        ([], "takes objects with an 'action'"),
        ({"data": {}}, "takes objects with an 'action'"),
        ({"action": 1}, "takes objects with an 'action'"),
        ({"action": "drop"}, "does create, update, delete, not 'drop'"),
        ({"action": "create", "data": []}, "are an object of fields, not list"),
        ({"action": "update", "pk": {"gt": 0}, "data": {}}, "is a text or a number, not dict"),
        ({"action": "delete", "pk": [1]}, "is a text or a number, not list"),
    ],
)
def test_bad_message_is_refused(tasks: Any, client: WSClient, content: Any, fault: str) -> None:
    """What is no action, or has no such keys; the socket stays open."""
    with apply_routes(route("websocket.receive", tasks.consumer)):
        client.connect()
        with pytest.raises(ValueError, match=fault):
            client.send_json(content)
        assert client.is_open


def test_missing_row_is_told(ask: Asked) -> None:
    """As by any query for one."""
    with pytest.raises(Task.DoesNotExist):
        ask("update", 99, title="x")


def test_other_events_ask_for_nothing(tasks: Any, client: WSClient) -> None:
    """A connect and a disconnect reach every consumer of a demultiplexer."""
    with apply_routes(route(["websocket.connect", "websocket.disconnect"], tasks.consumer)):
        client.connect()
        client.disconnect()
    assert not Task.objects.exists()


@pytest.mark.parametrize(
    ("attributes", "has_user"),
    [
        ({}, True),
        ({"channel_session_user": False}, False),
        ({"channel_session_user": False, "channel_session": True}, False),
        ({"strict_ordering": True}, True),
        ({"slight_ordering": True}, True),
    ],
)
def test_attributes_decorate(client: WSClient, attributes: dict[str, Any], has_user: bool) -> None:
    """Session and user as the attributes say; without any, the user is anonymous."""
    seen: list[Any] = []

    class Tasks(Followed):
        model = Task
        fields = ("title",)

        def has_permission(self, user: Any, action: str, pk: Any) -> bool:
            seen.append((user.is_anonymous, hasattr(self.message, "user"), hasattr(self.message, "channel_session")))
            return False

    binding: Any = type("Mine", (Tasks,), attributes)
    with apply_routes(route("websocket.receive", binding.consumer)):
        client.send_and_consume("websocket.receive", text={"action": "create", "data": {}})
    has_session = attributes.get("channel_session_user", True) or attributes.get("channel_session", False)
    assert seen == [(True, has_user, has_session)]


def test_other_groups_can_be_sent_to(tasks: Any, client: WSClient) -> None:
    """A binding's message is that of a multiplexer, for whoever wants to send one."""
    client.join_group("others")
    Group("others").send(tasks().encode("tasks", {"id": uuid.UUID(int=0)}))
    assert client.receive() == {"stream": "tasks", "payload": {"id": str(uuid.UUID(int=0))}}
    assert json.loads(tasks().encode("x", {})["text"]) == {"stream": "x", "payload": {}}
