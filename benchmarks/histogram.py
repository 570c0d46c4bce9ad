"""Latencies kept in buckets of a fixed relative width, so that those of several processes and runs can be added."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Self

PRECISION = 256
"""Buckets for each doubling: a value is known to 0.4 %, as with two to three significant digits of an HdrHistogram."""
UNIT = 1e-9
"""Seconds below which values are not told apart."""
SHOWN = (50.0, 75.0, 90.0, 95.0, 99.0, 99.9, 99.99, 100.0)
"""Percentiles that results keep."""


class Histogram:
    """How often each latency was seen. Values are seconds."""

    def __init__(self, counts: Mapping[int, int] | None = None) -> None:
        self._counts: Counter[int] = Counter(counts)

    @classmethod
    def of(cls, values: Iterable[float]) -> Self:
        """Return the histogram of ``values``."""
        return cls(Counter(map(_bucket, values)))

    def __len__(self) -> int:
        return self._counts.total()

    def add(self, other: Histogram) -> None:
        """Count in what ``other`` has seen."""
        self._counts.update(other._counts)

    def percentile(self, share: float) -> float:
        """Return the smallest value that ``share`` percent of all do not exceed, to the width of a bucket.

        Raises :exc:`ValueError` if nothing was seen.
        """
        if not self._counts:
            raise ValueError("there is no percentile of nothing")
        left = max(1, math.ceil(len(self) * share / 100))
        for bucket in sorted(self._counts):
            left -= self._counts[bucket]
            if left <= 0:
                return _value(bucket)
        raise AssertionError("more than all values were asked for")

    def summary(self) -> dict[str, float]:
        """Return the percentiles that are shown, in milliseconds, by their names."""
        return {f"p{share:g}": self.percentile(share) * 1000 for share in SHOWN} if self._counts else {}

    def to_json(self) -> dict[str, int]:
        """Return it as something that JSON can carry."""
        return {str(bucket): count for bucket, count in sorted(self._counts.items())}

    @classmethod
    def from_json(cls, counts: Mapping[str, int]) -> Self:
        """Return what :meth:`to_json` was made of."""
        return cls({int(bucket): count for bucket, count in counts.items()})


def _bucket(value: float) -> int:
    """Return the number of the bucket: a logarithm, linear between two powers of two."""
    fraction, exponent = math.frexp(max(value, UNIT) / UNIT)
    return exponent * PRECISION + int((fraction - 0.5) * 2 * PRECISION)


def _value(bucket: int) -> float:
    """Return the middle of a bucket."""
    exponent, step = divmod(bucket, PRECISION)
    return math.ldexp(0.5 + (step + 0.5) / (2 * PRECISION), exponent) * UNIT
