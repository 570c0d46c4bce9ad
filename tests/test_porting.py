"""What the pages about porting say of names is so."""

from __future__ import annotations

import re
from importlib.util import find_spec

import pytest
from django.test import override_settings

from channels.backends import ALIASES, RETIRED, load
from channels.layers import faults
from tests.documents import ROOT, blocks

FROM_1X = (ROOT / "docs/howto/port-from-1x.md").read_text()
PAGES = ["port-from-1x", "port-from-channels-4"]


def first_cells(heading: str) -> list[str]:
    """Return what stands in backticks in the first column of the table below ``heading``."""
    table = FROM_1X.partition(heading)[2].partition("\n\n#")[0]
    return [name for cell in re.findall(r"^\| (`.*?) \|", table, re.MULTILINE) for name in re.findall(r"`(.+?)`", cell)]


def test_modules_that_are_missing_are_missing() -> None:
    """A page that says otherwise would send readers away for nothing."""
    modules = first_cells("### What is not there")
    assert len(modules) == 3
    assert [module for module in modules if find_spec(module)] == []


def test_backends_are_understood_or_have_a_sentence() -> None:
    """As the table of settings says."""
    named = [name for name in first_cells("## The settings") if name.endswith("ChannelLayer")]
    assert len(named) == 6
    for path in named:
        if path in ALIASES:
            assert load(path)
        elif path in RETIRED:
            assert faults("default", {"BACKEND": path, "ROUTING": []})
        else:
            with pytest.raises(ImportError, match=path):
                load(path)


@pytest.mark.parametrize("page", PAGES)
def test_settings_that_are_shown_have_no_fault(page: str) -> None:
    """They can be copied."""
    source = next(b.source for b in blocks(ROOT / f"docs/howto/{page}.md") if "CHANNEL_LAYERS = {" in b.source)
    names = {"INSTALLED_APPS": list[str]()}
    exec(source, names)
    with override_settings(**names):
        assert faults("default", names["CHANNEL_LAYERS"]["default"]) == []  # type: ignore[call-overload]  # made above


@pytest.mark.parametrize("page", PAGES)
def test_pages_warn_of_the_old_layer(page: str) -> None:
    """Installing it is what the guide of 1.x says, and it stops Django from starting."""
    assert "Never `pip install asgi_redis`" in (ROOT / f"docs/howto/{page}.md").read_text()
