"""The rooms that hold two sweeps, or two runs, against each other."""

import argparse
import csv
import shlex
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from nodesweep.common.errors import NodesweepError
from nodesweep.common.text import plain

REGRESSION, NO_COMPARISON = 1, 2
MOST_BYTES = 64 * 2**20
"""Of a file of one layout that is read."""


def compare(options: argparse.Namespace) -> int:
    """Print how the layouts of two sweeps differ; 1 for a regression, 2 where there is nothing to compare."""
    from nodesweep.reports import comparison as document
    from nodesweep.results.comparison.comparison import ComparedSweep
    from nodesweep.results.comparison.comparison import compare as compared

    try:
        folders = [results_of(name) for name in (options.before, options.after)]
        tables = [_rows(folder) for folder in folders]
        sides = [
            ComparedSweep(str(folder), rows, {row["slug"]: _series(folder, row) for row in rows})
            for folder, rows in zip(folders, tables, strict=True)
        ]
        found = compared(*sides, options.tolerance)
        if found.differences is None and not any(one.regression for one in found.layouts):
            raise NodesweepError(
                f"{folders[0]} and {folders[1]} have no layout that was measured in both; "
                "layouts are matched by their fields, and `nodesweep measure` reads new runs"
            )
    except (NodesweepError, OSError) as error:
        print(f"nodesweep: {plain(str(error), 1000)}", file=sys.stderr)
        return NO_COMPARISON
    worse = [one for one in found.layouts if one.verdict in ("slower", "worse outcome")][: document.MOST_HINTS]
    worse = worse or [one for one in found.layouts if one.own][: found.shift_regression]
    hints = [
        f"nodesweep diff {_row_name(folders[0], one.before['slug'])} {_row_name(folders[1], one.after['slug'])}"
        for one in worse
    ]
    print(document.to_csv(found) if options.format == "csv" else document.markdown(found, hints), end="")
    return REGRESSION if found.regression else 0


def results_of(name: str) -> Path:
    """The results folder a user means: itself, its results.csv, or its name below results/; raises NodesweepError."""
    for path in (Path(name), Path("results") / name):
        folder = path.parent if path.name == "results.csv" else path
        if (folder / "results.csv").is_file():
            return folder
    raise NodesweepError(
        f"{name!r:.200} is no results folder: there is no {Path(name) / 'results.csv'} and no "
        f"{Path('results') / name / 'results.csv'}; run the sweep, or `nodesweep measure`, first"
    )


def _row_name(folder: Path, slug: str) -> str:
    return plain(shlex.quote(f"{folder}:{slug}"), 1000)


def _rows(folder: Path) -> list[dict[str, Any]]:
    """The rows of its results.csv; raises NodesweepError."""
    from nodesweep.results.table import from_csv, records

    path = folder / "results.csv"
    try:
        return records(from_csv(path.read_text(errors="replace")))
    except (NodesweepError, OverflowError, TypeError, csv.Error) as error:
        raise NodesweepError(f"{path}: {error}") from None


def _series(folder: Path, row: dict[str, Any]) -> Sequence[float]:
    """The seconds of the iterations that stand for a run, where its measurement is there and is that of the row."""
    from nodesweep.results.measurement import Measurement

    with suppress(OSError, ValueError, KeyError, TypeError, RecursionError):
        measured = Measurement.from_json(_text(layout_folder(folder, row["slug"]) / "measurement.json"))
        statistics = measured.statistics
        if statistics and statistics.iteration_seconds_median == row["iteration_seconds_median"]:
            timed = [float(value) for value in measured.series.seconds if value is not None]
            return timed[statistics.records_dropped :]
    return ()


def layout_folder(folder: Path, slug: str) -> Path:
    """Where the files of a layout lie; raises ValueError for a name that is none of a folder."""
    if not slug or slug != Path(slug).name or slug == "..":
        raise ValueError(slug)
    return folder / "layouts" / slug


def _text(path: Path) -> str:
    """The text of a file, if it is one of a bearable size; raises OSError or ValueError."""
    if not path.is_file() or path.stat().st_size > MOST_BYTES:
        raise ValueError(path)
    return path.read_text(errors="replace")


def diff(options: argparse.Namespace) -> None:
    """Print what differs of two runs beside their times."""
    from nodesweep.reports.run_diff import document

    before = _row_of(options.before, None)
    print(document(_noted(*before), _noted(*_row_of(options.after, before))), end="")


def _row_of(name: str, like: tuple[Path, dict[str, Any]] | None) -> tuple[Path, dict[str, Any]]:
    """Folder and row of FOLDER:SLUG or SLUG; of a FOLDER alone that of the same layout. Raises NodesweepError."""
    from nodesweep.results.comparable import layout_of

    place, colon, start = name.rpartition(":")
    if not colon:
        try:
            folder = results_of(name)
        except NodesweepError:
            return _found_below_results(start)
        alike = [row for row in _rows(folder) if like and layout_of(row) == layout_of(like[1])]
        if len(alike) != 1:
            said = f"has {len(alike)} rows of that layout" if like else "has many layouts"
            raise NodesweepError(f"{name!r:.200} {said}; say which one is meant: FOLDER:SLUG")
        return folder, alike[0]
    return results_of(place), _begun(_rows(results_of(place)), start, place)


def _begun(rows: list[dict[str, Any]], start: str, place: str) -> dict[str, Any]:
    """The one row whose slug is, or begins, so; raises NodesweepError where none or several do."""
    begun = [row for row in rows if row["slug"] and row["slug"].startswith(start)]
    meant = [row for row in begun if row["slug"] == start] or begun
    if len(meant) != 1:
        known = ", ".join(row["slug"] for row in (begun or rows)[:5] if row["slug"])
        found = f"begins {len(meant)} rows of" if meant else "is no row of"
        raise NodesweepError(f"{start!r:.120} {found} {place}: {plain(known)}, ...; write more of it")
    return meant[0]


def _found_below_results(start: str) -> tuple[Path, dict[str, Any]]:
    """The one row below results/ whose slug is, or begins, so."""
    found = [
        (path.parent, row)
        for path in sorted(Path("results").glob("*/results.csv"))
        for row in _rows(path.parent)
        if row["slug"] and row["slug"].startswith(start)
    ]
    found = [one for one in found if one[1]["slug"] == start] or found
    if len(found) != 1:
        where = ", ".join(f"{folder}:{row['slug']}" for folder, row in found[:5])
        said = f"may be {len(found)} rows: {where}" if found else "is no row of any results.csv below results/"
        raise NodesweepError(plain(f"{start!r:.120} {said}; write FOLDER:SLUG", 1000))
    return found[0]


def _noted(folder: Path, row: dict[str, Any]) -> Any:
    """A run with all that was noted of it; what is not there, or cannot be read, is empty."""
    from nodesweep.reports.run_diff import NotedRun
    from nodesweep.results.environment import facts_of

    script = facts = ""
    with suppress(OSError, ValueError):
        directory = layout_folder(folder, row["slug"])
        with suppress(OSError, ValueError):
            script = _text(directory / "job.sh")
        log = Path(row["log"] or "")
        if log.suffix == ".log" and log.name == str(log):
            facts = _text(directory / f"{log.stem}.provenance")
    return NotedRun(f"{folder}:{row['slug']}", row, script, facts_of(facts))
