"""Read all logs and records into results.csv."""

import argparse

from nodesweep.common.errors import NodesweepError
from nodesweep.common.files import write_atomic
from nodesweep.config.tidy_row import TidyRow, required_text
from nodesweep.importers.job_logs import Ingested
from nodesweep.importers.markdown import Imported
from nodesweep.launch.records import read_phase
from nodesweep.results.calibrate import calibrations_of
from nodesweep.results.measurement_file import measurement_of
from nodesweep.results.metrics import Basis
from nodesweep.results.results_file import write_results
from nodesweep.results.rows import LayoutRun
from nodesweep.results.table import build, explained
from nodesweep.sweep.study import Study

from .arguments import add_sweep_options
from .common import study_of


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Which sweep."""
    add_sweep_options(parser)


def run(options: argparse.Namespace) -> None:
    """Read what has changed, fit the calibrations, and write the tidy table."""
    study = study_of(options)
    runs = []
    for slug, layout in study.layouts.items():
        phase, _, record = read_phase(study, slug)
        measurement = measurement_of(study, layout, record) if record else None
        runs.append(LayoutRun(layout, phase, record, measurement))
    foreign = _taken_in(study)
    study.folder.mkdir(parents=True, exist_ok=True)
    calibrations = calibrations_of(study.sweep, runs, foreign)
    for campaign, found in calibrations.items():
        study.calibration(campaign).parent.mkdir(exist_ok=True)
        write_atomic(study.calibration(campaign), found.to_yaml())
    table = build(runs, [row for rows in foreign.values() for row in rows])
    basis = Basis(study.sweep, study.layouts, calibrations)
    write_results(study.folder, explained(table, basis))


def _taken_in(study: Study) -> dict[str, list[TidyRow]]:
    """Rows for the tidy table, imported from hand-kept ones or ingested from other jobs' logs, by campaign."""
    found: dict[str, list[TidyRow]] = {}
    for paths, form in ((study.imported, Imported), (study.ingested, Ingested)):
        for path in paths:
            try:
                taken_in = form.from_json(path.read_text())
            except NodesweepError as error:
                raise NodesweepError(f"{path}: {error}") from None
            for row in taken_in.figures():
                found.setdefault(required_text(row, "campaign"), []).append(row)
    return found
