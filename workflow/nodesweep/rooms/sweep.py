"""Rooms of a sweep: plan, scripts, measure, tables, show, why, rerun; and the schema of its files."""

import argparse
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from .. import journal
from ..errors import NodesweepError
from ..files import write_atomic
from ..layout import Layout
from ..lock import SweepLock
from ..logs.custom import format_of
from ..logs.scan import scan
from ..measure import Measurement, Settings
from ..measure import measure as measure_run
from ..plan import plan_csv, plan_markdown
from ..records import request_rerun, standing
from ..schemas import REFERENCE, SCHEMAS, reference, schemas
from ..script import render
from ..study import DEFAULT_SWEEP, Study
from .common import study_of, written


def plan(options: argparse.Namespace) -> None:
    """Write plan.csv and plan.md."""
    study = study_of(options)
    study.folder.mkdir(parents=True, exist_ok=True)
    write_atomic(study.folder / "plan.csv", plan_csv(study))
    write_atomic(study.folder / "plan.md", plan_markdown(study))
    counts = f"{len(study.layouts)} layouts to run, {len(study.expansion.rejected)} points rejected"
    print(f"{study.sweep.sweep}: {counts}: {study.folder / 'plan.md'}")


def scripts(options: argparse.Namespace) -> None:
    """Render the job scripts of all layouts that do not run and have not finished."""
    study = study_of(options)
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


def measure(options: argparse.Namespace) -> None:
    """Read all logs and records into results.csv."""
    from ..results import Run, build, to_csv  # pandas takes 0.4 s to import, which the other rooms need not pay

    study = study_of(options)
    runs = []
    for slug, layout in study.layouts.items():
        status, state = standing(study, slug)
        measurement = _measurement(study, layout, state.record) if state.record else None
        runs.append(Run(layout, status, state.record, measurement))
    study.folder.mkdir(parents=True, exist_ok=True)
    write_atomic(study.folder / "results.csv", to_csv(build(runs, _taken_in(study))))


def _taken_in(study: Study) -> Iterator[dict[str, Any]]:
    """Rows for the tidy table that were imported from hand-kept ones, or ingested from other jobs' logs."""
    from ..ingest import Ingested
    from ..legacy import Imported

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
    measurement = measure_run(layout, record, scan(log, format_of(layout.workload.log_format)), settings)
    write_atomic(path, measurement.to_json())
    return measurement


def tables(options: argparse.Namespace) -> None:
    """Write tables.md from results.csv."""
    from ..results import from_csv
    from ..tables import document_of
    from ..tables import render as render_tables

    study = study_of(options)
    frame = from_csv(written(study.folder / "results.csv"))
    write_atomic(study.folder / "tables.md", render_tables(document_of(study.sweep, frame), frame))
    print(f"{study.sweep.sweep}: tables written: {study.folder / 'tables.md'}")


def show(options: argparse.Namespace) -> None:
    """Print the tables and where the files are."""
    study = study_of(options)
    print(written(study.folder / "tables.md"))
    for name, text in (
        ("tables.md", "these tables"),
        ("results.csv", "all figures, one row per layout"),
        ("plan.md", "every point of the sweep, rejected ones with their reasons"),
        ("layouts/", "per layout: job.sh, logs, journal, job.json, measurement.json"),
    ):
        print(f"{study.folder / name}: {text}")


def why(options: argparse.Namespace) -> None:
    """Say where the values of a row come from."""
    from ..origins import origins
    from ..why import why as told

    study, named = study_of(options), options.configfile or [DEFAULT_SWEEP]
    foreign = [*study.imported, *study.ingested]
    if not options.configfile:
        foreign = [
            path for kind in ("imported", "ingested") for path in sorted(Path("results").glob(f"*/{kind}/*.json"))
        ]
    print(told(study, origins(named, options.config), foreign, options.slug, options.column))


def rerun(options: argparse.Namespace) -> None:
    """Let finished layouts run again with the next invocation."""
    study = study_of(options)
    lock = SweepLock(study.folder)
    for slug in options.slug:
        request_rerun(study, slug)
    lock.release()


def schema(_: argparse.Namespace) -> None:
    """Write the JSON Schemas of the config files and config/README.md."""
    for name, text in schemas().items():
        write_atomic(SCHEMAS / name, text)
    write_atomic(REFERENCE, reference())
