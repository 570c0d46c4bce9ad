"""What class consumers have in common: a method for each channel, and the decorators around it by attribute."""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping
from functools import lru_cache
from types import MethodType
from typing import Any, ClassVar, Self

from channel_layers.suggestions import did_you_mean
from channels import auth, sessions
from channels.consumers import name_of
from channels.message import Message
from channels.patterns import Filter
from channels.routing import RouteClass

Handler = Callable[..., Any]
Decorators = tuple[Callable[[Handler], Handler], ...]


class ConsumerClass:
    """The common base of both kinds, :class:`BaseConsumer` and :class:`AsyncConsumer`.

    ``method_mapping`` names the method for each channel. ``channel_session`` and ``channel_session_user`` give the
    methods what the decorators of these names do. An instance has ``message`` and ``kwargs``, those of its route.
    """

    method_mapping: ClassVar[Mapping[str, str]] = {}
    channel_session: bool = False
    channel_session_user: bool = False

    def __init__(self, message: Message, **kwargs: Any) -> None:
        self.message = message
        self.kwargs = kwargs

    @classmethod
    def channel_names(cls) -> set[str]:
        """Return the channels that the class reads; raise :exc:`ValueError` for a method that it does not have."""
        for channel, name in cls.method_mapping.items():
            if not callable(getattr(cls, name, None)):
                raise ValueError(
                    f"{name_of(cls)}.method_mapping has {name!r} for {channel!r}, and the class has no such method."
                    f"{did_you_mean(name, dir(cls))}"
                )
        return set(cls.method_mapping)

    @classmethod
    def as_route(cls, attrs: Mapping[str, Any] | None = None, *, ordered: bool = True, **filters: Filter) -> RouteClass:
        """Return a route to this class, or with ``attrs`` to a subclass that has these attributes."""
        if attrs is None:
            return RouteClass(cls, ordered=ordered, **filters)
        if not isinstance(attrs, Mapping):
            raise TypeError(f"attrs is a dict of attributes for a subclass of {cls.__name__}, not {attrs!r}")
        own = {"__module__": cls.__module__, "__qualname__": cls.__qualname__, "__doc__": cls.__doc__}
        return RouteClass(type(cls.__name__, (cls,), {**own, **attrs}), ordered=ordered, **filters)

    def get_handler(self, message: Message, **kwargs: Any) -> Handler:
        """Return the method for ``message``, with what the attributes ask for around it."""
        handler: Handler = getattr(self, self.method_mapping[message.channel_name])
        decorators = self._decorators()
        return _decorated_method(handler, decorators) if decorators else handler

    def dispatch(self, message: Message, **kwargs: Any) -> Any:
        """Call the method for ``message``; what an ``async def`` method returns is to be awaited."""
        return self.get_handler(message, **kwargs)(message, **kwargs)

    def _decorators(self) -> Decorators:
        """Return the decorators that the attributes ask for, the innermost first."""
        if self.channel_session_user:
            return (auth.channel_session_user,)
        return (sessions.channel_session,) if self.channel_session else ()


class BaseConsumer(ConsumerClass):
    """A class whose call with a message handles it, and returns the instance that has done so."""

    def __init__(self, message: Message, **kwargs: Any) -> None:
        super().__init__(message, **kwargs)
        self.dispatch(message, **kwargs)


class AsyncConsumer(ConsumerClass):
    """As :class:`BaseConsumer` with ``async def`` methods: what its call returns is to be awaited.

    It runs on the event loop of the worker, and so may many at a time.
    """

    def __await__(self) -> Generator[Any, None, Self]:
        yield from self.dispatch(self.message, **self.kwargs).__await__()
        return self


def _decorated_method(method: Handler, decorators: Decorators) -> Handler:
    if isinstance(method, MethodType):
        return MethodType(_decorated(method.__func__, decorators), method.__self__)
    return _decorated.__wrapped__(method, decorators)


@lru_cache(maxsize=1024)  # decorating takes longer than what is decorated
def _decorated(function: Handler, decorators: Decorators) -> Handler:
    for decorate in decorators:
        function = decorate(function)
    return function
