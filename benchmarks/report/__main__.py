"""``make performance``: write tables and plots of the last full run into the documentation."""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from pathlib import Path
from typing import Final

from benchmarks import environments, targets
from benchmarks.environments import ROOT
from benchmarks.report import drawings, pages, sections
from benchmarks.results import Results

PAGES: Final = (ROOT / "docs/performance.md", ROOT / "README.md")
IMAGES: Final = ROOT / "docs/images"


def main() -> int:
    """Fill the pages, draw the plots; return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("results", nargs="?", type=Path, default=targets.RESULTS)
    parser.add_argument("--no-plots", action="store_true", help="write the tables only; needs no matplotlib")
    options = parser.parse_args()
    results = Results.load(options.results)
    for page in PAGES:
        page.write_text(pages.fill(page.read_text(), sections.of(results)))
    return 0 if options.no_plots else draw(results)


def draw(results: Results) -> int:
    """Draw the plots by the Python that has matplotlib."""
    missing = environments.prepare(["plots"])
    if missing:
        print(f"The tables are written, the plots are not drawn: {missing['plots']}", file=sys.stderr)
        return 1
    command = [str(environments.python("plots")), str(ROOT / "benchmarks/plots.py"), str(IMAGES)]
    subprocess.run(command, input=json.dumps(drawings.plots(results)), text=True, check=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
