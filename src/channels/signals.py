"""Signals of the worker. Receivers run in the worker, in the thread of the slot that they concern."""

from __future__ import annotations

from django.dispatch import Signal

consumer_started = Signal()
"""Sent when a consumer is about to run. ``sender`` is the worker class, ``environ`` an empty dict."""

consumer_finished = Signal()
"""Sent when a consumer has ended, also by an exception. ``sender`` is the worker class."""

worker_ready = Signal()
"""Sent when a slot is about to take its first message, once for each. ``sender`` is the worker."""

worker_process_ready = Signal()
"""Sent when a ``runworker`` process is set up, once, before its first ``worker_ready``. ``sender`` is the worker."""
