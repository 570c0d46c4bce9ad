"""Bindings over a stream of a WebSocket: JSON with the action, the primary key and the fields."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, ClassVar

from django.core import serializers
from django.core.serializers.base import DeserializedObject
from django.core.serializers.python import Deserializer
from django.db.models import Model

from channels.binding.base import Binding
from channels.channel import Content
from channels.consumers import name_of
from channels.generic.websockets import WebsocketMultiplexer
from channels.message import Message
from channels.routing import RECEIVE

__all__ = ["WebsocketBinding", "WebsocketBindingWithMembers"]


class WebsocketBinding(Binding):
    """A binding whose payloads are ``{"action": …, "pk": …, "data": {field: value}, "model": "app.model"}``.

    What clients send has the same keys, but for ``model``. Values are those of Django's serializers. Of ``data`` only
    fields count that the binding sends and that are editable; primary keys and files cannot be set.
    """

    model: ClassVar[type[Model] | str | None] = None

    # -- outbound --------------------------------------------------------------------------------------------------

    def encode(self, stream: str, payload: dict[str, Any]) -> Content:
        """Return the message of a multiplexer for ``stream``."""
        return WebsocketMultiplexer.encode(stream, payload)

    def serialize(self, instance: Any, action: str) -> dict[str, Any]:
        """Return action, primary key, data and model."""
        return {
            "action": action,
            "pk": instance.pk,
            "data": self.serialize_data(instance),
            "model": self.model_label,
        }

    def serialize_data(self, instance: Any) -> dict[str, Any]:
        """Return the fields of ``instance`` that are sent."""
        [serialized] = serializers.serialize("python", [instance], fields=self._list.sent(self._bound))
        data: dict[str, Any] = serialized["fields"]
        return data

    # -- inbound ---------------------------------------------------------------------------------------------------

    @classmethod
    def trigger_inbound(cls, message: Message, **kwargs: Any) -> None:
        """Do what ``message`` asks for; connects and disconnects ask for nothing."""
        if message.channel_name == RECEIVE:
            super().trigger_inbound(message, **kwargs)

    def deserialize(self, message: Message) -> tuple[str, Any, dict[str, Any]]:
        """Return action, primary key and data; raise :exc:`ValueError` for a message that has not got them."""
        content = json.loads(message["text"])
        if not isinstance(content, dict) or not isinstance(content.get("action"), str):
            raise ValueError(f"{name_of(type(self))} takes objects with an 'action', and 'pk' and 'data' where needed")
        pk, data = content.get("pk"), content.get("data", {})
        if not isinstance(data, dict):
            raise ValueError(f"the 'data' for {name_of(type(self))} are an object of fields, not {type(data).__name__}")
        if isinstance(pk, (dict, list)):
            raise ValueError(f"the 'pk' for {name_of(type(self))} is a text or a number, not {type(pk).__name__}")
        return content["action"], pk, data

    def create(self, data: dict[str, Any]) -> None:
        """Create a row of what may be set of ``data``.

        Raises :exc:`~django.core.exceptions.ValidationError` for values that the model does not allow.
        """
        settable = self._list.settable(self._bound, data)
        built = self._built(None, settable)
        self._save(built.object, built, settable)

    def update(self, pk: Any, data: dict[str, Any]) -> None:
        """Change what may be set of ``data`` in the row ``pk``; as :meth:`create`, and ``DoesNotExist`` without it."""
        instance = self._bound._default_manager.get(pk=pk)
        settable = self._list.settable(self._bound, data)
        built = self._built(pk, settable)
        for name in settable.keys() - (built.m2m_data or {}).keys():
            attribute: str = self._bound._meta.get_field(name).attname  # type: ignore[union-attr]  # it has a column
            setattr(instance, attribute, getattr(built.object, attribute))
        self._save(instance, built, settable)

    def _built(self, pk: Any, fields: dict[str, Any]) -> DeserializedObject:
        built: DeserializedObject
        [built] = Deserializer([{"model": self.model_label, "pk": pk, "fields": fields}])
        return built

    def _save(self, instance: Model, built: DeserializedObject, given: dict[str, Any]) -> None:
        fields = [*self._bound._meta.concrete_fields, *self._bound._meta.many_to_many]
        instance.full_clean(exclude={field.name for field in fields} - given.keys())
        instance.save()
        for name, values in (built.m2m_data or {}).items():
            getattr(instance, name).set(values)


class WebsocketBindingWithMembers(WebsocketBinding):
    """A :class:`WebsocketBinding` whose data have values of attributes and methods as well.

    ``send_members`` lists them, dots leading from one to the next; in the data they have two underscores in place of
    each dot. What can be called is, without arguments.
    """

    model: ClassVar[type[Model] | str | None] = None
    send_members: ClassVar[Sequence[str]] = ()

    def serialize_data(self, instance: Any) -> dict[str, Any]:
        """Return the fields that are sent, and the members."""
        members = {path.replace(".", "__"): _member(instance, path) for path in self.send_members}
        return {**super().serialize_data(instance), **members}


def _member(instance: Any, path: str) -> Any:
    value = instance
    for name in path.split("."):
        value = getattr(value, name)
        if callable(value):
            value = value()
    return value
