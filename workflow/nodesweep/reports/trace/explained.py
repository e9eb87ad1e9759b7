"""The columns of results.csv that explain a row -> the formulas they follow, with numbers filled in."""

from pathlib import Path

from nodesweep.common.errors import NodesweepError
from nodesweep.performance.calibration.files import read_calibrations
from nodesweep.performance.dimensions import unknown_schedule
from nodesweep.results.metrics import EXPLAINED, Basis, explain_row
from nodesweep.results.metrics.row import ExplainedFigure
from nodesweep.results.results_file import read_results
from nodesweep.results.scaling_kinds import bases
from nodesweep.results.table import records
from nodesweep.sweep.study import Study

from .facts import MEASURE, LayoutFacts, Trace


def explained_traces(
    study: Study, folder: Path, slug: str, facts: LayoutFacts | None
) -> tuple[dict[str, Trace], dict[str, str]]:
    """Traces and values of the columns that explain a row, by results.csv and the calibrations as they are now.

    `facts`: of the layout, None for a row from elsewhere.
    """
    unknown = dict.fromkeys(EXPLAINED, Trace((f"not measured yet: {MEASURE}",))), dict.fromkeys(EXPLAINED, "")
    try:
        rows = records(read_results(folder))
    except NodesweepError:
        return unknown
    number = next((number for number, row in enumerate(rows) if row["slug"] == slug), None)
    if number is None:
        return unknown
    own = folder == study.folder
    basis = Basis(study.sweep, study.layouts, read_calibrations(study)) if own else Basis()
    found = explain_row(basis, rows[number], bases(rows)[number])
    values = {name: "" if figure.value is None else repr(figure.value) for name, figure in found.items()}
    return {name: Trace((*figure.sentences, *_schedule(figure, facts))) for name, figure in found.items()}, values


def _schedule(figure: ExplainedFigure, facts: LayoutFacts | None) -> list[str]:
    """Where the schedule is said for want of which there is no figure."""
    schedule = unknown_schedule(facts.dimensions) if facts else ""
    if facts is None or not schedule or not any(schedule in sentence for sentence in figure.sentences):
        return []
    return [f"pipeline_schedule {facts.layout.training.pipeline_schedule}: {facts.by_workload('pipeline_schedule')}"]
