"""What every binding does: follow a model, tell groups after the commit, and act for clients who may."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from functools import cache, partial
from typing import Any, ClassVar, Final

from django.apps import apps
from django.db import transaction
from django.db.models import Model
from django.db.models.signals import post_delete, post_save, pre_delete, pre_save

from channels import auth, sessions
from channels.binding.fields import FieldList
from channels.binding.registry import bindings
from channels.channel import Content, Group
from channels.consumers import name_of
from channels.message import Message

CREATE: Final = "create"
UPDATE: Final = "update"
DELETE: Final = "delete"
ACTIONS: Final = (CREATE, UPDATE, DELETE)

_GROUPS_BEFORE: Final = "_binding_groups_before"


class Binding:
    """Base of bindings: a subclass names a ``model`` and the ``fields`` that may travel, or those to ``exclude``.

    Outbound: when a row is saved or deleted, the groups that :meth:`group_names` returns hear of it once that is
    committed: the groups it has left of a deletion, those it stays in of an update, those it is new in of a creation.
    Inbound: :attr:`consumer` does what a client asks for if :meth:`has_permission` says so.

    A subclass whose own body says ``model = None`` is a base for others. Raises :exc:`ValueError` for a class that
    could not work: when it is defined, or once the models are there.
    """

    model: ClassVar[type[Model] | str | None] = None
    stream: ClassVar[str | None] = None
    fields: ClassVar[Sequence[str] | str | None] = None
    exclude: ClassVar[Sequence[str] | None] = None
    channel_session_user: ClassVar[bool] = True
    channel_session: ClassVar[bool] = False
    strict_ordering: ClassVar[bool] = False
    slight_ordering: ClassVar[bool] = False
    model_label: ClassVar[str]

    _bound: ClassVar[type[Model]]
    _list: ClassVar[FieldList]

    message: Message
    kwargs: Mapping[str, Any]
    user: Any
    signal_kwargs: Mapping[str, Any]

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if cls.model is None:
            if "model" in vars(cls):
                return
            raise ValueError(f"{name_of(cls)} has no model: name one, or say model = None if it is a base for others")
        cls._list = FieldList(name_of(cls), cls.fields, cls.exclude)
        bindings.add(cls)

    # -- outbound --------------------------------------------------------------------------------------------------

    @classmethod
    def group_names(cls, instance: Any) -> Iterable[str]:
        """Return the groups that hear of ``instance``; every binding defines it."""
        raise NotImplementedError(f"{name_of(cls)} has to define group_names(cls, instance)")

    def serialize(self, instance: Any, action: str) -> dict[str, Any]:
        """Return what is sent of ``action`` on ``instance``; nothing is sent of an empty dict."""
        raise NotImplementedError(f"{name_of(type(self))} has to define serialize(instance, action)")

    def encode(self, stream: str, payload: dict[str, Any]) -> Content:
        """Return the message that carries ``payload``."""
        raise NotImplementedError(f"{name_of(type(self))} has to define encode(stream, payload)")

    @classmethod
    def register(cls) -> None:
        """Begin to follow the model."""
        model = apps.get_model(cls.model) if isinstance(cls.model, str) else cls.model
        assert model is not None
        cls.model = cls._bound = model
        cls.model_label = model._meta.label_lower
        cls._list.check(model)
        for signal, receiver in cls._receivers():
            signal.connect(receiver, sender=model, weak=False, dispatch_uid=cls)

    @classmethod
    def unregister(cls) -> None:
        """Follow the model no longer."""
        for signal, _ in cls._receivers():
            signal.disconnect(sender=cls._bound, dispatch_uid=cls)

    @classmethod
    def _receivers(cls) -> list[tuple[Any, Callable[..., None]]]:
        return [
            (pre_save, cls._before_save),
            (post_save, cls._after_save),
            (pre_delete, cls._before_delete),
            (post_delete, cls._after_delete),
        ]

    @classmethod
    def _before_save(cls, instance: Model, using: str, raw: bool = False, **kwargs: Any) -> None:
        if not raw:
            # The instance has its new values already: what it was a member of, only the row can tell.
            stored = None if _is_new(instance) else cls._bound._base_manager.using(using).filter(pk=instance.pk).first()
            _remember(cls, instance, set() if stored is None else set(cls.group_names(stored)))

    @classmethod
    def _after_save(cls, instance: Model, raw: bool = False, **kwargs: Any) -> None:
        if not raw:  # fixtures are loaded row by row, and what a row refers to may come later
            cls._tell(instance, set(cls.group_names(instance)), {"raw": raw, **kwargs})

    @classmethod
    def _before_delete(cls, instance: Model, **kwargs: Any) -> None:
        _remember(cls, instance, set(cls.group_names(instance)))

    @classmethod
    def _after_delete(cls, instance: Model, **kwargs: Any) -> None:
        cls._tell(instance, set(), kwargs)

    @classmethod
    def _tell(cls, instance: Model, after: set[str], signal_kwargs: dict[str, Any]) -> None:
        before = _recall(cls, instance)
        changes = ((DELETE, before - after), (UPDATE, before & after), (CREATE, after - before))
        messages = [
            (name, message)
            for action, names in changes
            if names and (message := cls._message(instance, action, signal_kwargs))
            for name in sorted(names)
        ]
        if messages:
            # Robust: what is committed is not undone by a layer that is down, and other callbacks run.
            transaction.on_commit(partial(_send, messages), using=signal_kwargs["using"], robust=True)

    @classmethod
    def _message(cls, instance: Model, action: str, signal_kwargs: dict[str, Any]) -> Content | None:
        binding = cls()
        binding.signal_kwargs = signal_kwargs
        payload = binding.serialize(instance, action)
        if not payload:
            return None
        if cls.stream is None:
            raise ValueError(f"{name_of(cls)} has no stream: name the one on which clients expect what it sends")
        return binding.encode(cls.stream, payload)

    # -- inbound ---------------------------------------------------------------------------------------------------

    def has_permission(self, user: Any, action: str, pk: Any) -> bool:
        """Return whether ``user`` may do ``action`` to the row ``pk``, ``None`` to create; every binding defines it."""
        raise NotImplementedError(f"{name_of(type(self))} has to define has_permission(user, action, pk)")

    def deserialize(self, message: Message) -> tuple[str, Any, dict[str, Any]]:
        """Return action, primary key and data of what a client has sent."""
        raise NotImplementedError(f"{name_of(type(self))} has to define deserialize(message)")

    def create(self, data: dict[str, Any]) -> None:
        """Create a row."""
        raise NotImplementedError(f"{name_of(type(self))} has to define create(data)")

    def update(self, pk: Any, data: dict[str, Any]) -> None:
        """Change the row ``pk``."""
        raise NotImplementedError(f"{name_of(type(self))} has to define update(pk, data)")

    def delete(self, pk: Any) -> None:
        """Delete the row ``pk``; one that is gone is no error."""
        self._bound._default_manager.filter(pk=pk).delete()

    @classmethod
    def consumer(cls, message: Message, **kwargs: Any) -> None:
        """Act for a client: the consumer for a stream of a demultiplexer, or for a route."""
        _decorated(cls)(message, **kwargs)  # type: ignore[arg-type]  # a class can be hashed

    @classmethod
    def trigger_inbound(cls, message: Message, **kwargs: Any) -> None:
        """Do what ``message`` asks for, if its user may."""
        binding = cls()
        binding.message, binding.kwargs = message, kwargs
        binding.user = message.user if hasattr(message, "user") else _anonymous()
        binding.run_action(*binding.deserialize(message))

    def run_action(self, action: str, pk: Any, data: dict[str, Any]) -> None:
        """Do ``action``; without permission, nothing: that is counted, and logged.

        Raises :exc:`ValueError` for an action that is none.
        """
        if action not in ACTIONS:
            raise ValueError(f"{name_of(type(self))} does {', '.join(ACTIONS)}, not {action!r:.100}")
        if not self.has_permission(self.user, action, pk):
            text = f"{name_of(type(self))} refused a client to {action} {self.model_label} {pk!r:.100}"
            self.message.channel_layer.losses.count("refused by a binding", text)
        elif action == CREATE:
            self.create(data)
        elif action == UPDATE:
            self.update(pk, data)
        else:
            self.delete(pk)


def _is_new(instance: Model) -> bool:
    """Return whether Django inserts ``instance`` without looking for its row."""
    return bool(instance._state.adding) and (instance.pk is None or instance._meta.pk.has_default())


def _remember(binding: type[Binding], instance: Model, groups: set[str]) -> None:
    # A stack, because a receiver may save the instance once more.
    vars(instance).setdefault(_GROUPS_BEFORE, {}).setdefault(binding, []).append(groups)


def _recall(binding: type[Binding], instance: Model) -> set[str]:
    remembered: dict[type[Binding], list[set[str]]] = vars(instance)[_GROUPS_BEFORE]
    groups = remembered[binding].pop()
    if not any(remembered.values()):
        del vars(instance)[_GROUPS_BEFORE]
    return groups


def _send(messages: Collection[tuple[str, Content]]) -> None:
    for name, message in messages:
        Group(name).send(message)


@cache
def _decorated(binding: type[Binding]) -> Callable[..., None]:
    run: Callable[..., None] = binding.trigger_inbound
    if binding.channel_session_user:
        run = auth.channel_session_user(run)
    elif binding.channel_session:
        run = sessions.channel_session(run)
    return sessions.enforce_ordering(run) if binding.strict_ordering or binding.slight_ordering else run


def _anonymous() -> Any:
    from django.contrib.auth.models import AnonymousUser  # models can be imported once the apps are loaded

    return AnonymousUser()
