"""Routes for a test, in place of those of the settings."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack
from functools import wraps
from inspect import iscoroutinefunction
from types import TracebackType
from typing import Any, Self, TypeVar, cast

from channels.layers import DEFAULT_CHANNEL_LAYER, channel_layers
from channels.routing import Include, Route

T = TypeVar("T", bound=Callable[..., Any])

Routes = Route | Include | Sequence["Route | Include | Sequence[Route | Include]"]


class apply_routes:  # noqa: N801 - named as in 1.x, and as it is used
    """Let the layers ``aliases`` route by ``routes`` alone: in a ``with`` block, a function, or the tests of a class.

    ``routes`` is a route, a list of routes, or a list of such lists.
    """

    def __init__(self, routes: Routes, aliases: Iterable[str] = (DEFAULT_CHANNEL_LAYER,)) -> None:
        self._routes = _listed(routes)
        self._aliases = [aliases] if isinstance(aliases, str) else list(aliases)
        self._exits = ExitStack()

    def __enter__(self) -> Self:
        for alias in self._aliases:
            self._exits.enter_context(channel_layers[alias].routed_by(self._routes))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._exits.close()

    def __call__(self, decorated: T) -> T:
        """Return ``decorated``, a function or a test case, with the routes in force while it runs."""
        if isinstance(decorated, type):
            return cast("T", self._around_tests(decorated))

        if iscoroutinefunction(decorated):

            @wraps(decorated)
            async def arun(*args: Any, **kwargs: Any) -> Any:
                with self._again():
                    return await decorated(*args, **kwargs)

            return cast("T", arun)

        @wraps(decorated)
        def run(*args: Any, **kwargs: Any) -> Any:
            with self._again():
                return decorated(*args, **kwargs)

        return cast("T", run)

    def _around_tests(self, case: type[Any]) -> type[Any]:
        set_up = case.setUp
        again = self._again

        @wraps(set_up)
        def set_up_routed(test: Any) -> None:
            test.enterContext(again())
            set_up(test)

        case.setUp = set_up_routed
        return case

    def _again(self) -> apply_routes:
        return apply_routes(self._routes, self._aliases)


def _listed(routes: Any) -> list[Route | Include]:
    if isinstance(routes, (Route, Include)):
        return [routes]
    if not isinstance(routes, Iterable) or isinstance(routes, (str, bytes)):
        raise TypeError(f"routes are a route, a list of routes, or a list of such lists, not {routes!r}")
    return [Include(entry) if isinstance(entry, (list, tuple)) else entry for entry in routes]
