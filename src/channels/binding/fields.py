"""Which fields of a model a binding sends, and which a client may set."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from django.db.models import FileField, Model

from channel_layers.suggestions import did_you_mean

ALL: Final = "__all__"

if TYPE_CHECKING:
    from django.db.models import Field, ManyToManyField

    AnyField = Field[Any, Any] | ManyToManyField[Any, Any]


class FieldList:
    """The ``fields`` or the ``exclude`` of a binding: names, or ``"__all__"`` for ``fields``.

    Raises :exc:`ValueError` if both are ``None``, and for a single name in place of a list. ``owner`` is whose they
    are, for the text of errors.
    """

    def __init__(self, owner: str, fields: Sequence[str] | str | None, exclude: Sequence[str] | None) -> None:
        if fields is None and exclude is None:
            raise ValueError(
                f"{owner} has neither fields nor exclude: say which fields may travel. fields = ['name', ...] are "
                f"those, exclude = ['name', ...] leaves all others, fields = {ALL!r} are all"
            )
        for attribute, given in (("fields", fields), ("exclude", exclude)):
            if isinstance(given, str) and (attribute, given) != ("fields", ALL):
                raise ValueError(f"{owner}.{attribute} is a list of names, not one name: [{given!r}]")
        self._owner = owner
        self._fields = None if fields is None or ALL in fields else frozenset(fields)
        self._exclude = frozenset(exclude or ())

    def check(self, model: type[Model]) -> None:
        """Raise :exc:`ValueError` for a name that ``model`` does not have: left out by mistake it would be sent."""
        known = {field.name for field in model._meta.get_fields()}
        for name in sorted(((self._fields or frozenset()) | self._exclude) - known):
            raise ValueError(f"{self._owner}: {model._meta.label} has no field {name!r}.{did_you_mean(name, known)}")

    def sent(self, model: type[Model]) -> list[str]:
        """Return the names of the fields that are sent."""
        return [field.name for field in _fields_of(model) if self._has(field.name)]

    def settable(self, model: type[Model], data: Mapping[str, Any]) -> dict[str, Any]:
        """Return what of ``data`` a client may set.

        That is fields which are sent and editable; not the primary key, by which it would create or copy other rows,
        and no files, whose contents it cannot send.
        """
        names = {field.name for field in _fields_of(model) if self._has(field.name) and _is_settable(field)}
        return {name: value for name, value in data.items() if name in names}

    def _has(self, name: str) -> bool:
        return (self._fields is None or name in self._fields) and name not in self._exclude


def _fields_of(model: type[Model]) -> Iterable[AnyField]:
    return [*model._meta.concrete_fields, *model._meta.many_to_many]


def _is_settable(field: AnyField) -> bool:
    return bool(field.editable) and not field.primary_key and not isinstance(field, FileField)
