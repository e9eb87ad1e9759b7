"""Verdicts that follow from files are derived again: what a later look at a log says better is noted in the journal."""

from nodesweep.common.files import write_atomic
from nodesweep.results.measurement_file import measurement_of
from nodesweep.results.rereading import may_improve
from nodesweep.results.terminal_record import TerminalRecord
from nodesweep.sweep.study import Study

from . import journal
from .journal import State
from .journal_events import Reread
from .records import needs_run


def reread_record(study: Study, record: TerminalRecord) -> TerminalRecord:
    """The record of an ended run by what its log says now, noted where it changed. For a holder of the sweep's lock."""
    layout = study.runs.get(record.slug)
    if layout is None or not may_improve(record):
        return record
    measured = measurement_of(study, layout, record)
    return record if measured is None else keep_verdict(study, record, measured.record)


def record_that_holds(study: Study, state: State) -> TerminalRecord | None:
    """The record of a layout that has ended and needs no run, by what its log says now; None for others."""
    record = reread_record(study, state.record) if state.status == "ended" and state.record else None
    return None if record is None or needs_run(study, record) else record


def keep_verdict(study: Study, before: TerminalRecord, now: TerminalRecord) -> TerminalRecord:
    """Note another verdict on the last run of a layout, unless another run has begun since; returns what holds.

    For a holder of the sweep's lock, since a launcher appends to the same journal.
    """
    path = study.journal(before.slug)
    state = journal.state(path)
    if now == before or state.status != "ended" or state.record != before:
        return before
    journal.append(path, Reread(record=now))
    if needs_run(study, now):
        study.record(now.slug).unlink(missing_ok=True)
    else:
        write_atomic(study.record(now.slug), now.to_json())
    return now
