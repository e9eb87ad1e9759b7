"""Read all logs and records into results.csv."""

import argparse

from nodesweep.common.errors import DamagedFileError
from nodesweep.common.files import file_error_message, write_atomic
from nodesweep.common.text import plain
from nodesweep.config.tidy_row import TidyRow, required_text
from nodesweep.importers.job_logs import Ingested
from nodesweep.importers.markdown import Imported
from nodesweep.importers.saved_file import read_saved
from nodesweep.launch.records import read_phase
from nodesweep.results.calibrate import calibrations_of
from nodesweep.results.measurement_file import measurement_of
from nodesweep.results.metrics import Basis
from nodesweep.results.results_file import write_results
from nodesweep.results.rows import LayoutRun
from nodesweep.results.table import build, explained
from nodesweep.sweep.layout import Layout
from nodesweep.sweep.study import Study

from .arguments import add_sweep_options
from .common import study_of


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Which sweep."""
    add_sweep_options(parser)


def run(options: argparse.Namespace) -> None:
    """Read what has changed, fit the calibrations, and write the tidy table."""
    study = study_of(options)
    runs = [_run_of(study, layout) for layout in study.layouts.values()]
    foreign = _taken_in(study)
    study.folder.mkdir(parents=True, exist_ok=True)
    calibrations = calibrations_of(study.sweep, runs, foreign)
    for campaign, found in calibrations.items():
        study.calibration(campaign).parent.mkdir(exist_ok=True)
        write_atomic(study.calibration(campaign), found.to_yaml())
    table = build(runs, [row for rows in foreign.values() for row in rows])
    basis = Basis(study.sweep, study.layouts, calibrations)
    write_results(study.folder, explained(table, basis))


def _run_of(study: Study, layout: Layout) -> LayoutRun:
    """A layout and its run; what is wrong with its files is told, and costs its figures alone."""
    phase, state, record = read_phase(study, layout.slug)
    measurement, problem = None, state.problem
    if record:
        try:
            measurement = measurement_of(study, layout, record)
        except DamagedFileError as error:
            problem = str(error)
        except OSError as error:
            problem = file_error_message(error)
    if problem:
        print(f"{study.sweep.sweep}: {layout.slug}: {plain(problem, 1000)}")
    return LayoutRun(layout, phase, record, measurement)


def _taken_in(study: Study) -> dict[str, list[TidyRow]]:
    """Rows for the tidy table, imported from hand-kept ones or ingested from other jobs' logs, by campaign."""
    found: dict[str, list[TidyRow]] = {}
    imported = (read_saved(path, Imported.from_json) for path in study.imported)
    ingested = (read_saved(path, Ingested.from_json) for path in study.ingested)
    for figures in (*(one.figures() for one in imported), *(one.figures() for one in ingested)):
        for row in figures:
            found.setdefault(required_text(row, "campaign"), []).append(row)
    return found
