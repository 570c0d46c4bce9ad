"""Draw what ``benchmarks.soak`` has sampled: ``soak_plot.py SAMPLES SVG``, run by a Python with matplotlib."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

import matplotlib as mpl
from matplotlib.figure import Figure


def draw(samples: Path, target: Path) -> None:
    """Draw the memory of each process over time."""
    found = json.loads(samples.read_text())
    mpl.rcParams["svg.hashsalt"] = "soak"  # the same samples make the same file
    mpl.rcParams["svg.fonttype"] = "none"
    figure = Figure(figsize=(8, 4.2), layout="constrained")
    axes = figure.add_subplot()
    minutes = [seconds / 60 for seconds in found["times"]]
    for name, values in found["memory"].items():
        axes.plot(minutes, values, label=name, linewidth=1.4)
    axes.set_title(f"Resident memory during {found['minutes']:g} minutes of mixed load", fontsize=11)
    axes.set_xlabel("minutes")
    axes.set_ylabel("MiB")
    axes.set_ylim(bottom=0)
    axes.grid(alpha=0.3)
    axes.legend(loc="lower right", ncols=2, fontsize=9)
    figure.savefig(target, format="svg", metadata={"Date": None})


def main() -> int:
    """Draw, and say where."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("samples", type=Path)
    parser.add_argument("target", type=Path)
    options = parser.parse_args()
    draw(options.samples, options.target)
    print(f"{options.target} was drawn.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
