"""Lists of fields: what is sent, and what a client may set."""

from typing import Any

import pytest

from channels.binding.fields import FieldList
from tests.boards.models import Task, Token

EVERYTHING = ["id", "title", "done", "due", "board", "secret", "serial", "attachment", "labels"]
SETTABLE = {"title", "done", "due", "board", "labels", "secret"}


@pytest.mark.parametrize(
    ("fields", "exclude", "sent"),
    [
        (["title", "done"], None, ["title", "done"]),
        (("labels",), None, ["labels"]),
        ("__all__", None, EVERYTHING),
        (["__all__"], None, EVERYTHING),
        (None, ["secret", "attachment"], ["id", "title", "done", "due", "board", "serial", "labels"]),
        (None, [], EVERYTHING),
        (["title", "done"], ["done"], ["title"]),
        ([], None, []),
    ],
)
def test_sent_fields(fields: Any, exclude: Any, sent: list[str]) -> None:
    """Those listed, or all, without those excluded; what is sent decides what may be set as well."""
    chosen = FieldList("Tasks", fields, exclude)
    assert chosen.sent(Task) == sent
    data = dict.fromkeys([*EVERYTHING, "unknown"], 1)
    assert chosen.settable(Task, data) == dict.fromkeys(SETTABLE & set(sent), 1)


def test_primary_keys_files_and_what_is_not_editable_are_not_settable() -> None:
    """Not even where they are listed by name."""
    chosen = FieldList("Tasks", EVERYTHING, None)
    assert chosen.settable(Task, {"id": 1, "serial": 2, "attachment": "/etc/passwd", "title": "x"}) == {"title": "x"}
    assert FieldList("Tokens", "__all__", None).settable(Token, {"id": 1, "name": "x"}) == {"name": "x"}


def test_neither_is_an_error() -> None:
    """Somebody has to say what may travel."""
    with pytest.raises(ValueError, match=r"Tasks has neither fields nor exclude: .*fields = '__all__' are all"):
        FieldList("Tasks", None, None)


@pytest.mark.parametrize(("attribute", "given"), [("fields", "title"), ("exclude", "secret"), ("exclude", "__all__")])
def test_single_name_is_an_error(attribute: str, given: str) -> None:
    """A text would be taken for its letters, or exclude nothing."""
    options: dict[str, Any] = {"fields": None, "exclude": None, attribute: given}
    with pytest.raises(ValueError, match=rf"Tasks\.{attribute} is a list of names, not one name: \['{given}'\]"):
        FieldList("Tasks", **options)


@pytest.mark.parametrize(("fields", "exclude"), [(["titel"], None), (None, ["titel"])])
def test_unknown_name_is_an_error(fields: Any, exclude: Any) -> None:
    """A name that was misspelt in ``exclude`` would leave the field to be sent."""
    with pytest.raises(ValueError, match=r"Tasks: boards\.Task has no field 'titel'\. Did you mean 'title'\?"):
        FieldList("Tasks", fields, exclude).check(Task)
    FieldList("Tasks", ["__all__"], ["secret"]).check(Task)
