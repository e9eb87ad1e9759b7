"""Say which layouts of two sweeps differ by more than noise; 1 for a regression."""

import argparse
import shlex
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from nodesweep.common.errors import NodesweepError
from nodesweep.common.text import plain
from nodesweep.config.tidy_row import TidyRow, text_of
from nodesweep.reports import comparison as document
from nodesweep.results.comparison.comparison import ComparedSweep, compare
from nodesweep.results.measurement import Measurement

from .arguments import add_sweep_options, percent
from .results_folder import bounded_text, layout_folder, results_of, rows_in

REGRESSION, NO_COMPARISON = 1, 2


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Which results, and how much slower is no regression."""
    add_sweep_options(parser)
    for name in ("before", "after"):
        parser.add_argument(name, metavar=name.upper(), help="a results folder, or its name below results/")
    text = "how much slower is no regression, in percent (default: 5)"
    parser.add_argument("--tolerance", type=percent, default=5.0, metavar="PERCENT", help=text)
    parser.add_argument("--format", choices=("markdown", "csv"), default="markdown")


def run(options: argparse.Namespace) -> int:
    """Print how the layouts of two sweeps differ; 1 for a regression, 2 where there is nothing to compare."""
    try:
        folders = [results_of(name) for name in (options.before, options.after)]
        tables = [rows_in(folder) for folder in folders]
        before, after = (
            ComparedSweep(str(folder), rows, {text_of(row, "slug") or "": _series(folder, row) for row in rows})
            for folder, rows in zip(folders, tables, strict=True)
        )
        found = compare(before, after, options.tolerance)
        if found.differences is None and not any(one.regression for one in found.layouts):
            raise NodesweepError(
                f"{folders[0]} and {folders[1]} have no layout that was measured in both; "
                "layouts are matched by their fields and parameters, and `nodesweep measure` reads new runs"
            )
    except (NodesweepError, OSError) as error:
        print(f"nodesweep: {plain(str(error), 1000)}", file=sys.stderr)
        return NO_COMPARISON
    worse = [one for one in found.layouts if one.verdict in ("slower", "worse outcome")][: document.MOST_HINTS]
    worse = worse or [one for one in found.layouts if one.own][: found.shift_regression]
    hints = [f"nodesweep diff {_row_name(folders[0], one.before)} {_row_name(folders[1], one.after)}" for one in worse]
    print(document.to_csv(found) if options.format == "csv" else document.markdown(found, hints), end="")
    return REGRESSION if found.regression else 0


def _row_name(folder: Path, row: TidyRow) -> str:
    return plain(shlex.quote(f"{folder}:{row['slug']}"), 1000)


def _series(folder: Path, row: TidyRow) -> Sequence[float]:
    """The seconds of the iterations that stand for a run, where its measurement is there and is that of the row."""
    with suppress(OSError, ValueError):
        measured = Measurement.from_json(
            bounded_text(layout_folder(folder, text_of(row, "slug") or "") / "measurement.json")
        )
        statistics = measured.statistics
        if statistics and statistics.iteration_seconds_median == row["iteration_seconds_median"]:
            return [float(measured.series.seconds[place] or 0.0) for place in measured.used]
    return ()
