"""Runs in valgrind. Every piece is called in forks of one process: in one so many times, in another not at all.

Valgrind writes the count of each process when it ends. That of a fork includes what its parent had counted until then,
so the difference of the two is what the calls took, besides the cost of forking, which the piece ``nothing`` shows.
"""

from __future__ import annotations

import gc
import os
from typing import Final

from benchmarks.instructions.pieces import PIECES, Piece

TIMES: Final = 100
WARM_UP: Final = 60
"""Calls after which the interpreter has made up its mind about a piece of code."""


def main() -> None:
    """Print name, number of calls and process of each fork."""
    gc.disable()
    for name, piece in PIECES.items():
        repeat(piece, WARM_UP)
        gc.collect()
        for times in (0, TIMES):
            print(f"{name}\t{times}\t{forked(piece, times)}", flush=True)


def forked(piece: Piece, times: int) -> int:
    """Call it so many times in a fork; return the id of that process."""
    pid = os.fork()
    if pid == 0:
        repeat(piece, times)
        os._exit(0)
    if os.waitpid(pid, 0)[1]:
        raise SystemExit("a piece has failed; python -m benchmarks.instructions.pieces says more")
    return pid


def repeat(piece: Piece, times: int) -> None:
    """Call it so many times."""
    for _ in range(times):
        piece()


if __name__ == "__main__":
    main()
