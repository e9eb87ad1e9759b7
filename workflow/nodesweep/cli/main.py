"""The `nodesweep` command: its subcommands, each loaded only when it is asked for."""

import argparse
import importlib
import json
import sys
from pathlib import Path
from typing import Any

from nodesweep.common.errors import NodesweepError
from nodesweep.common.gc import search_seldom
from nodesweep.config.layout_fields import AXES

from .axes import add_axis

COMMANDS = {
    "plan": ("sweep.plan", "write plan.csv and plan.md: what runs, and what does not and why"),
    "scripts": ("sweep.scripts", "render the job scripts of all layouts that do not run and have not finished"),
    "measure": ("sweep.measure", "read all logs and records into results.csv"),
    "tables": ("sweep.tables", "write tables.md from results.csv"),
    "figures": ("figures.figures", "draw the figures that results.csv allows, as SVG, PNG and Vega-Lite"),
    "report": ("page.report", "write report.html: findings, figures, tables and every layout on one page"),
    "status": ("status.status", "say where each layout stands, how far its run is, when the sweep will be done"),
    "show": ("sweep.show", "print the tables and where the files are"),
    "predict": ("predict.predict", "say what layouts would take that are in no sweep yet, how surely, and by what"),
    "explain": ("predict.explain", "say where the time of the runs goes, or what is foreseen of layouts and why"),
    "why": ("sweep.why", "say where the values of a layout's row come from: files, lines, statistics, formulas"),
    "compare": ("compare.compare", "say which layouts of two sweeps differ by more than noise; 1 for a regression"),
    "diff": ("compare.diff", "say what differs of two runs: script, versions, commits, hardware, environment"),
    "rerun": ("sweep.rerun", "let finished layouts run again with the next invocation"),
    "import": (
        "importers.import_tables",
        "read hand-kept markdown tables of results, say what cannot be right in them",
    ),
    "ingest": (
        "importers.ingest_logs",
        "read the logs of old jobs into measurements, say what in them does not fit together",
    ),
    "explain-log": (
        "explain_log.explain_log",
        "say what is read of a log, which patterns matched how often, how it ended",
    ),
    "schema": ("sweep.schema", "write the JSON Schemas of the config files and config/README.md"),
}
"""Subcommands: module and function of this package, and what it does."""


def command() -> int:
    """The command as a process of its own."""
    search_seldom()
    return main()


def main(arguments: list[str] | None = None) -> int:
    """Run one subcommand; a NodesweepError is printed as one message, exit code 1."""
    options = _parser().parse_args(arguments)
    module, _, function = COMMANDS[options.command][0].partition(".")
    try:
        room = getattr(importlib.import_module(f".{module}", __package__), function)
        return room(options) or 0
    except NodesweepError as error:
        print(f"nodesweep: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("nodesweep: interrupted", file=sys.stderr)
        return 130
    except OSError as error:
        print(f"nodesweep: {error.filename or 'a file'}: {error.strerror}", file=sys.stderr)
        return 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="nodesweep", description=__doc__.splitlines()[0])
    _add_sweep(parser, default=True)
    rooms = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, (_, text) in COMMANDS.items():
        command = rooms.add_parser(name, help=text, description=text)
        if name != "schema":
            _add_sweep(command, default=False)
        if name in _ARGUMENTS:
            _ARGUMENTS[name](command)
    return parser


def _add_status(command: argparse.ArgumentParser) -> None:
    every = "look again every SECONDS (default: 5), until Ctrl-C"
    command.add_argument("--watch", nargs="?", const=5.0, type=_seconds, metavar="SECONDS", help=every)
    command.add_argument("--all", action="store_true", help="every layout, however many (not with --watch)")


def _add_slugs(command: argparse.ArgumentParser) -> None:
    command.add_argument("slug", nargs="+", metavar="SLUG")


def _add_why(command: argparse.ArgumentParser) -> None:
    command.add_argument("slug", metavar="SLUG", help="the layout, or an imported row; its beginning will do")
    command.add_argument("column", nargs="*", metavar="COLUMN", help="of results.csv, or a table's heading")


def _add_predict(command: argparse.ArgumentParser) -> None:
    for row in AXES.values():
        add_axis(command, row)
    command.add_argument("--like", metavar="SLUG", help="layout that says the rest (default: the fastest measured)")
    command.add_argument("--campaign", metavar="NAME", help="the runs to go by (default: those of the same campaign)")


def _add_explain(command: argparse.ArgumentParser) -> None:
    command.add_argument("slug", nargs="*", metavar="SLUG", help="layouts of the sweep, run or not")


def _add_logs(command: argparse.ArgumentParser) -> None:
    command.add_argument("file", nargs="+", type=Path, metavar="FILE")
    command.add_argument("--json", action="store_true", help="one JSON object a file, for programs")


def _add_import(command: argparse.ArgumentParser) -> None:
    command.add_argument("file", nargs="+", type=Path, metavar="FILE.md")
    command.add_argument("--check", action="store_true", help="exit code 1 if anything is found")


def _add_ingest(command: argparse.ArgumentParser) -> None:
    command.add_argument("path", nargs="+", type=Path, metavar="DIR_OR_FILE")
    command.add_argument("--name", help="name of the folder and file written (default: that of the first path)")
    for option, metavar, text in (
        ("--set", "NAME=VALUE", "a field of all these layouts, such as tensor=4, over what logs and paths say"),
        ("--pattern", "TEMPLATE", "fields in the paths of logs, such as 'n{nodes}-mp{tensor}/*'; * is any text"),
    ):
        command.add_argument(option, action="append", default=[], metavar=metavar, help=text)
    command.add_argument("--check", action="store_true", help="exit code 1 if anything is found")


def _add_compare(command: argparse.ArgumentParser) -> None:
    for name in ("before", "after"):
        command.add_argument(name, metavar=name.upper(), help="a results folder, or its name below results/")
    text = "how much slower is no regression, in percent (default: 5)"
    command.add_argument("--tolerance", type=_percent, default=5.0, metavar="PERCENT", help=text)
    command.add_argument("--format", choices=("markdown", "csv"), default="markdown")


def _add_diff(command: argparse.ArgumentParser) -> None:
    row = "FOLDER:SLUG, or a SLUG below results/; its beginning will do"
    command.add_argument("before", metavar="BEFORE", help=row)
    command.add_argument("after", metavar="AFTER", help=f"{row}; or a FOLDER, for the same layout there")


_ARGUMENTS = {
    "status": _add_status,
    "predict": _add_predict,
    "explain": _add_explain,
    "compare": _add_compare,
    "diff": _add_diff,
    "rerun": _add_slugs,
    "why": _add_why,
    "explain-log": _add_logs,
    "import": _add_import,
    "ingest": _add_ingest,
}


def _add_sweep(parser: argparse.ArgumentParser, default: bool) -> None:
    """The options that name a sweep; they may stand before or after the subcommand."""
    absent = argparse.SUPPRESS
    parser.add_argument(
        "--configfile",
        action="append",
        type=Path,
        metavar="FILE",
        default=None if default else absent,
        help="the sweep; may be given several times, later files over earlier ones (default: the quickstart)",
    )
    parser.add_argument(
        "--config",
        type=_mapping,
        metavar="JSON",
        default={} if default else absent,
        help="keys over those of the files",
    )


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not 0.1 <= seconds <= 86400:
        raise argparse.ArgumentTypeError(f"{text!r:.40} is no number of seconds from 0.1 to 86400")
    return seconds


def _percent(text: str) -> float:
    try:
        percent = float(text)
    except ValueError:
        percent = -1.0
    if not 0 <= percent <= 1000:
        raise argparse.ArgumentTypeError(f"{text!r:.40} is no share in percent, such as 5")
    return percent


def _mapping(text: str) -> dict[str, Any]:
    value = json.loads(text)
    if not isinstance(value, dict):
        raise ValueError("not a mapping")
    return value
