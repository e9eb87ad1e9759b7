"""Decide anew how a run ended, by what it left: its log may say more than when its terminal record was written."""

from dataclasses import replace
from pathlib import Path

from nodesweep.common.outcomes import Cause, is_result
from nodesweep.logs.reading import LogReading
from nodesweep.schedulers.base import End
from nodesweep.schedulers.markers import launch_returned

from .outcome import Verdict, decide
from .terminal_record import TerminalRecord


def closes_log(directory: Path, key: str, exit_code: int | None, cause: Cause | None) -> bool:
    """Whether the script of an ended job has come to the line that it ends its log with.

    Its exit marker says so. Where that is not there, a script that ended by itself with exit code 0 has.
    """
    returned = launch_returned(directory, key)
    return (exit_code == 0 and cause is None) if returned is None else returned


def is_torn(directory: Path, key: str, end: End, reading: LogReading) -> bool:
    """Whether the job of a key wrote more into its log than has been read."""
    return not reading.is_closed and closes_log(directory, key, end.exit_code, end.cause)


def may_improve(record: TerminalRecord) -> bool:
    """Whether a better reading of its log may show that a run did its work, or better why it did not.

    A record of an earlier version does not keep what its scheduler said; it had given no cause where a run crashed with
    exit code 0.
    """
    if not record.key or not record.was_run or is_result(record.outcome):
        return False
    return bool(record.cause) or is_of_earlier_version(record)


def is_of_earlier_version(record: TerminalRecord) -> bool:
    """Whether an earlier version took a run for a crash of which only its log, maybe not understood, spoke."""
    return not record.cause and record.outcome == "crash" and record.exit_code == 0


def reread(record: TerminalRecord, directory: Path, reading: LogReading, iterations: int) -> TerminalRecord:
    """The record with the verdict that its log gives as it is read now; the same one where that says nothing better.

    `iterations`: that the layout asks for now, where the record does not say what the job was asked for. A log that has
    become shorter changes no verdict.
    """
    if not may_improve(record) or reading.content_bytes < (record.log_bytes or 0):
        return record
    end = End(record.exit_code, record.scheduler_cause or None, record.scheduler_state)
    requested = record.iterations_requested if record.iterations_requested is not None else iterations
    found = decide(end, reading, requested, is_torn(directory, record.key, end, reading))
    if found.cause == record.cause and (found.where, found.evidence) == (record.where, record.evidence):
        return record
    return _with_verdict(record, found, requested, reading.content_bytes)


def is_same_run(one: TerminalRecord, other: TerminalRecord) -> bool:
    """Whether two records are of one run, whatever verdict they give."""
    return _with_verdict(one, _NO_VERDICT) == _with_verdict(other, _NO_VERDICT)


_NO_VERDICT = Verdict("")


def _with_verdict(
    record: TerminalRecord, verdict: Verdict, requested: int | None = None, log_bytes: int | None = None
) -> TerminalRecord:
    return replace(
        record,
        outcome=verdict.outcome,
        where=verdict.where,
        evidence=verdict.evidence,
        note=verdict.note,
        rule=verdict.rule,
        cause=verdict.cause,
        iterations_requested=requested,
        log_bytes=log_bytes,
    )
