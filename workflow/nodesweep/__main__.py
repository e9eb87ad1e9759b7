"""The `nodesweep` command: one subcommand per room, the only place that opens files for them."""

import argparse
import json
import os
import sys
from pathlib import Path
from typing import Any

from . import journal
from .errors import NodesweepError
from .files import write_atomic
from .lock import SweepLock
from .plan import plan_csv, plan_markdown
from .runner import request_rerun
from .schemas import SCHEMAS, schemas
from .script import render
from .study import DEFAULT_SWEEP, Study


def main(arguments: list[str] | None = None) -> int:
    """Run one subcommand; a NodesweepError is printed as one message, exit code 1."""
    options = _parser().parse_args(arguments)
    try:
        options.room(options)
    except NodesweepError as error:
        print(f"nodesweep: {error}", file=sys.stderr)
        return 1
    except OSError as error:
        print(f"nodesweep: {error.filename or 'a file'}: {error.strerror}", file=sys.stderr)
        return 1
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="nodesweep", description=__doc__.splitlines()[0])
    _add_sweep(parser, default=True)
    rooms = parser.add_subparsers(required=True, metavar="COMMAND")
    for name, room, text in (
        ("plan", _plan, "write plan.csv and plan.md: what runs, and what does not and why"),
        ("scripts", _scripts, "render the job scripts of all layouts that do not run and have not finished"),
        ("rerun", _rerun, "let finished layouts run again with the next invocation"),
        ("schema", _schema, "write the JSON Schemas of the config files"),
    ):
        command = rooms.add_parser(name, help=text, description=text)
        command.set_defaults(room=room)
        if room is not _schema:
            _add_sweep(command, default=False)
        if room is _rerun:
            command.add_argument("slug", nargs="+", metavar="SLUG")
    return parser


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


def _mapping(text: str) -> dict[str, Any]:
    value = json.loads(text)
    if not isinstance(value, dict):
        raise ValueError("not a mapping")
    return value


def _study(options: argparse.Namespace) -> Study:
    return Study.load(options.configfile or [DEFAULT_SWEEP], options.config)


def _plan(options: argparse.Namespace) -> None:
    study = _study(options)
    study.folder.mkdir(parents=True, exist_ok=True)
    write_atomic(study.folder / "plan.csv", plan_csv(study))
    write_atomic(study.folder / "plan.md", plan_markdown(study))


def _scripts(options: argparse.Namespace) -> None:
    study = _study(options)
    for slug, layout in study.layouts.items():
        path = study.script(slug)
        started = journal.state(study.journal(slug)).status in ("unclear", "running") or study.record(slug).exists()
        if path.exists() and started:
            os.utime(path)  # stays as it was submitted; only its time says that it was looked at
        else:
            path.parent.mkdir(parents=True, exist_ok=True)
            write_atomic(path, render(layout, study.sweep.sweep, study.sweep.iterations.total, study.folder))


def _rerun(options: argparse.Namespace) -> None:
    study = _study(options)
    lock = SweepLock(study.folder)
    for slug in options.slug:
        request_rerun(study, slug)
    lock.release()


def _schema(_: argparse.Namespace) -> None:
    for name, text in schemas().items():
        write_atomic(SCHEMAS / name, text)


if __name__ == "__main__":
    sys.exit(main())
