"""The `nodesweep` command: one subcommand per room, the only place that opens files for them."""

import argparse
import json
import os
import sys
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

from . import journal
from .errors import NodesweepError
from .files import write_atomic
from .layout import Layout
from .lock import SweepLock
from .logs.custom import format_of
from .logs.scan import scan
from .measure import Measurement, Settings, measure
from .plan import plan_csv, plan_markdown
from .records import request_rerun, standing
from .schemas import REFERENCE, SCHEMAS, reference, schemas
from .script import render
from .study import DEFAULT_SWEEP, Study

MOST_BYTES = 4_000_000
"""Of a markdown file to import."""
MOST_LINES, MOST_COLUMNS = 100_000, 10_000
"""Of a log that are looked at for what an unknown trainer may print."""


def main(arguments: list[str] | None = None) -> int:
    """Run one subcommand; a NodesweepError is printed as one message, exit code 1."""
    options = _parser().parse_args(arguments)
    try:
        return options.room(options) or 0
    except NodesweepError as error:
        print(f"nodesweep: {error}", file=sys.stderr)
        return 1
    except OSError as error:
        print(f"nodesweep: {error.filename or 'a file'}: {error.strerror}", file=sys.stderr)
        return 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="nodesweep", description=__doc__.splitlines()[0])
    _add_sweep(parser, default=True)
    rooms = parser.add_subparsers(required=True, metavar="COMMAND")
    for name, room, text in (
        ("plan", _plan, "write plan.csv and plan.md: what runs, and what does not and why"),
        ("scripts", _scripts, "render the job scripts of all layouts that do not run and have not finished"),
        ("measure", _measure, "read all logs and records into results.csv"),
        ("tables", _tables, "write tables.md from results.csv"),
        ("show", _show, "print the tables and where the files are"),
        ("why", _why, "say where the values of a layout's row come from: files, lines, statistics, formulas"),
        ("rerun", _rerun, "let finished layouts run again with the next invocation"),
        ("import", _import, "read hand-kept markdown tables of results, say what cannot be right in them"),
        ("explain-log", _explain_log, "say what is read of a log, which patterns matched how often, and how it ended"),
        ("ingest", _ingest, "read the logs of old jobs into measurements, say what in them does not fit together"),
        ("schema", _schema, "write the JSON Schemas of the config files and config/README.md"),
    ):
        command = rooms.add_parser(name, help=text, description=text)
        command.set_defaults(room=room)
        if room is not _schema:
            _add_sweep(command, default=False)
        if room is _rerun:
            command.add_argument("slug", nargs="+", metavar="SLUG")
        if room is _why:
            command.add_argument("slug", metavar="SLUG", help="the layout, or an imported row; its beginning will do")
            command.add_argument("column", nargs="*", metavar="COLUMN", help="of results.csv, or a table's heading")
        if room is _explain_log:
            command.add_argument("file", nargs="+", type=Path, metavar="FILE")
            command.add_argument("--json", action="store_true", help="one JSON object a file, for programs")
        if room is _import:
            command.add_argument("file", nargs="+", type=Path, metavar="FILE.md")
            command.add_argument("--check", action="store_true", help="exit code 1 if anything is found")
        if room is _ingest:
            command.add_argument("path", nargs="+", type=Path, metavar="DIR_OR_FILE")
            command.add_argument("--name", help="name of the folder and file written (default: that of the first path)")
            command.add_argument(
                "--set",
                action="append",
                default=[],
                metavar="NAME=VALUE",
                help="a field of all these layouts, such as tensor=4, over what logs and paths say",
            )
            command.add_argument(
                "--pattern",
                action="append",
                default=[],
                metavar="TEMPLATE",
                help="fields in the paths of logs, such as 'n{nodes}-mp{tensor}/*'; * is any text",
            )
            command.add_argument("--check", action="store_true", help="exit code 1 if anything is found")
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
    counts = f"{len(study.layouts)} layouts to run, {len(study.expansion.rejected)} points rejected"
    print(f"{study.sweep.sweep}: {counts}: {study.folder / 'plan.md'}")


def _scripts(options: argparse.Namespace) -> None:
    study = _study(options)
    rendered = 0
    for slug, layout in study.layouts.items():
        path = study.script(slug)
        started = journal.state(study.journal(slug)).status in ("unclear", "running") or study.record(slug).exists()
        if path.exists() and started:
            os.utime(path)  # stays as it was submitted; only its time says that it was looked at
        else:
            path.parent.mkdir(parents=True, exist_ok=True)
            write_atomic(path, render(layout, study.sweep.sweep, study.folder))
            rendered += 1
    kept = len(study.layouts) - rendered
    print(f"{study.sweep.sweep}: {rendered} job scripts written, {kept} kept as they were submitted")


def _measure(options: argparse.Namespace) -> None:
    from .results import Run, build, to_csv  # pandas takes 0.4 s to import, which the other rooms need not pay

    study = _study(options)
    runs = []
    for slug, layout in study.layouts.items():
        status, state = standing(study, slug)
        measurement = _measurement(study, layout, state.record) if state.record else None
        runs.append(Run(layout, status, state.record, measurement))
    study.folder.mkdir(parents=True, exist_ok=True)
    write_atomic(study.folder / "results.csv", to_csv(build(runs, _taken_in(study))))


def _taken_in(study: Study) -> Iterator[dict[str, Any]]:
    """Rows for the tidy table that were imported from hand-kept ones, or ingested from other jobs' logs."""
    from .ingest import Ingested
    from .legacy import Imported

    for paths, form in ((study.imported, Imported), (study.ingested, Ingested)):
        for path in paths:
            try:
                yield from form.from_json(path.read_text()).figures()
            except NodesweepError as error:
                raise NodesweepError(f"{path}: {error}") from None


def _measurement(study: Study, layout: Layout, record: dict[str, Any]) -> Measurement | None:
    """The measurement of an ended run: the one on disk where it still holds, else from its log; None without a log."""
    log, path = study.directory(layout.slug) / record["log"], study.directory(layout.slug) / "measurement.json"
    if not log.is_file():
        return None
    settings = Settings.of(layout, study.sweep.statistic)
    status = log.stat()
    try:
        known = Measurement.from_json(path.read_text())
        if known.made_from(record, settings, status.st_size, status.st_mtime_ns):
            return known
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        pass  # none yet, or one of another version: it is made from the log again
    measurement = measure(layout, record, scan(log, format_of(layout.workload.log_format)), settings)
    write_atomic(path, measurement.to_json())
    return measurement


def _tables(options: argparse.Namespace) -> None:
    from .results import from_csv
    from .tables import document_of
    from .tables import render as render_tables

    study = _study(options)
    frame = from_csv(_read(study.folder / "results.csv"))
    write_atomic(study.folder / "tables.md", render_tables(document_of(study.sweep, frame), frame))
    print(f"{study.sweep.sweep}: tables written: {study.folder / 'tables.md'}")


def _show(options: argparse.Namespace) -> None:
    study = _study(options)
    print(_read(study.folder / "tables.md"))
    for name, text in (
        ("tables.md", "these tables"),
        ("results.csv", "all figures, one row per layout"),
        ("plan.md", "every point of the sweep, rejected ones with their reasons"),
        ("layouts/", "per layout: job.sh, logs, journal, job.json, measurement.json"),
    ):
        print(f"{study.folder / name}: {text}")


def _why(options: argparse.Namespace) -> None:
    from .origins import origins
    from .why import why

    study, named = _study(options), options.configfile or [DEFAULT_SWEEP]
    imports = study.imported if options.configfile else sorted(Path("results").glob("*/imported/*.json"))
    print(why(study, origins(named, options.config), imports, options.slug, options.column))


def _read(path: Path) -> str:
    try:
        return path.read_text()
    except FileNotFoundError:
        raise NodesweepError(f"{path} does not exist yet; run the sweep, or `nodesweep measure`, first") from None


def _rerun(options: argparse.Namespace) -> None:
    study = _study(options)
    lock = SweepLock(study.folder)
    for slug in options.slug:
        request_rerun(study, slug)
    lock.release()


def _import(options: argparse.Namespace) -> int:
    """Into the sweep's folder where a sweep is named, else into a folder of each file's own."""
    from .legacy import import_markdown
    from .results import build, to_csv

    stems = [path.stem for path in options.file]
    if twice := next((stem for stem in stems if stems.count(stem) > 1), None):
        raise NodesweepError(f"two files named {twice}: they would share a folder; rename one")
    study = _study(options) if options.configfile else None
    found = 0
    for path in options.file:
        folder = study.folder if study else _own_folder(path.stem, "ingested", f"import into it, or rename {path}")
        try:
            imported = import_markdown(_markdown(path), path.name)
        except NodesweepError as error:
            raise NodesweepError(f"{path}: {error}") from None
        target = folder / "imported" / f"{path.stem}.json"
        target.parent.mkdir(parents=True, exist_ok=True)
        write_atomic(target, imported.to_json())
        written = f"{target}: `nodesweep measure` and `nodesweep tables` now take these rows in"
        if study is None:
            write_atomic(folder / "results.csv", to_csv(build((), imported.figures())))
            write_atomic(folder / "tables.md", imported.document())
            written = f"{folder / 'tables.md'}: the corrected tables\n{folder / 'results.csv'}: the tidy table"
        print(f"{imported.report()}\n{written}")
        found += len(imported.findings)
    return 1 if options.check and found else 0


def _ingest(options: argparse.Namespace) -> int:
    """Into the sweep's folder where a sweep is named, else into a folder of its own."""
    from .ingest import Given, Template, find, given, ingest, name_of
    from .results import build, to_csv
    from .tables import document_of_logs
    from .tables import render as render_tables

    study = _study(options) if options.configfile else None
    name = name_of(options.name or options.path[0].resolve().stem)
    statistic = study.sweep.statistic if study else "median"
    said = Given(given(options.set), tuple(map(Template.of, options.pattern)), statistic)
    folder = study.folder if study else _own_folder(name, "imported", "ingest into it, or give another --name")
    forms = (format_of(study.sweep.workload.log_format), None) if study else (None,)
    search = find(options.path)
    ingested = ingest(name, search, ((job, job.readings(forms)) for job in search.jobs), said)
    target = folder / "ingested" / f"{name}.json"
    target.parent.mkdir(parents=True, exist_ok=True)
    write_atomic(target, ingested.to_json())
    written = f"{target}: `nodesweep measure` and `nodesweep tables` now take these rows in"
    if study is None:
        frame = build((), ingested.figures())
        write_atomic(folder / "results.csv", to_csv(frame))
        write_atomic(folder / "tables.md", render_tables(document_of_logs(name, statistic, frame), frame))
        written = f"{folder / 'tables.md'}: the tables\n{folder / 'results.csv'}: the tidy table"
    print(f"{ingested.report()}\n{written}")
    return 1 if options.check and ingested.findings else 0


def _own_folder(name: str, other: str, way_out: str) -> Path:
    """A folder below results for what belongs to no sweep; raises NodesweepError where another room's results lie."""
    folder = Path("results") / name
    if any((folder / made).exists() for made in ("plan.csv", "layouts")):
        raise NodesweepError(f"{folder} holds the results of a sweep; name the sweep with --configfile to {way_out}")
    if (folder / other).exists():
        raise NodesweepError(f"{folder} holds what was {other}; rename, or give --name: its tables would be lost")
    return folder


def _markdown(path: Path) -> str:
    """The text of a markdown file; raises NodesweepError where it is none."""
    if path.stat().st_size > MOST_BYTES:
        raise NodesweepError(f"over {MOST_BYTES} bytes, too large for tables kept by hand; give it in parts")
    try:
        return path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise NodesweepError(f"not UTF-8 text (byte {error.start}); save it as UTF-8") from None


def _explain_log(options: argparse.Namespace) -> None:
    from .logs.explain import as_json, explanation, look_alikes

    study = _study(options) if options.configfile else None
    for path in options.file:
        if not path.is_file():
            raise NodesweepError(f"{path}: no such file; give the logs of jobs")
        reading = scan(path, format_of(study.sweep.workload.log_format) if study else None)
        if options.json:
            print(as_json(reading))
            continue
        with path.open(errors="replace") as stream:
            lines = islice(iter(lambda: stream.readline(MOST_COLUMNS), ""), MOST_LINES)
            alike = look_alikes(lines) if not reading.iterations else []
        print(explanation(str(path), reading, alike))


def _schema(_: argparse.Namespace) -> None:
    for name, text in schemas().items():
        write_atomic(SCHEMAS / name, text)
    write_atomic(REFERENCE, reference())


if __name__ == "__main__":
    sys.exit(main())
