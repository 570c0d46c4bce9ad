"""The session of a connection, which rides along with its messages.

The interface server holds it as bytes and sends them with every event of the connection's lane; a worker that has
changed it returns it with *done*. It is text in Latin-1, ``version:expires:data:signature``: ``version`` counts how
often it was changed, ``expires`` is a time in seconds since 1970 or 0, ``data`` comes from ``SESSION_SERIALIZER``. The
signature covers all of it and the name of the reply channel, so no other connection can use it.
"""

from __future__ import annotations

import hashlib
import marshal
import math
import time
from collections.abc import Callable
from functools import lru_cache, partial
from typing import TYPE_CHECKING, Any, Final

from django.conf import settings
from django.contrib.sessions.backends.base import SessionBase
from django.core.signals import setting_changed
from django.core.signing import Signer
from django.utils.functional import cached_property
from django.utils.module_loading import import_string

from channel_layers.notes import version_of

if TYPE_CHECKING:
    from channels.channel import Layer
    from channels.lane_state import LaneState

MAX_SIZE: Final = 4096
"""Bytes of a session as it travels, which it does with every message of its connection."""


class ReplyChannelSession(SessionBase):
    """A session that belongs to a reply channel. Its key is made of the channel's name and never changes."""

    channel: str

    @property
    def session_key(self) -> str:
        """``chn`` and 29 hexadecimal digits, as in 1.x."""
        return "chn" + hashlib.sha1(self.channel.encode(), usedforsecurity=False).hexdigest()[:29]

    @property
    def _session_key(self) -> str:
        return self.session_key

    @_session_key.setter
    def _session_key(self, value: str | None) -> None:
        """Ignore a new key: Django's engines give one to a session that they do not find."""

    def create(self) -> None:
        """Do nothing: the session begins when it is first saved."""

    async def acreate(self) -> None:
        """As :meth:`create`."""

    def cycle_key(self) -> None:
        """Do nothing: no client knows the key, so none can have planted it."""

    async def acycle_key(self) -> None:
        """As :meth:`cycle_key`."""


class ChannelSession(ReplyChannelSession):
    """The session of the connection that ``channel`` leads to, read from ``lane`` when it is first used.

    It ends with its connection. After :meth:`set_expiry` it is empty from that time on, counted from its last change;
    0 means the end of the connection, as does no expiry at all, whatever ``get_expiry_age()`` says then. Bytes that
    cannot be read make an empty session, which ``layer`` counts among its losses.
    """

    # SessionBase.__init__ looks for the serializer, which takes longer than all else that an unused session costs.
    def __init__(self, channel: str, lane: LaneState, layer: Layer) -> None:
        self.channel = channel
        self.accessed = False
        self.modified = False
        self._lane = lane
        self._layer = layer

    @cached_property
    def serializer(self) -> Any:
        """What turns the data into bytes and back: the class that ``SESSION_SERIALIZER`` names."""
        return import_string(settings.SESSION_SERIALIZER)

    @property
    def _session(self) -> dict[str, Any]:
        """The data, loaded when they are first used; Django's looks for the key before, which takes as long again."""
        self.accessed = True
        data: dict[str, Any] | None = self.__dict__.get("_session_cache")
        if data is None:
            data = self._session_cache = self.load()
        return data

    def load(self) -> dict[str, Any]:
        """Return the data that came with the message, ``{}`` if there is none or none to be trusted."""
        if self._lane.session is None:
            return {}
        try:
            return self._decoded(self._lane.session)
        except Exception as error:  # noqa: BLE001 - a serializer may raise anything at what another has written
            self._layer.losses.count(
                "unreadable channel session",
                f"the channel session of {self.channel!r} cannot be read ({type(error).__name__}) and begins anew: do "
                "all processes have the same SECRET_KEY, or the former one in SECRET_KEY_FALLBACKS, and the same "
                "SESSION_SERIALIZER?",
            )
            return {}

    def save(self, must_create: bool = False) -> None:
        """Hand the data back to the connection; ``must_create`` makes no difference.

        Raises :exc:`ValueError` if they are more than 4096 bytes, and what the serializer raises for values that it
        cannot store. The connection then keeps what it had.
        """
        self._lane.session = self._encoded()
        self._lane.changed = True
        self.modified = False

    def delete(self, session_key: str | None = None) -> None:
        """Forget the data, unless ``session_key`` is that of another session."""
        if session_key in (None, self.session_key):
            self.clear()

    def exists(self, session_key: str) -> bool:
        """Return whether this is the session with that key and has been saved."""
        return self._lane.session is not None and session_key == self.session_key

    async def aload(self) -> dict[str, Any]:
        """As :meth:`load`."""
        return self.load()

    async def asave(self, must_create: bool = False) -> None:
        """As :meth:`save`."""
        self.save(must_create)

    async def adelete(self, session_key: str | None = None) -> None:
        """As :meth:`delete`."""
        self.delete(session_key)

    async def aexists(self, session_key: str) -> bool:
        """As :meth:`exists`."""
        return self.exists(session_key)

    def _decoded(self, signed: bytes) -> dict[str, Any]:
        expires, copied = _verified(self.channel, signed)
        return {} if expires and expires <= time.time() else copied()

    def _encoded(self) -> bytes:
        data = self._serialized(dict(self.items()))
        # What one run changes several times is one change to others that read the same version.
        version = version_of(self._lane.session) + (not self._lane.changed)
        text = f"{version}:{self._expires()}:{data.decode('latin-1')}"
        signed = _signer(self.channel).sign(text).encode("latin-1")
        if len(signed) > MAX_SIZE:
            raise ValueError(self._too_large(len(signed)))
        return signed

    def _serialized(self, data: dict[str, Any]) -> bytes:
        try:
            dumped: bytes = self.serializer().dumps(data)
        except Exception as error:
            refused = ", ".join(repr(key) for key in data if self._refuses({key: data[key]}))
            error.add_note(f"{settings.SESSION_SERIALIZER} cannot store what the channel session has under {refused}")
            raise
        return dumped

    def _refuses(self, data: dict[str, Any]) -> bool:
        try:
            self.serializer().dumps(data)
        except Exception:  # noqa: BLE001 - whatever it is, the caller has it
            return True
        return False

    def _too_large(self, size: int) -> str:
        sizes = {key: len(self.serializer().dumps({key: value})) for key, value in self.items()}
        largest = max(sizes, key=sizes.__getitem__)
        return (
            f"the channel session of {self.channel!r} has {size} bytes, the limit is {MAX_SIZE}, and its largest entry "
            f"is {largest!r} with {sizes[largest]}: it travels with every message of its connection, so keep large "
            "data in a model or the cache and here only how to find them"
        )

    def _expires(self) -> int:
        return math.ceil(self.get_expiry_date().timestamp()) if self.get("_session_expiry") else 0


def _signer(channel: str) -> Signer:
    return Signer(salt=f"channels.lane_session:{channel}")


@lru_cache(maxsize=1024)
def _verified(channel: str, signed: bytes) -> tuple[int, Callable[[], dict[str, Any]]]:
    """Return when what was signed for ``channel`` expires, and what makes copies of the data.

    Kept, because a session comes again with each message until it changes: reading it so takes a tenth of the time.
    Raises :exc:`~django.core.signing.BadSignature`, and what the serializer raises.
    """
    _, expires, text = _signer(channel).unsign(signed.decode("latin-1")).split(":", 2)
    load = partial(import_string(settings.SESSION_SERIALIZER)().loads, text.encode("latin-1"))
    try:
        copied = partial(marshal.loads, marshal.dumps(load()))  # by far the fastest copy of plain values
    except ValueError:  # a serializer of the project's own may store others
        copied = load
    return int(expires), copied


def _forget_verified(**kwargs: object) -> None:
    _verified.cache_clear()


setting_changed.connect(_forget_verified, dispatch_uid="channels.lane_session")
