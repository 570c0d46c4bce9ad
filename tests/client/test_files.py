"""The files of the JavaScript client that pages load. What is in them is tested in ``client/`` and by the browser."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest
from django.contrib.staticfiles import finders
from django.core.management import call_command
from django.test import override_settings

from channels.apps import ChannelsConfig

FOLDER = Path(__file__).parents[2] / "src/channels/static/channels/js"
SCRIPTS = ["client.js", "websocketbridge.js"]
MANIFEST = {"staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.ManifestStaticFilesStorage"}}


@pytest.mark.parametrize("name", SCRIPTS)
def test_small(name: str) -> None:
    """Less than 5 KiB, compressed as servers do."""
    assert len(gzip.compress((FOLDER / name).read_bytes(), 6)) < 5 * 1024


def test_module_exports_and_script_does_not() -> None:
    """Each is what its tag in a page takes it for."""
    module, script = ((FOLDER / name).read_text() for name in SCRIPTS)
    assert "export{" in module
    assert "export" not in script
    assert "var channels=" in script


@pytest.mark.parametrize("name", [*SCRIPTS, "client.d.ts"])
def test_django_finds_it(name: str) -> None:
    """With ``"channels"`` among the apps; the script under the name that it has in Channels 1."""
    found = finders.find(f"channels/js/{name}")
    assert found is not None
    assert Path(found).read_bytes() == (FOLDER / name).read_bytes()


def test_collected_with_hashes(tmp_path: Path) -> None:
    """The storage that renames files finds all that they refer to."""
    with override_settings(STATIC_ROOT=str(tmp_path), STORAGES=MANIFEST):
        call_command("collectstatic", interactive=False, verbosity=0)
    names = {path.name for path in (tmp_path / ChannelsConfig.name / "js").iterdir()}
    assert len(names) == 6
    assert names >= {*SCRIPTS, "client.d.ts"}
