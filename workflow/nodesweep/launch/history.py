"""What the runs of a sweep have shown so far."""

from nodesweep.common.errors import JournalError
from nodesweep.performance.calibration.files import read_calibrations
from nodesweep.results.measurement_file import measurement_of
from nodesweep.results.terminal_record import TerminalRecord
from nodesweep.sweep.study import Study

from . import journal
from .decisions import Decisions, Ran
from .records import needs_run


def decisions_of(study: Study) -> Decisions:
    """What is known of a sweep by its files: calibrations, and how the runs of its layouts ended."""
    decisions = Decisions(study.sweep, study.runs, read_calibrations(study))
    for slug in study.runs:
        try:
            events = journal.read(study.journal(slug))
        except JournalError:
            continue  # told where its layout is asked for: it stands as unreadable
        ends = journal.records_in(events)
        for record in ends:
            decisions.ended(slug, ran_of(study, slug, record, timed=record is ends[-1] and decisions.needs_times))
        if ends and (journal.state_in(study.journal(slug), events).status != "ended" or needs_run(study, ends[-1])):
            decisions.reopened(slug)
    return decisions


def ran_of(study: Study, slug: str, record: TerminalRecord, timed: bool) -> Ran:
    """What a run that ended tells; seconds per iteration only where asked for, since its log is read for them."""
    layout = study.runs[slug]
    measured = measurement_of(study, layout, record) if timed else None
    statistics = measured.statistics if measured else None
    seconds, scatter = (statistics.iteration_seconds, statistics.scatter) if statistics else (None, None)
    return Ran(record.outcome, seconds, record.node_hours(layout.nodes), scatter)
