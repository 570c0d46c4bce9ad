"""What the pieces took when the baseline was written, and what may be said of a later count."""

from __future__ import annotations

import json
import platform
import sys
import sysconfig
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path
from typing import Final, Self

PATH: Final = Path(__file__).with_name("baseline.json")
TOLERANCE: Final = 0.05
"""Share by which a count may grow. Counts of one build differ by up to 1.2 % from run to run."""
MATTER: Final = ("Django", "hiredis", "httptools", "msgspec", "websockets")
"""Packages whose code is counted as well."""


def build() -> str:
    """Return the name of this interpreter: two builds of one version differ by up to 15 %."""
    linked = "shared" if sysconfig.get_config_var("Py_ENABLE_SHARED") else "static"
    name = f"{sys.implementation.name} {platform.python_version()}"
    return f"{name}, {platform.python_compiler()}, {linked}, {platform.machine()}"


def versions() -> dict[str, str]:
    """Return the versions of the packages that matter."""
    return {name: metadata.version(name) for name in MATTER}


@dataclass(frozen=True)
class Counts:
    """Instructions for each call of a piece, and the versions of the packages that were part of it."""

    counts: Mapping[str, int]
    versions: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Change:
    """A piece, what it took and what it takes; either is ``None`` where there is no such piece."""

    name: str
    before: int | None
    now: int | None

    @property
    def share(self) -> float:
        """By which share the count has grown."""
        return self.now / self.before - 1 if self.now is not None and self.before else 0.0

    @property
    def verdict(self) -> str:
        """What there is to say, nothing if it is as before."""
        if self.before is None:
            return "new"
        if self.now is None:
            return "gone"
        return "MORE" if self.share > TOLERANCE else "fewer" if self.share < -TOLERANCE else ""


class Baseline:
    """The counts of each build of Python, kept in a file."""

    def __init__(self, builds: Mapping[str, Counts]) -> None:
        self.builds = dict(builds)

    @classmethod
    def load(cls, path: Path = PATH) -> Self:
        """Read it; a file that is not there is empty."""
        if not path.exists():
            return cls({})
        return cls({name: Counts(**values) for name, values in json.loads(path.read_text()).items()})

    def save(self, path: Path = PATH) -> None:
        """Write it, a line for each piece, so that a change can be read."""
        values = {
            name: {"counts": kept.counts, "versions": kept.versions} for name, kept in sorted(self.builds.items())
        }
        path.write_text(json.dumps(values, indent=1) + "\n")

    def changes(self, name: str, now: Mapping[str, int]) -> Iterator[Change]:
        """Compare with what was kept for a build."""
        before = self.builds[name].counts
        for piece in dict.fromkeys([*now, *before]):
            yield Change(piece, before.get(piece), now.get(piece))
