"""Figures, ratios and verdicts, from measurements that are made up."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from benchmarks import targets
from benchmarks.measurement import Measurement
from benchmarks.report import pages, sections
from benchmarks.results import Results
from benchmarks.scaling import Costs, Needs, Site, needs


def measurement(contender: str, value: float, run: int = 0, **values: Any) -> Measurement:
    """Return a window of echo-100, unless told otherwise."""
    return Measurement(**{"workload": "echo-100", "contender": contender, "run": run, "value": value, **values})


def verdict(results: Results, text: str) -> targets.Judged:
    """Return what is said of a target."""
    return next(each for each in targets.judge(results) if each.text == text)


UVICORN = "echo, 100 sockets, against Channels 4 on uvicorn"


def test_a_figure_is_the_median_with_its_spread() -> None:
    """Of the runs that nobody disturbed, if there are any."""
    values = [(0, 10.0, ""), (1, 30.0, ""), (2, 20.0, ""), (3, 1.0, "others")]
    results = Results(measurements=[measurement("raw", value, run, disturbed=by) for run, value, by in values])
    figure = results.figure("echo-100", "raw")
    assert figure
    assert (figure.value, figure.low, figure.high, figure.runs, figure.disturbed) == (20.0, 10.0, 30.0, 3, False)
    assert results.figure("echo-100", "nobody") is None


def test_a_ratio_is_taken_run_by_run() -> None:
    """A machine that is half as fast in the second run changes nothing."""
    pairs = [(0, 400.0, 100.0), (1, 200.0, 50.0)]
    results = Results(
        measurements=[
            each
            for run, ours, theirs in pairs
            for each in (measurement("ours-redis", ours, run), measurement("channels4-uvicorn", theirs, run))
        ]
    )
    judged = verdict(results, UVICORN)
    assert judged.figure
    assert (judged.figure.value, judged.figure.low, judged.figure.high) == (4.0, 4.0, 4.0)
    assert judged.held


def test_the_best_combination_of_a_rival_counts() -> None:
    """Of several servers, the one with the highest rate."""
    rates = {"ours-redis": 300.0, "channels4-uvicorn": 50.0, "channels4-uvicorn-sansio": 100.0}
    judged = verdict(Results(measurements=[measurement(*each) for each in rates.items()]), UVICORN)
    assert (judged.against, judged.verdict) == ("channels4-uvicorn-sansio", "missed")


def test_latencies_are_compared_as_latencies() -> None:
    """The target of one socket is a ratio of medians, in which less is better."""
    medians = {"ours-redis": 0.5, "channels4-uvicorn": 0.1}
    found = [measurement(name, 1.0, workload="echo-1", latency={"p50": latency}) for name, latency in medians.items()]
    judged = verdict(Results(measurements=found), "echo p50, 1 socket, against Channels 4 on uvicorn")
    assert judged.figure
    assert (judged.figure.value, judged.verdict) == (5.0, "missed")


def test_where_the_load_was_the_limit_a_ratio_is_by_cpu() -> None:
    """Rates are equal, since both are the load's; the time that each takes is not."""
    found = [
        measurement("ours-redis", 100.0, cpu={"server": 3.0, "worker": 2.0, "redis": 9.0}, limited="busy"),
        measurement("channels4-uvicorn", 100.0, cpu={"server": 20.0}, limited="busy"),
    ]
    judged = verdict(Results(measurements=found), UVICORN)
    assert judged.figure
    assert judged.figure.value == pytest.approx(4.0)
    assert (judged.by_cpu, judged.held) == (True, True)


def test_what_was_not_measured_is_not_held() -> None:
    """An empty run holds no target, and says so."""
    judged = targets.judge(Results())
    assert {each.verdict for each in judged} == {"not measured"}
    assert "not measured" in targets.table(judged)


def test_results_survive_being_written(tmp_path: Path) -> None:
    """What is loaded is what was saved; another format is refused with what to do."""
    results = Results(begun="2026-01-01T00:00:00+00:00", measurements=[measurement("raw", 1.5, cpu={"server": 2.0})])
    results.save(tmp_path / "results.json")
    assert Results.load(tmp_path / "results.json") == results
    (tmp_path / "old.json").write_text('{"format": 0}')
    with pytest.raises(ValueError, match="measure anew"):
        Results.load(tmp_path / "old.json")


def test_sections_can_be_made_of_anything() -> None:
    """Also of a run that was interrupted before the first window, and of one with a single one."""
    assert sections.of(Results())["echo"] == "Nothing of this was measured."
    text = sections.of(Results(measurements=[measurement("ours-redis", 1234.5, limited="busy", disturbed="others")]))
    assert "| **Channels Relay, server and worker over Redis** | - | ≥ 1,234\\* | - |" in text["echo"]


def test_places_of_a_page_are_filled() -> None:
    """What stands in a place is replaced, the rest stays; filling again changes nothing."""
    page = "Before\n\n<!-- figures: echo -->\nold\n<!-- end of figures -->\n\nAfter\n"
    filled = pages.fill(page, {"echo": "new"})
    assert filled == "Before\n\n<!-- figures: echo -->\n\nnew\n\n<!-- end of figures -->\n\nAfter\n"
    assert pages.fill(filled, {"echo": "new"}) == filled
    with pytest.raises(ValueError, match="no figures called 'echo'; there are other"):
        pages.fill(page, {"other": ""})


def test_the_performance_page_has_places_for_what_there_is() -> None:
    """Every section that is made stands on the page, the summary in the README or nowhere."""
    page = (Path(__file__).parents[2] / "docs/performance.md").read_text()
    for name in sections.of(Results()):
        assert name == "summary" or f"<!-- figures: {name} -->" in page


COSTS = Costs(
    server_echo=20.0,
    worker_echo=10.0,
    redis_echo=5.0,
    server_delivery=10.0,
    worker_broadcast=100.0,
    redis_broadcast=200.0,
    socket_kib=4.0,
    socket_idle=0.5,
)


def test_needs_add_up() -> None:
    """The arithmetic of the documentation, by hand: 0.2 + 1.0 + 0.05 s of server, 0.1 + 0.01 of worker in a second."""
    site = Site(sockets=100_000, messages=10_000, broadcasts=100, members=1000)
    assert needs(site, COSTS, use=0.5) == Needs(servers=3, workers=1, shards=1, memory_gib=100_000 * 4 / 1024 / 1024)


def test_needs_grow_in_proportion() -> None:
    """Ten times the site takes ten times the servers, but for rounding."""
    small = Site(sockets=100_000, messages=100_000, broadcasts=0)
    large = Site(sockets=1_000_000, messages=1_000_000, broadcasts=0)
    assert needs(large, COSTS, use=1.0).servers == pytest.approx(10 * needs(small, COSTS, use=1.0).servers, abs=10)


def test_redis_works_for_each_server_that_has_members() -> None:
    """A broadcast costs Redis as often as there are servers."""
    site = Site(sockets=1, messages=0, broadcasts=500, members=1000)
    found = needs(site, COSTS, use=1.0)
    assert (found.servers, found.shards) == (6, 1)
    assert needs(site, COSTS, use=0.5).shards == 3


def test_costs_need_all_their_figures() -> None:
    """A run without idle sockets has no model."""
    assert Costs.of(Results(measurements=[measurement("ours-redis", 1.0, cpu={"server": 1.0})])) is None
