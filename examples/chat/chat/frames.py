"""The frames between page and server: JSON objects that carry a type."""

import hashlib
import json
from pathlib import Path
from typing import Any

from django.core.exceptions import ValidationError

# Characters in one frame from the page: room for the longest message, even
# with each character of it written as two escapes of the form \uXXXX.
MAX_FRAME = 8192


def hash_of_sources() -> str:
    """Return seven hex digits that change with this app's modules.

    They change with each deploy, too, which leaves its number in a file.
    """
    app = Path(__file__).parent
    sources = sorted([*app.glob("*.py"), *app.glob("release.txt")])
    content = b"\0".join(source.read_bytes() for source in sources)
    return hashlib.sha256(content).hexdigest()[:7]


# Taken at import: the version of the code that this process runs, whatever
# has become of the files since.
CODE_VERSION = hash_of_sources()


def frame(kind: str, **fields: Any) -> dict[str, str]:
    """Return a reply for one socket or a group, stamped with the version."""
    return {"text": json.dumps({"type": kind, "code": CODE_VERSION, **fields})}


def read_frame(text: str | None) -> dict[str, Any]:
    """Return the object in a frame; ValidationError tells its sender why not.

    ``text`` is None for a binary frame.
    """
    if text is None:
        raise ValidationError("Send text frames; this one was binary.")
    if len(text) > MAX_FRAME:
        raise ValidationError(
            f"A frame has at most {MAX_FRAME} characters, not {len(text)}."
        )
    try:
        received = json.loads(text)
    # Brackets within brackets raise the latter.
    except (ValueError, RecursionError) as error:
        raise ValidationError("The frame is not JSON.") from error
    if not isinstance(received, dict):
        raise ValidationError('Send an object such as {"type": "typing"}.')
    return received
