"""Draws the plots of the documentation: JSON on standard input, SVG files into the folder that is the argument.

Run by a Python with matplotlib, by :mod:`benchmarks.report`, which makes the JSON: a list of plots, each with ``file``,
``title``, ``unit`` and either ``bars`` (label, value, low, high, ours, limited) or ``lines`` (label, x, y, ours).
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any, Final

import matplotlib as mpl
from matplotlib import pyplot

OURS, OTHERS, INK = "#b3541e", "#8fa3b0", "#333333"
SHADES: Final = ("#5b7f95", "#8fa3b0", "#3f6b4f", "#a08a4f", "#7d6b91", "#b0b0b0")
STYLE: Final = {
    "svg.fonttype": "none",
    "svg.hashsalt": "benchmarks",
    "font.size": 9,
    "font.family": "sans-serif",
    "axes.edgecolor": INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "figure.facecolor": "white",
}


def main(folder: Path) -> None:
    """Draw every plot."""
    folder.mkdir(parents=True, exist_ok=True)
    mpl.use("svg")
    mpl.rcParams.update(STYLE)
    for plot in json.load(sys.stdin):
        figure, axes = pyplot.subplots(figsize=(7.2, 1.0 + 0.3 * len(plot["bars"]) if "bars" in plot else 3.4))
        (bars if "bars" in plot else lines)(axes, plot)
        axes.set_title(plot["title"], loc="left", fontsize=10)
        figure.savefig(folder / plot["file"], bbox_inches="tight", metadata={"Date": None, "Creator": None})
        pyplot.close(figure)


def bars(axes: Any, plot: dict[str, Any]) -> None:
    """Draw a bar for each contender, with the smallest and the largest run; hatched where the load was the limit."""
    shown = list(reversed(plot["bars"]))
    values = [bar["value"] for bar in shown]
    errors = [[bar["value"] - bar["low"] for bar in shown], [bar["high"] - bar["value"] for bar in shown]]
    drawn = axes.barh(
        [bar["label"] for bar in shown],
        values,
        color=[OURS if bar["ours"] else OTHERS for bar in shown],
        xerr=errors,
        error_kw={"ecolor": INK, "elinewidth": 0.8, "capsize": 2},
    )
    for patch, bar in zip(drawn, shown, strict=True):
        if bar["limited"]:
            patch.set_hatch("////")
            patch.set_edgecolor("white")
    axes.set_xlabel(plot["unit"])
    axes.xaxis.set_major_formatter(mpl.ticker.StrMethodFormatter("{x:,.6g}"))


def lines(axes: Any, plot: dict[str, Any]) -> None:
    """Draw a line for each contender, on logarithmic scales."""
    shades = iter(SHADES * 3)
    for line in plot["lines"]:
        color = OURS if line["ours"] else next(shades)
        axes.plot(line["x"], line["y"], label=line["label"], color=color, marker="o", markersize=3, linewidth=1.4)
    axes.set_xscale(plot.get("scale", "log"))
    axes.set_yscale("log")
    if "ticks" in plot:
        axes.set_xticks([tick["at"] for tick in plot["ticks"]], [tick["label"] for tick in plot["ticks"]])
        axes.minorticks_off()
    axes.set_xlabel(plot["across"])
    axes.set_ylabel(plot["unit"])
    if plot["lines"]:
        axes.legend(frameon=False, fontsize=8, loc="center left", bbox_to_anchor=(1, 0.5))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
