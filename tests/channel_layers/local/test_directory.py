"""Whose directory it is, and who is in it."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

import pytest

from channel_layers.local import directory
from channel_layers.local.directory import SharedDirectory, base_directory, directory_name

PATIENCE = 10.0


def test_the_place_depends_on_the_user_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither on a session nor on variables, in which a cron job differs from a shell."""
    for name in ("XDG_RUNTIME_DIR", "TMPDIR", "HOME"):
        monkeypatch.setenv(name, "/elsewhere")
    assert base_directory() == Path(f"/tmp/channels-{os.geteuid()}")


@pytest.mark.parametrize(
    ("project", "readable"),
    [
        ("/srv/site/mysite", "mysite"),
        ("Ein Über-Projekt mit einem langen Namen", "Ein-ber-Projekt-mit"),
        ("", "project"),
        ("/srv/💬", "project"),
    ],
)
def test_names_are_short_and_readable(project: str, readable: str) -> None:
    """ASCII, at most 31 characters, equal for equal projects."""
    name = directory_name(project)
    assert name.rpartition("-")[0] == readable
    assert name == directory_name(project) != directory_name(project + "x")
    assert len(name) <= 31


def test_a_path_that_is_too_long_is_refused() -> None:
    """The error has the length, the limit and the option."""
    with pytest.raises(ValueError, match=r"too long for a unix socket \(112 bytes, the limit is 103\).*'directory'"):
        SharedDirectory(Path("/" + "x" * 99))


def test_it_is_made_for_its_user_alone(base: Path) -> None:
    """Together with the one that it is in."""
    shared = SharedDirectory(base / "channels" / "site")
    shared.enter(PATIENCE)
    assert [path.stat().st_mode & 0o777 for path in (shared.path, shared.path.parent)] == [0o700, 0o700]
    shared.leave()
    shared.leave()


def descriptors() -> int:
    """Return how many descriptors are open."""
    return len(list(Path("/dev/fd").iterdir()))


def own(path: Path) -> SharedDirectory:
    """Return a directory whose parent is checked as strictly as it is itself."""
    path.mkdir(mode=0o700)
    return SharedDirectory(path / "site")


def in_base(path: Path) -> SharedDirectory:
    """Return a directory in one that the settings name."""
    path.mkdir(mode=0o700)
    return SharedDirectory(path / "site", path)


def test_a_link_is_refused(base: Path) -> None:
    """Another user could have put it there, to lead us to a place of theirs."""
    shared = own(base / "channels")
    (base / "target").mkdir(mode=0o700)
    shared.path.symlink_to(base / "target")
    with pytest.raises(
        PermissionError, match=r"/site is no directory that this user can open \(.*; remove it, or name"
    ):
        shared.enter(PATIENCE)


def test_a_file_is_refused(base: Path) -> None:
    """The error names it."""
    shared = own(base / "channels")
    shared.path.touch()
    with pytest.raises(PermissionError, match=r"/site is no directory that this user can open"):
        shared.enter(PATIENCE)


@pytest.mark.parametrize("which", ["path", "parent"])
def test_a_directory_that_others_may_enter_is_refused(base: Path, which: str) -> None:
    """The error has the mode and the one that is needed."""
    shared = own(base / "channels")
    shared.path.mkdir(mode=0o700)
    (shared.path if which == "path" else shared.path.parent).chmod(0o755)
    with pytest.raises(PermissionError, match="has the mode 755: others may enter, and 700 is needed"):
        shared.enter(PATIENCE)


@pytest.mark.parametrize("make", [own, in_base])
def test_a_directory_of_somebody_else_is_refused(
    base: Path, monkeypatch: pytest.MonkeyPatch, make: type[SharedDirectory]
) -> None:
    """Whoever owns it could change what is in it."""
    shared = make(base / "channels")
    os.chown(base / "channels", 12345, -1) if os.geteuid() == 0 else monkeypatch.setattr(os, "geteuid", lambda: 12345)
    with pytest.raises(
        PermissionError, match=r"channels belongs to the user with the number \d+, not to \d+; remove it"
    ):
        shared.enter(PATIENCE)


def test_a_base_in_which_others_may_write_is_refused(base: Path) -> None:
    """Unless it is like /tmp, where nobody can replace what belongs to another."""
    shared = in_base(base / "run")
    shared.path.parent.chmod(0o777)
    with pytest.raises(PermissionError, match="has the mode 777: others may write there"):
        shared.enter(PATIENCE)
    shared.path.parent.chmod(0o1777)
    shared.enter(PATIENCE)
    shared.leave()


def test_no_descriptor_stays_open_where_nothing_could_be_locked(base: Path) -> None:
    """The error names the directory, and the next attempt begins anew."""
    shared = in_base(base / "run")
    shared.path.mkdir(mode=0o700)
    before = descriptors()
    holder = os.open(shared.path, os.O_RDONLY)
    fcntl.flock(holder, fcntl.LOCK_EX)
    with pytest.raises(TimeoutError, match=r"another process holds .*/run/site for too long"):
        shared.enter(0.0)
    os.close(holder)
    assert descriptors() == before
    shared.enter(PATIENCE)
    shared.leave()


def test_who_waited_for_the_lock_of_a_removed_directory_makes_a_new_one(
    base: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The last user removes it while the next one is about to come in, before or behind its opening."""
    shared = in_base(base / "run")
    opened = directory._open_own
    removed: list[str] = []

    def remove_before(path: Path) -> int:
        if not removed:
            removed.append("before")
            path.rmdir()
        descriptor = opened(path)
        if len(removed) == 1:
            removed.append("behind")
            path.rmdir()
        return descriptor

    monkeypatch.setattr(directory, "_open_own", remove_before)
    shared.enter(PATIENCE)
    assert removed == ["before", "behind"]
    assert shared.path.is_dir()
    shared.leave()
