"""Say what differs of two runs: script, versions, commits, hardware, environment."""

import argparse
import re
from contextlib import suppress
from pathlib import Path

from nodesweep.common.errors import NodesweepError
from nodesweep.common.secrets import without_secrets
from nodesweep.common.text import plain
from nodesweep.config.tidy_row import TidyRow, TidyValue, text_of
from nodesweep.reports.run_diff import NotedRun, document
from nodesweep.results.comparable import layout_of
from nodesweep.results.environment import facts_of
from nodesweep.results.terminal_record import TerminalRecord
from nodesweep.sweep.layout import run_name

from .arguments import add_sweep_options
from .results_folder import bounded_text, layout_folder, results_of, rows_in

_OF_A_RUN = re.compile(r"(.+)-r([1-9][0-9]{0,5})")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Which two runs."""
    add_sweep_options(parser)
    row = "FOLDER:SLUG, or a SLUG below results/; its beginning will do"
    repeat = "a row of several runs stands for the one in the middle, one of them is SLUG-r1, SLUG-r2, ..."
    parser.add_argument("before", metavar="BEFORE", help=f"{row}; {repeat}")
    parser.add_argument("after", metavar="AFTER", help=f"{row}; or a FOLDER, for the same layout there")


def run(options: argparse.Namespace) -> None:
    """Print what differs of two runs beside their times."""
    before = _run_of(options.before, None)
    print(document(_noted(*before), _noted(*_run_of(options.after, before[:2]))), end="")


def _run_of(name: str, like: tuple[Path, TidyRow] | None) -> tuple[Path, TidyRow, str]:
    """Folder, row and run, by the name of its folder, of what `_row_of` knows, or of SLUG-r2. Raises NodesweepError."""
    try:
        folder, row = _row_of(name, like)
        return folder, row, text_of(row, "shown_run") or text_of(row, "slug") or ""
    except NodesweepError:
        if (numbered := _OF_A_RUN.fullmatch(name)) is None:
            raise
    folder, row = _row_of(numbered[1], None)
    slug, number = text_of(row, "slug") or "", int(numbered[2])
    if text_of(row, "shown_run") is None or not layout_folder(folder, run_name(slug, number)).is_dir():
        raise NodesweepError(f"{plain(f'{folder}:{slug}')} has no run {number}; its runs lie in {folder / 'layouts'}/")
    return folder, row, run_name(slug, number)


def _row_of(name: str, like: tuple[Path, TidyRow] | None) -> tuple[Path, TidyRow]:
    """Folder and row of FOLDER:SLUG or SLUG; of a FOLDER alone that of the same layout. Raises NodesweepError."""
    place, colon, start = name.rpartition(":")
    if not colon:
        try:
            folder = results_of(name)
        except NodesweepError:
            return _found_below_results(start)
        alike = [row for row in rows_in(folder) if like and layout_of(row) == layout_of(like[1])]
        if len(alike) != 1:
            said = f"has {len(alike)} rows of that layout" if like else "has many layouts"
            raise NodesweepError(f"{name!r:.200} {said}; say which one is meant: FOLDER:SLUG")
        return folder, alike[0]
    return results_of(place), _begun(rows_in(results_of(place)), start, place)


def _begun(rows: list[TidyRow], start: str, place: str) -> TidyRow:
    """The one row whose slug is, or begins, so; raises NodesweepError where none or several do."""
    begun = [row for row in rows if (slug := text_of(row, "slug")) and slug.startswith(start)]
    meant = [row for row in begun if row["slug"] == start] or begun
    if len(meant) != 1:
        known = ", ".join(filter(None, (text_of(row, "slug") for row in (begun or rows)[:5])))
        found = f"begins {len(meant)} rows of" if meant else "is no row of"
        raise NodesweepError(f"{start!r:.120} {found} {place}: {plain(known)}, ...; write more of it")
    return meant[0]


def _found_below_results(start: str) -> tuple[Path, TidyRow]:
    """The one row below results/ whose slug is, or begins, so."""
    found = [
        (path.parent, row)
        for path in sorted(Path("results").glob("*/results.csv"))
        for row in rows_in(path.parent)
        if (slug := text_of(row, "slug")) and slug.startswith(start)
    ]
    found = [one for one in found if one[1]["slug"] == start] or found
    if len(found) != 1:
        where = ", ".join(f"{folder}:{row['slug']}" for folder, row in found[:5])
        said = f"may be {len(found)} rows: {where}" if found else "is no row of any results.csv below results/"
        raise NodesweepError(plain(f"{start!r:.120} {said}; write FOLDER:SLUG", 1000))
    return found[0]


def _noted(folder: Path, row: TidyRow, run: str) -> NotedRun:
    """A run with all that was noted of it; what is not there, or cannot be read, is empty."""
    script = facts = ""
    with suppress(OSError, ValueError):
        directory = layout_folder(folder, run)
        with suppress(OSError, ValueError):
            script = without_secrets(bounded_text(directory / "job.sh"))
        row = _row_of_run(row, run, directory / "job.json")
        log = Path(text_of(row, "log") or "")
        if log.suffix == ".log" and log.name == str(log):
            facts = bounded_text(directory / f"{log.stem}.provenance")
    return NotedRun(f"{folder}:{run}", row, script, facts_of(facts))


def _row_of_run(row: TidyRow, run: str, path: Path) -> TidyRow:
    """The row of a layout as one of its runs has it: another one than is shown has an end and a log of its own."""
    if run == (text_of(row, "shown_run") or row["slug"]):
        return {**row, "slug": run}
    ended: dict[str, TidyValue] = {"slug": run, "outcome": None, "where": None, "allocated_nodes": None, "log": None}
    with suppress(OSError, ValueError):
        record = TerminalRecord.from_json(bounded_text(path))
        ended |= {"outcome": record.outcome, "where": record.where or None, "log": record.log or None}
        ended["allocated_nodes"] = record.usage.nodes or None
    return {**row, **ended}
