"""Message content <-> bytes: MessagePack, with a walk over the types that decides what may travel.

The walk decides and not the encoder, because an encoder that accepts a set or an Enum hands the receiver something
else. Accepted: ``str``, ``bytes``, ``bool``, ``None``, ``float``, ``int`` of 64 bits with sign, ``list``, ``tuple``
(arrives as list), ``dict`` with text or integer keys, ``datetime``, ``date``, ``time``, ``UUID``, ``Decimal`` and
Django's lazy strings (arrive as ``str``). Subclasses that carry nothing more arrive as the plain type.
"""

from __future__ import annotations

import datetime
from collections.abc import Callable
from decimal import Decimal
from typing import Any, Final
from uuid import UUID

import msgspec

from channel_layers.exceptions import InvalidContent

MAX_DEPTH: Final = 64
"""Levels of nested lists and dicts; a structure that contains itself is found by it."""
_INT_LIMIT: Final = 2**63

DecodeError = msgspec.DecodeError
"""Bytes that :func:`encode` never made."""

_encoder = msgspec.msgpack.Encoder()
encode_plain: Callable[[dict[str, Any]], bytes] = _encoder.encode
"""Return a dict as bytes without the walk, for content that the caller built of plain values itself."""
_SCALARS = frozenset({str, bytes, bool, float, type(None)})


def encode(content: dict[Any, Any]) -> bytes:
    """Return ``content`` as bytes.

    Raises :exc:`InvalidContent` naming the path of the first value that cannot travel.
    """
    if _plain(content, 0) and type(content) is dict:
        try:
            return _encoder.encode(content)
        except UnicodeEncodeError:  # half a surrogate pair: the walk finds where
            pass
    if not isinstance(content, dict):
        kind = type(content).__name__
        raise InvalidContent(f"a message is a dict, not {kind}: {_shown(content)}; to a WebSocket send {{'text': …}}")
    return _encoder.encode(_walk(content, "message", 0))


def decode(content: bytes) -> Any:
    """Return what :func:`encode` or :func:`join` was given; raise :exc:`DecodeError` for other bytes."""
    try:
        return _decoder.decode(content)
    except (RecursionError, UnicodeDecodeError) as error:
        raise msgspec.DecodeError(str(error)) from None


def is_lazy(kind: type) -> bool:
    """Return whether values of ``kind`` are Django's lazy strings, found by name: this package has no Django."""
    return any(c.__name__ == "Promise" and c.__module__ == "django.utils.functional" for c in kind.__mro__)


def join(contents: list[bytes]) -> bytes:
    """Return encoded dicts as one encoded list."""
    if len(contents) > 0xFFFF:
        raise ValueError(f"at most {0xFFFF} contents travel together, not {len(contents)}")
    return b"\xdc" + len(contents).to_bytes(2, "big") + b"".join(contents)


def _plain(value: Any, depth: int) -> bool:
    """Return whether ``value`` can go to the encoder as it is. Nothing is built: most messages end here."""
    kind = type(value)
    if kind is dict and depth < MAX_DEPTH:
        for k, v in value.items():
            if type(k) is not str or (type(v) not in _SCALARS and not _plain(v, depth + 1)):
                return False
        return True
    if kind is int:
        return bool(-_INT_LIMIT <= value < _INT_LIMIT)
    if kind is list and depth < MAX_DEPTH:
        return all(_plain(v, depth + 1) for v in value)
    return kind in _SCALARS


def _walk(value: Any, path: str, depth: int) -> Any:
    kind = type(value)
    if kind is str:
        return _text(value, path)
    if kind in _SCALARS:
        return value
    convert = _CONVERTERS.get(kind) or _converter(kind)
    if convert is None:
        raise InvalidContent(_refusal(value, path))
    return convert(value, path, depth)


def _converter(kind: type) -> Callable[[Any, str, int], Any] | None:
    """Return how a subclass travels, if it carries nothing that its base type does not."""
    for base in (str, bytes, bytearray, int, float, list, tuple):
        if issubclass(kind, base):
            return _CONVERTERS[base]
    if issubclass(kind, dict) and kind.__getitem__ is dict.__getitem__:
        return _dict
    return _lazy if is_lazy(kind) else None


def _text(value: str, path: str, depth: int = 0) -> str:
    try:
        value.encode()
    except UnicodeEncodeError as error:
        raise InvalidContent(f"{path}: text that is not valid Unicode ({error.reason}): {_shown(value)}") from None
    return str.__str__(value)


def _int(value: int, path: str, depth: int) -> int:
    if -_INT_LIMIT <= value < _INT_LIMIT:
        return int(value)
    raise InvalidContent(f"{path}: integers have 64 bits with sign, {_shown(value)} does not fit; send it as text")


def _check_depth(path: str, depth: int) -> None:
    if depth >= MAX_DEPTH:
        raise InvalidContent(f"{path}: nested deeper than {MAX_DEPTH} levels, or it contains itself")


def _list(value: Any, path: str, depth: int) -> list[Any]:
    _check_depth(path, depth)
    return [_walk(item, f"{path}[{i}]", depth + 1) for i, item in enumerate(value)]


def _dict(value: dict[Any, Any], path: str, depth: int) -> dict[Any, Any]:
    _check_depth(path, depth)
    return {_key(k, path): _walk(v, f"{path}[{k!r}]", depth + 1) for k, v in value.items()}


def _key(key: Any, path: str) -> str | int:
    if isinstance(key, str):
        return _text(key, f"{path} key {_shown(key)}")
    if isinstance(key, int) and not isinstance(key, bool):
        return _int(key, f"{path} key {_shown(key)}", 0)
    raise InvalidContent(f"{path}: a key is text or an integer, not {type(key).__name__}: {_shown(key)}")


def _lazy(value: object, path: str, depth: int) -> Any:
    return _text(str(value), path)


_DATETIME, _DATE, _TIME, _UUID, _DECIMAL = 1, 2, 3, 4, 5


def _ext(code: int, to_text: Callable[[Any], str]) -> Callable[[Any, str, int], msgspec.msgpack.Ext]:
    return lambda value, path, depth: msgspec.msgpack.Ext(code, to_text(value).encode())


_CONVERTERS: dict[type, Callable[[Any, str, int], Any]] = {
    str: _text,
    int: _int,
    float: lambda value, path, depth: float(value),
    bytes: lambda value, path, depth: bytes(value),
    bytearray: lambda value, path, depth: bytes(value),
    memoryview: lambda value, path, depth: bytes(value),
    list: _list,
    tuple: _list,
    dict: _dict,
    datetime.datetime: _ext(_DATETIME, datetime.datetime.isoformat),
    datetime.date: _ext(_DATE, datetime.date.isoformat),
    datetime.time: _ext(_TIME, datetime.time.isoformat),
    UUID: lambda value, path, depth: msgspec.msgpack.Ext(_UUID, value.bytes),
    Decimal: _ext(_DECIMAL, str),
}

_READERS: dict[int, Callable[[bytes], Any]] = {
    _DATETIME: lambda data: datetime.datetime.fromisoformat(data.decode()),
    _DATE: lambda data: datetime.date.fromisoformat(data.decode()),
    _TIME: lambda data: datetime.time.fromisoformat(data.decode()),
    _UUID: lambda data: UUID(bytes=data),
    _DECIMAL: lambda data: Decimal(data.decode()),
}


def _read_ext(code: int, data: memoryview) -> Any:
    try:
        return _READERS[code](bytes(data))
    except KeyError:
        raise msgspec.DecodeError(f"extension type {code} is not one of this codec") from None
    except (ValueError, ArithmeticError) as error:
        raise msgspec.DecodeError(f"extension type {code} holds no such value: {error}") from None


_decoder = msgspec.msgpack.Decoder(ext_hook=_read_ext)


def _refusal(value: object, path: str) -> str:
    hint = "send str(value), a list or a dict of plain values instead"
    if hasattr(type(value), "pk"):  # a row of a database, as Django's models are
        hint = "send value.pk, and load it again where the message arrives"
    return f"{path}: {type(value).__name__} cannot travel ({_shown(value)}); {hint}"


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 80 else text[:77] + "..."
