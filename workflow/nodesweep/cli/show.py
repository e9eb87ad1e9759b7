"""Print the tables and where the files are."""

import argparse

from nodesweep.common.text import visible

from .arguments import add_sweep_options
from .common import study_of, written

LONGEST_LINE = 100_000


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Which sweep."""
    add_sweep_options(parser)


def run(options: argparse.Namespace) -> None:
    """Print the tables and where the files are."""
    study = study_of(options)
    print(visible(written(study.folder / "tables.md"), LONGEST_LINE))
    for name, text in (
        ("tables.md", "these tables"),
        ("report.html", "findings, figures, tables and all that is known of each layout, on one page for a browser"),
        ("figures/", "what its rows show, as SVG, PNG and Vega-Lite"),
        ("results.csv", "all figures, one row per layout"),
        ("plan.md", "every point of the sweep, rejected ones with their reasons"),
        ("calibration/", "per campaign and parameters: what its runs say of memory and time"),
        ("layouts/", "per layout: job.sh, logs, journal, job.json, measurement.json"),
    ):
        print(f"{study.folder / name}: {text}")
