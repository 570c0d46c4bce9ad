"""The conversation of a load with the harness: lines of JSON on standard input and output."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable
from dataclasses import asdict
from typing import Any

from benchmarks import usage
from benchmarks.histogram import Histogram
from benchmarks.load.spec import Spec, Watch
from benchmarks.redis_client import Monitor, RedisClient

clock = time.perf_counter
"""The machine's monotonic clock: the same for all processes."""


class LoadError(Exception):
    """The load cannot go on: the server closed a socket, sent what nobody expected, or nothing."""


class Control:
    """Says that the load is ready, waits for the word to begin, and watches the machine during the window."""

    def __init__(self, spec: Spec) -> None:
        self.spec = spec
        self.latencies: list[float] = []
        self.lags: list[float] = []
        self._watch = Watch()
        self._redis = RedisClient(spec.redis) if spec.redis else None
        self._usage: usage.Usage | None = None
        self._calls: dict[str, int] = {}
        self._deadline = clock() + spec.limit

    def ready(self, meanwhile: Callable[[], object] = lambda: None) -> None:
        """Say that all connections are open, do something ``meanwhile``, and wait until the harness wants to begin."""
        say("ready", pid=os.getpid())
        meanwhile()
        self.begin_watching(sys.stdin.readline())

    def begin_watching(self, line: str) -> None:
        """Take what the harness says is to be watched, and give the load its time from now on."""
        if not line:
            raise SystemExit("the harness has gone")
        self._watch = Watch.loads(line)
        self.give_time()

    def give_time(self) -> None:
        """Count the time that the load may take from now on."""
        self._deadline = clock() + self.spec.limit

    def open_window(self) -> float:
        """Begin to measure; return the time."""
        self._begin_counting()
        self._before = usage.snapshot(self._watch.cores, self._watch.roles)
        return self._before.at

    def close_window(self) -> float:
        """End measuring; return the time."""
        after = usage.snapshot(self._watch.cores, self._watch.roles)
        self._usage = usage.between(self._before, after)
        self._end_counting()
        return after.at

    def _begin_counting(self) -> None:
        if self._redis and self.spec.monitor:
            self._monitor = Monitor(self.spec.redis)
        elif self._redis:
            self._calls = self._redis.calls()

    def _end_counting(self) -> None:
        if self._redis and self.spec.monitor:
            self._calls = self._monitor.sent()
        elif self._redis:
            calls = self._redis.calls()
            self._calls = {name: count - self._calls.get(name, 0) for name, count in calls.items() if name != "info"}

    def check_time(self) -> None:
        """Raise :exc:`LoadError` if the load has taken longer than it may."""
        if clock() > self._deadline:
            raise LoadError(f"nothing was decided within {self.spec.limit:g} s")

    def report(self, count: int, **more: Any) -> None:
        """Tell the harness what was counted in the window."""
        assert self._usage is not None
        say(
            "result",
            count=count,
            usage=asdict(self._usage),
            redis={name: calls for name, calls in self._calls.items() if calls},
            latencies=Histogram.of(self.latencies).to_json(),
            lags=Histogram.of(self.lags).to_json(),
            **more,
        )

    def report_nothing(self) -> None:
        """Tell the harness that all went well where another process has measured."""
        say("result", count=0)


def say(event: str, **values: Any) -> None:
    """Write one line."""
    print(json.dumps({"event": event, **values}), flush=True)
