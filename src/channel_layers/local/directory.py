"""The directory that the processes of one project share: who may use it, and who does."""

from __future__ import annotations

import fcntl
import hashlib
import os
import re
import stat
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final
from weakref import WeakSet

MAX_PATH: Final = 103
"""Bytes of the path of a unix socket; macOS has room for that, Linux for four more."""
SOCKET: Final = "valkey.sock"
PAUSE: Final = 0.01
"""Seconds between two looks at a lock that another process holds, which it does while a server starts or ends."""


def base_directory() -> Path:
    """Return where the directories of this user's projects are.

    Not in ``XDG_RUNTIME_DIR`` or ``TMPDIR``: a shell and a cron job of one user differ in these, and are to meet.
    """
    return Path(f"/tmp/channels-{os.geteuid()}")


def directory_name(project: str) -> str:
    """Return a short name that is the same for equal ``project``, and that tells a person which one it is."""
    readable = re.sub(r"[^a-zA-Z0-9_-]+", "-", Path(project).name)[:20].strip("-")
    return f"{readable or 'project'}-{hashlib.sha256(project.encode()).hexdigest()[:10]}"


class SharedDirectory:
    """A directory of this user's own, locked as a whole by each of its users for as long as they use it.

    The lock is the kernel's and ends with its process, however that ends. A forked process does not inherit it.
    """

    def __init__(self, path: Path, base: Path | None = None) -> None:
        self.path = path
        self.socket = path / SOCKET
        self._base = base
        self._descriptor: int | None = None
        self._entering = threading.Lock()
        _directories.add(self)
        if len(os.fsencode(self.socket)) > MAX_PATH:
            raise ValueError(
                f"{self.socket} is too long for a unix socket ({len(os.fsencode(self.socket))} bytes, the limit is "
                f"{MAX_PATH}); name a shorter 'directory' in CONFIG"
            )

    def enter(self, timeout: float) -> None:
        """Be one of its users from here on.

        Raises :exc:`PermissionError` if it is not this user's alone, :exc:`TimeoutError` after ``timeout`` seconds.
        """
        deadline = time.monotonic() + timeout
        with self._entering:
            if self._descriptor is None or not _is_at(self._descriptor, self.path):
                self._close()
                self._descriptor = self._locked(deadline)

    @contextmanager
    def starting(self, timeout: float) -> Iterator[None]:
        """Be the only one of its users to start a server, for a block."""
        file = os.open(self.path / "lock", os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        try:
            _lock(file, fcntl.LOCK_EX, time.monotonic() + timeout, self.path)
            yield
        finally:
            os.close(file)

    def leave(self) -> None:
        """Be none of its users any more."""
        with self._entering:
            self._close()

    def leave_to_parent(self) -> None:
        """Begin anew in a process that was just forked: the lock is its parent's."""
        self._close()
        self._entering = threading.Lock()

    def _locked(self, deadline: float) -> int:
        while True:
            self._make()
            try:
                descriptor = _open_own(self.path)
            except FileNotFoundError:  # its last user was about to remove it
                continue
            try:
                _lock(descriptor, fcntl.LOCK_SH, deadline, self.path)
                if _is_at(descriptor, self.path):
                    return os.dup(descriptor)
            finally:
                os.close(descriptor)

    def _make(self) -> None:
        parent = self.path.parent
        _make(parent)
        if self._base is None:
            os.close(_open_own(parent))
        else:
            _check_base(parent)
        _make(self.path)

    def _close(self) -> None:
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is not None:
            os.close(descriptor)


def _make(path: Path) -> None:
    with suppress(FileExistsError):
        path.mkdir(mode=0o700)


def _open_own(path: Path) -> int:
    """Return a descriptor of a directory that belongs to this user and that nobody else may enter.

    What is looked at is what was opened: nobody can put something else there in between.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except FileNotFoundError:
        raise
    except OSError as error:  # a symbolic link, a file, another user's
        raise _refusal(path, f"is no directory that this user can open ({error.strerror})") from error
    try:
        _check_own(path, os.fstat(descriptor))
    except PermissionError:
        os.close(descriptor)
        raise
    return descriptor


def _check_own(path: Path, found: os.stat_result) -> None:
    if found.st_uid != os.geteuid():
        raise _refusal(path, f"belongs to the user with the number {found.st_uid}, not to {os.geteuid()}")
    if found.st_mode & 0o077:
        raise _refusal(path, f"has the mode {stat.S_IMODE(found.st_mode):o}: others may enter, and 700 is needed")


def _check_base(path: Path) -> None:
    """Refuse a directory in which another user could replace ours."""
    found = path.stat()
    if found.st_uid not in (0, os.geteuid()):
        raise _refusal(path, f"belongs to the user with the number {found.st_uid}, not to {os.geteuid()}")
    if found.st_mode & 0o022 and not found.st_mode & stat.S_ISVTX:
        raise _refusal(path, f"has the mode {stat.S_IMODE(found.st_mode):o}: others may write there")


def _refusal(path: Path, fault: str) -> PermissionError:
    return PermissionError(f"{path} {fault}; remove it, or name another 'directory' in CONFIG")


def _is_at(descriptor: int, path: Path) -> bool:
    """Return whether the directory that was opened is still at ``path``: the last one out removes it."""
    try:
        return os.path.samestat(os.fstat(descriptor), path.lstat())
    except FileNotFoundError:
        return False


def _lock(descriptor: int, kind: int, deadline: float, path: Path) -> None:
    while True:
        try:
            fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > deadline:
                raise TimeoutError(f"another process holds {path} for too long") from None
            time.sleep(PAUSE)
        else:
            return


_directories: WeakSet[SharedDirectory] = WeakSet()


def _leave_all_to_parent() -> None:
    for directory in list(_directories):
        directory.leave_to_parent()


os.register_at_fork(after_in_child=_leave_all_to_parent)
