"""What the runs of a sweep have shown so far."""

from typing import Any

from nodesweep.performance.calibration.files import read_calibrations
from nodesweep.results.measurement_file import measurement_of
from nodesweep.sweep.study import Study

from . import journal
from .decisions import Decisions, Ran
from .records import node_hours_of


def decisions_of(study: Study) -> Decisions:
    """What is known of a sweep by its files: calibrations, and how the runs of its layouts ended."""
    decisions = Decisions(study.sweep, study.layouts, read_calibrations(study))
    for slug in study.layouts:
        ends = [event["record"] for event in journal.read(study.journal(slug)) if event["event"] == "ended"]
        for record in ends:
            decisions.ended(slug, ran_of(study, slug, record, timed=record is ends[-1] and decisions.searches))
    return decisions


def ran_of(study: Study, slug: str, record: dict[str, Any], timed: bool) -> Ran:
    """What a run that ended tells; seconds per iteration only where asked for, since its log is read for them."""
    layout = study.layouts[slug]
    measured = measurement_of(study, layout, record) if timed else None
    statistics = measured.statistics if measured else None
    seconds, scatter = (statistics.iteration_seconds, statistics.scatter) if statistics else (None, None)
    return Ran(record["outcome"], seconds, node_hours_of(record, layout.nodes), scatter)
