"""``python -m benchmarks.load SPEC``: one process of the load; ``SPEC`` is JSON, see :mod:`benchmarks.load.spec`."""

from __future__ import annotations

import gc
import resource
import sys
from collections.abc import Callable
from typing import Final

from benchmarks.load.broadcast import broadcast
from benchmarks.load.control import Control, LoadError, say
from benchmarks.load.dialects import Unexpected
from benchmarks.load.echo import closed_loop, open_loop
from benchmarks.load.http import news, requests
from benchmarks.load.spec import Spec
from benchmarks.load.storm import hold, storm

MODES: Final[dict[str, Callable[[Control], None]]] = {
    "echo": closed_loop,
    "paced": open_loop,
    "broadcast": broadcast,
    "requests": requests,
    "news": news,
    "storm": storm,
    "hold": hold,
}


def main(text: str) -> int:
    """Make the load that ``text`` describes; return the exit status, 1 if it came to nothing."""
    spec = Spec.loads(text)
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    gc.disable()  # nothing here makes cycles, and a collection would count as latency of the server
    try:
        MODES[spec.mode](Control(spec))
    except (LoadError, OSError, TimeoutError, Unexpected, ValueError) as error:
        say("error", text=f"{type(error).__name__}: {error}")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
