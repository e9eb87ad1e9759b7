"""Terminal records of a study's layouts: made from what a scheduler says, read from job.json, and what follows."""

from datetime import UTC, datetime
from pathlib import Path

from nodesweep.common.errors import DamagedFileError
from nodesweep.common.files import read_regular
from nodesweep.common.outcomes import is_result, is_undecided
from nodesweep.results.outcome import Verdict
from nodesweep.results.rows import UNREADABLE
from nodesweep.results.terminal_record import TerminalRecord
from nodesweep.schedulers.base import End, Job
from nodesweep.schedulers.markers import has_started
from nodesweep.sweep.study import Study

from . import journal
from .decisions import NotRun
from .journal import State

_MOST_BYTES = 2**20
HELD = "held"
"""Where a layout stands whose job nobody knows anything of."""
WAY_OUT = "find out whether it still runs; once it does not: nodesweep forget %s"
"""What a user can do about it; a slug goes in."""


def terminal_record(
    slug: str,
    job: Job,
    state: State,
    end: End,
    verdict: Verdict,
    iterations_requested: int | None = None,
    log_bytes: int | None = None,
) -> TerminalRecord:
    """All that is known of how a job ended, as it goes into the journal and job.json."""
    return TerminalRecord(
        slug=slug,
        key=job.key,
        attempt=state.attempt,
        job_id=job.id,
        scheduler=state.scheduler,
        outcome=verdict.outcome,
        where=verdict.where,
        evidence=verdict.evidence,
        note=verdict.note,
        rule=verdict.rule,
        exit_code=end.exit_code,
        scheduler_state=end.state,
        elapse_limit_seconds=state.elapse_limit_seconds,
        submitted=_timestamp(state.submitted),
        started=_timestamp(end.started),
        ended=_timestamp(end.ended),
        usage=end.usage,
        log=f"{job.key}.log",
        cause=verdict.cause,
        scheduler_cause=end.cause or "",
        iterations_requested=iterations_requested,
        log_bytes=log_bytes,
    )


def not_run_record(slug: str, found: NotRun) -> TerminalRecord:
    """What job.json says of a layout that no job was submitted for."""
    return TerminalRecord(slug=slug, attempt=0, outcome=found.outcome, evidence=found.reason)


def held_record(slug: str, evidence: str) -> TerminalRecord:
    """What is reported of a layout whose job nobody knows anything of; it goes into no file."""
    return TerminalRecord(slug=slug, attempt=0, outcome=HELD, evidence=evidence)


def forgotten_record(slug: str, state: State, reason: str) -> TerminalRecord:
    """How a job ended that nobody knows anything of and somebody has given up."""
    return TerminalRecord(
        slug=slug,
        key=state.key,
        attempt=state.attempt,
        job_id=state.job_id,
        scheduler=state.scheduler,
        outcome="lost",
        evidence=reason,
        note=state.silent,
        rule="somebody gave the job up by `nodesweep forget`",
        elapse_limit_seconds=state.elapse_limit_seconds,
        submitted=_timestamp(state.submitted),
        log=f"{state.key}.log",
    )


def read_record(path: Path) -> TerminalRecord | None:
    """The terminal record in a job.json; None where there is no file. Raises DamagedFileError."""
    try:
        return TerminalRecord.from_json(read_regular(path, _MOST_BYTES))
    except FileNotFoundError:
        return None
    except ValueError:
        raise DamagedFileError(f"{path}: is no terminal record; take it away, it is written again") from None


def phase_of(study: Study, slug: str, state: State) -> tuple[str, TerminalRecord | None]:
    """Where a layout with this state of its journal stands, and the terminal record that holds for it.

    "pending", "queued", "running", "held" (nobody knows anything of its job), "unreadable" (nobody knows whether there
    is one) or "ended"; or the outcome of a layout that is not to be run, whose record says why.
    """
    if state.problem:
        return UNREADABLE, held_record(slug, state.problem)
    if state.status == "pending" and not state.asked and (record := _not_run(study.record(slug))) is not None:
        return record.outcome, record
    if state.is_open and state.silent:
        return HELD, state.record
    if state.is_open:
        started = has_started(study.directory(slug), state.key)
        return "running" if started else "queued", state.record
    return state.status, state.record


def read_phase(study: Study, slug: str) -> tuple[str, State, TerminalRecord | None]:
    """Where a layout stands by its files (see `phase_of`), its journal's state, and the record that holds for it."""
    state = journal.state(study.journal(slug))
    phase, record = phase_of(study, slug, state)
    return phase, state, record


def _not_run(path: Path) -> TerminalRecord | None:
    """The record of a layout that is not to be run; None where job.json is missing, damaged, or of a run."""
    try:
        record = read_record(path)
    except DamagedFileError:
        return None
    return record if record is not None and not record.was_run else None


def needs_run(study: Study, record: TerminalRecord) -> bool:
    """Whether the next invocation runs a layout that ended so: by its outcome, or because its time limit was raised."""
    limit, layout = record.elapse_limit_seconds, study.runs.get(record.slug)
    if record.outcome == "timeout" and limit is not None and layout is not None:
        return layout.elapse_limit_seconds is None or layout.elapse_limit_seconds > limit
    return record.outcome in study.sweep.rerun


def final_outcomes(study: Study) -> dict[str, str]:
    """The outcomes of runs that need no more jobs, by slug."""
    found = {}
    for slug in study.runs:
        try:
            record = read_record(study.record(slug))
        except DamagedFileError:
            continue  # damaged: it is written again from the journal
        if record is not None and record.was_run and not needs_run(study, record):
            found[slug] = record.outcome
    return found


def journal_states(study: Study) -> dict[str, State]:
    """Where runs stand by their journals, by slug."""
    return {slug: journal.state(study.journal(slug)) for slug in study.runs}


def summary(record: TerminalRecord) -> str:
    """How a run ended in one line: outcome, where, and, unless all went well, the evidence and the log."""
    if is_result(record.outcome):
        return record.verdict
    if not record.was_run:
        return f"{record.verdict}: {record.evidence}"
    log = f" [{record.log}]" if record.job_id else ""
    return f"{record.verdict}: {reason_of(record)}{log}"


def reason_of(record: TerminalRecord) -> str:
    """Why a run is no result, empty for one that is; where its log was not understood, the way out and last words."""
    if is_result(record.outcome):
        return ""
    words = (record.note, record.evidence) if is_undecided(record.outcome) else (record.evidence,)
    return "; ".join(filter(None, words)) or record.scheduler_state


def _timestamp(seconds: float | None) -> str | None:
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds")
