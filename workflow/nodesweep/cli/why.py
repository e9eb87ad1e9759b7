"""Say where the values of a layout's row come from: files, lines, statistics, formulas."""

import argparse
from pathlib import Path

from nodesweep.config.origins import origins
from nodesweep.reports.trace.why import why
from nodesweep.sweep.study import DEFAULT_SWEEP

from .arguments import add_sweep_options
from .common import limited_study_of


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Which row, and which of its columns."""
    add_sweep_options(parser)
    parser.add_argument("slug", metavar="SLUG", help="the layout, or an imported row; its beginning will do")
    parser.add_argument("column", nargs="*", metavar="COLUMN", help="of results.csv, or a table's heading")


def run(options: argparse.Namespace) -> None:
    """Say where the values of a row come from."""
    study, named = limited_study_of(options), options.configfile or [DEFAULT_SWEEP]
    foreign = [*study.imported, *study.ingested]
    if not options.configfile:
        foreign = [
            path for kind in ("imported", "ingested") for path in sorted(Path("results").glob(f"*/{kind}/*.json"))
        ]
    print(why(study, origins(named, options.config), foreign, options.slug, options.column))
