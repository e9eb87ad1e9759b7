"""Rooms of a sweep: plan, scripts, measure, tables, show, why, rerun; and the schema of its files."""

import argparse
from hashlib import sha256
from pathlib import Path
from typing import Any

from nodesweep.common.errors import NodesweepError
from nodesweep.common.files import write_atomic
from nodesweep.common.lock import SweepLock
from nodesweep.config.schema import REFERENCE, SCHEMAS, reference, schemas
from nodesweep.launch.history import decisions_of
from nodesweep.launch.plan import Planned, planned
from nodesweep.launch.records import ended, standing
from nodesweep.launch.reruns import request_rerun
from nodesweep.reports.plan import plan_csv, plan_markdown
from nodesweep.results.measurement_file import measurement_of
from nodesweep.schedulers.job_script import PROVENANCE, provenance_script, render
from nodesweep.sweep.study import DEFAULT_SWEEP, Study

from .common import limited_study_of, study_of, written


def plan(options: argparse.Namespace) -> None:
    """Write plan.csv and plan.md."""
    study = limited_study_of(options)
    study.folder.mkdir(parents=True, exist_ok=True)
    layouts = planned(study, decisions_of(study), ended(study))
    write_atomic(study.folder / "plan.csv", plan_csv(study, layouts))
    write_atomic(study.folder / "plan.md", plan_markdown(study, layouts))
    runs, done, left = (sum(counted) for counted in zip(*map(_counted, layouts), strict=True))
    counts = (
        f"{runs} layouts to run, {f'{done} ended, ' if done else ''}{f'{left} not to run, ' if left else ''}"
        f"{len(study.expansion.rejected)} points rejected"
    )
    print(f"{study.sweep.sweep}: {counts}: {study.folder / 'plan.md'}")


def _counted(one: Planned) -> tuple[bool, bool, bool]:
    """Whether a layout is to run, has ended, or is not to run."""
    return one.runs, bool(one.ended), one.not_run is not None


def scripts(options: argparse.Namespace) -> None:
    """Render the job scripts of all layouts that do not run and have not finished."""
    study = limited_study_of(options)
    study.folder.mkdir(parents=True, exist_ok=True)
    write_atomic(study.folder / PROVENANCE, provenance_script())
    rendered, digests = 0, []
    for slug, layout in study.layouts.items():
        path = study.script(slug)
        started = study.record(slug).exists() or standing(study, slug)[0] in ("queued", "running")
        if not (started and path.exists()):
            path.parent.mkdir(parents=True, exist_ok=True)
            write_atomic(path, render(layout, study.sweep.sweep, study.folder))
            rendered += 1
        digests.append(f"{sha256(path.read_bytes()).hexdigest()}  {path.relative_to(study.folder)}\n")
    write_atomic(study.scripts_list, "".join(digests))
    kept = len(study.layouts) - rendered
    print(f"{study.sweep.sweep}: {rendered} job scripts written, {kept} kept as they were submitted")


def measure(options: argparse.Namespace) -> None:
    """Read all logs and records into results.csv."""
    from nodesweep.results.calibrate import calibrations_of
    from nodesweep.results.metrics import Basis
    from nodesweep.results.rows import LayoutRun
    from nodesweep.results.table import build, explained, to_csv

    study = study_of(options)
    runs = []
    for slug, layout in study.layouts.items():
        status, state = standing(study, slug)
        measurement = measurement_of(study, layout, state.record) if state.record else None
        runs.append(LayoutRun(layout, status, state.record, measurement))
    foreign = _taken_in(study)
    study.folder.mkdir(parents=True, exist_ok=True)
    calibrations = calibrations_of(study.sweep, runs, foreign)
    for campaign, found in calibrations.items():
        study.calibration(campaign).parent.mkdir(exist_ok=True)
        write_atomic(study.calibration(campaign), found.to_yaml())
    table = build(runs, [row for rows in foreign.values() for row in rows])
    basis = Basis(study.sweep, study.layouts, calibrations)
    write_atomic(study.folder / "results.csv", to_csv(explained(table, basis)))


def _taken_in(study: Study) -> dict[str, list[dict[str, Any]]]:
    """Rows for the tidy table, imported from hand-kept ones or ingested from other jobs' logs, by campaign."""
    from nodesweep.importers.job_logs import Ingested
    from nodesweep.importers.markdown import Imported

    found: dict[str, list[dict[str, Any]]] = {}
    for paths, form in ((study.imported, Imported), (study.ingested, Ingested)):
        for path in paths:
            try:
                taken_in = form.from_json(path.read_text())
            except NodesweepError as error:
                raise NodesweepError(f"{path}: {error}") from None
            for row in taken_in.figures():
                found.setdefault(row["campaign"], []).append(row)
    return found


def tables(options: argparse.Namespace) -> None:
    """Write tables.md from results.csv, with links to the figures that its rows allow."""
    from nodesweep.reports.figures import figures_of, section
    from nodesweep.reports.tables.document import document_of
    from nodesweep.reports.tables.document import render as render_tables
    from nodesweep.reports.tables.explanation import explanation
    from nodesweep.results.table import from_csv, records

    study = study_of(options)
    frame = from_csv(written(study.folder / "results.csv"))
    figures, _ = figures_of(records(frame), study.sweep, study.layouts)
    text = render_tables(document_of(study.sweep, frame), frame) + section(figures) + explanation(study.sweep, frame)
    write_atomic(study.folder / "tables.md", text)
    print(f"{study.sweep.sweep}: tables written: {study.folder / 'tables.md'}")


def show(options: argparse.Namespace) -> None:
    """Print the tables and where the files are."""
    study = study_of(options)
    print(written(study.folder / "tables.md"))
    for name, text in (
        ("tables.md", "these tables"),
        ("report.html", "findings, figures, tables and all that is known of each layout, on one page for a browser"),
        ("figures/", "what its rows show, as SVG, PNG and Vega-Lite"),
        ("results.csv", "all figures, one row per layout"),
        ("plan.md", "every point of the sweep, rejected ones with their reasons"),
        ("calibration/", "per campaign: what its runs say of memory and time"),
        ("layouts/", "per layout: job.sh, logs, journal, job.json, measurement.json"),
    ):
        print(f"{study.folder / name}: {text}")


def why(options: argparse.Namespace) -> None:
    """Say where the values of a row come from."""
    from nodesweep.config.origins import origins
    from nodesweep.reports.trace.why import why as told

    study, named = limited_study_of(options), options.configfile or [DEFAULT_SWEEP]
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
