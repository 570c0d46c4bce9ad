"""What Python calls a constructor when its arguments are wrong."""

from __future__ import annotations

import inspect
from collections.abc import Callable

import pytest

from channels import Channel, Group, include, route, route_class
from channels.naming import called


class Base:
    """Has a constructor with everything that a constructor may have."""

    def __init__(self, name: str, size: int = 1, *, colour: str = "red") -> None:
        """Make it."""
        super().__init__()
        self.all = (name, size, colour)


class Named(Base):
    """Is spoken of as something else."""

    __init__ = called("thing", Base.__init__)


def test_a_copy_is_the_same_but_for_its_name() -> None:
    """Defaults, keywords, what it closes over, text and types; the one it is a copy of keeps its own name."""
    assert Named("a", 2, colour="blue").all == ("a", 2, "blue")
    assert Named("a").all == ("a", 1, "red")
    assert inspect.signature(Named) == inspect.signature(Base)
    assert (Named.__init__.__doc__, Named.__init__.__module__) == ("Make it.", __name__)
    assert (Named.__init__.__qualname__, Base.__init__.__qualname__) == ("thing", "Base.__init__")


@pytest.mark.parametrize(
    ("written", "arguments", "options", "sentence"),
    [
        (route, ["websocket.connect"], {}, r"^route\(\) missing 1 required positional argument: 'consumer'$"),
        (route, [], {}, r"^route\(\) missing 2 required positional arguments: 'channels' and 'consumer'$"),
        (route, ["jobs", print, "^/"], {}, r"^route\(\) takes 3 positional arguments but 4 were given$"),
        (route_class, [], {}, r"^route_class\(\) missing 1 required positional argument: 'consumer'$"),
        (include, [], {}, r"^include\(\) missing 1 required positional argument: 'routing'$"),
        (Channel, [], {}, r"^Channel\(\) missing 1 required positional argument: 'name'$"),
        (Group, [], {}, r"^Group\(\) missing 1 required positional argument: 'name'$"),
        (Group, ["chat"], {"layer": None}, r"^Group\(\) got an unexpected keyword argument 'layer'"),
    ],
)
def test_error_names_what_was_written(
    written: Callable[..., object], arguments: list[object], options: dict[str, object], sentence: str
) -> None:
    """And the argument that is to be added, or to go."""
    with pytest.raises(TypeError, match=sentence):
        written(*arguments, **options)
