"""Read all logs and records into results.csv."""

import argparse
from collections.abc import Sequence

from nodesweep.common.errors import DamagedFileError, LockError
from nodesweep.common.files import file_error_message, write_atomic
from nodesweep.common.lock import SweepLock, read_holder
from nodesweep.config.tidy_row import TidyRow, required_text
from nodesweep.importers.job_logs import Ingested
from nodesweep.importers.markdown import Imported
from nodesweep.importers.saved_file import read_saved
from nodesweep.launch.records import read_phase
from nodesweep.launch.rereading import keep_verdict
from nodesweep.results.calibrate import calibrations_of
from nodesweep.results.combined_runs import combined
from nodesweep.results.measurement import Measurement
from nodesweep.results.measurement_file import measurement_of
from nodesweep.results.metrics import Basis
from nodesweep.results.rereading import may_improve
from nodesweep.results.results_file import write_results
from nodesweep.results.rows import LayoutRun
from nodesweep.results.table import build, explained
from nodesweep.results.terminal_record import TerminalRecord
from nodesweep.sweep.layout import Layout
from nodesweep.sweep.study import Study

from .arguments import add_sweep_options
from .common import study_of, tell_problem

MOST_TOLD = 10
"""Changed verdicts that are told one by one."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Which sweep."""
    add_sweep_options(parser)


def run(options: argparse.Namespace) -> None:
    """Read what has changed, fit the calibrations, and write the tidy table."""
    study = study_of(options)
    runs, anew = {}, []
    for slug, layout in study.runs.items():
        phase, record, measurement = _measured(study, layout)
        if phase == "ended" and record and measurement and may_improve(record) and record != measurement.record:
            anew.append((record, measurement.record))
            record = measurement.record
        runs[slug] = LayoutRun(layout, phase, record, measurement)
    rows = [combined([runs[run.slug] for run in study.runs_of(row)]) for row in study.layouts]
    _keep(study, anew)
    foreign = _taken_in(study)
    study.folder.mkdir(parents=True, exist_ok=True)
    calibrations = calibrations_of(study.sweep, rows, foreign)
    for stack, found in calibrations.items():
        study.calibration(stack).parent.mkdir(exist_ok=True)
        write_atomic(study.calibration(stack), found.to_yaml())
    table = build(rows, [row for rows in foreign.values() for row in rows])
    basis = Basis(study.sweep, study.layouts, calibrations)
    write_results(study.folder, explained(table, basis))


def _measured(study: Study, layout: Layout) -> tuple[str, TerminalRecord | None, Measurement | None]:
    """Where a layout stands, its record and its measurement; what is wrong with its files costs its figures alone."""
    phase, state, record = read_phase(study, layout.slug)
    measurement, problem = None, state.problem
    if record and not problem:
        try:
            measurement = measurement_of(study, layout, record)
        except DamagedFileError as error:
            problem = str(error)
        except OSError as error:
            problem = file_error_message(error)
    if problem:
        tell_problem(study, layout.slug, problem)
    return phase, record, measurement


def _keep(study: Study, verdicts: Sequence[tuple[TerminalRecord, TerminalRecord]]) -> None:
    """Tell of runs whose verdict is another than before, and note it for launchers and status.

    While a launcher works on the sweep the journals are its own: they are left alone, and the next look notes it.
    """
    if not verdicts:
        return
    for before, now in verdicts[:MOST_TOLD]:
        print(f"{now.slug}: {before.verdict} before, {now.verdict} by its log as it is read now: {now.evidence}")
    if len(verdicts) > MOST_TOLD:
        print(f"and {len(verdicts) - MOST_TOLD} others")
    holder = read_holder(study.folder)
    try:
        lock = SweepLock(study.folder, jobs_at_once=holder.jobs_at_once if holder else None)
    except LockError:
        print("a launcher works on the sweep: job.json and journals will say so after the next look")
        return
    try:
        for before, now in verdicts:
            keep_verdict(study, before, now)
    finally:
        lock.release()


def _taken_in(study: Study) -> dict[str, list[TidyRow]]:
    """Rows for the tidy table, imported from hand-kept ones or ingested from other jobs' logs, by campaign."""
    found: dict[str, list[TidyRow]] = {}
    imported = (read_saved(path, Imported.from_json) for path in study.imported)
    ingested = (read_saved(path, Ingested.from_json) for path in study.ingested)
    for figures in (*(one.figures() for one in imported), *(one.figures() for one in ingested)):
        for row in figures:
            found.setdefault(required_text(row, "campaign"), []).append(row)
    return found
