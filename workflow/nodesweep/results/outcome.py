"""Decide why a job ended, from scheduler record, exit code and log together, with the line that decided it.

RULES are asked in order and the first answer counts. Where the sources disagree, the work done decides; then what the
scheduler alone can know (a node failed, the job was preempted); then a cause in the log (out of memory, not a number),
because ranks that wait for a dead one end in a time limit; then the scheduler; then the rest of the log. The same rules
decide where there is nothing but a log: what the scheduler knew is then read from its lines in the log.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING

from nodesweep.common.outcomes import OUTCOME_OF_CAUSE, Cause
from nodesweep.logs.completion import completion
from nodesweep.logs.endings.scheduler_messages import NOT_LAUNCHED, NOT_LAUNCHED_MARKER, SETUP_UNFINISHED
from nodesweep.logs.patterns.endings import CONSEQUENCE, SCHEDULER, SIGKILL_NOTE, SYMPTOM
from nodesweep.logs.reading import LogReading, SeenFailure
from nodesweep.logs.root_cause import evidence, evidence_of_nan, first_root, nearest, progress, root_causes

if TYPE_CHECKING:  # schedulers take long to load, and a log alone needs none
    from nodesweep.schedulers.base import End

SIGKILL_EXIT_CODES = (137, -9)
_OWN_LINES = 2
"""Lines that a job script itself writes into the log of a launch: the first and the last."""
COMMAND_EXIT_CODES = {126: "a command could not be executed", 127: "a command was not found"}
_NEVER_LAUNCHED = ("launch_failed", "setup_failed")
_KNOWN_TO_THE_SCHEDULER_ALONE = ("node_failure", "preempted")


@dataclass(frozen=True)
class Verdict:
    """How a run ended.

    `outcome`: a row of common/outcomes.py. `where`: "while building", "in iteration 1", "in training" or "after
    iteration k"; empty for runs that did their work, but for those stopped since they had done enough, and for
    those that never started. `evidence`: the deciding line of the log with its number, or the scheduler's word. `rule`:
    the one that decided, in words. `cause`: why, as finely as scheduler and
    log show; empty for a layout that was not run.
    """

    outcome: str
    where: str = ""
    evidence: str = ""
    note: str = ""
    rule: str = ""
    cause: Cause = ""


def decide(end: "End | None", reading: LogReading, iterations_requested: int | None, is_torn: bool = False) -> Verdict:
    """Name the outcome of one ended job.

    `end`: what its scheduler recorded, None where there is nothing but the log. `iterations_requested`: None where
    nobody knows how many were asked for. `is_torn`: it is known that the job wrote more than can be read of its log.
    """
    case = _Case(end, reading, iterations_requested, is_torn)
    return next(replace(verdict, rule=rule) for rule, decided in RULES if (verdict := decided(case)) is not None)


def decide_from_log(reading: LogReading) -> Verdict:
    """Name the outcome of a run of which there is nothing but the log."""
    return decide(None, reading, None)


@dataclass(frozen=True)
class _Case:
    end: "End | None"
    reading: LogReading
    requested: int | None
    is_torn: bool

    @property
    def exit_code(self) -> int | None:
        return self.end.exit_code if self.end else None

    @property
    def cause(self) -> Cause | None:
        """The scheduler's reason; "lost" where it lost the job."""
        return self.end.cause if self.end else None

    @property
    def progress(self) -> str:
        return progress(self.reading)

    @cached_property
    def failures(self) -> list[SeenFailure]:
        """The failures in the log that no other explains."""
        return root_causes(self.reading.signatures)

    @property
    def scheduler_state(self) -> str:
        """What the scheduler calls the end, in its own words where it has any; empty where there is no record."""
        return (self.end.state or self.end.cause or "") if self.end else ""

    @property
    def scheduler_evidence(self) -> str:
        """What the scheduler says, as evidence."""
        code = "no exit code" if self.exit_code is None else f"exit code {self.exit_code}"
        state = self.scheduler_state or "ended"
        return f"scheduler: {state}" if state.startswith(code) else f"scheduler: {state}, {code}"

    @property
    def last_words(self) -> str:
        """The last line of the log, as evidence; empty where there is none."""
        reading = self.reading
        return f"line {reading.last_text_line}: {reading.last_text}" if reading.last_text else ""


def _verdict(cause: Cause, where: str = "", shown: str = "", note: str = "") -> Verdict:
    outcome = OUTCOME_OF_CAUSE[cause]
    return Verdict(outcome, "" if outcome in _NEVER_LAUNCHED else where, shown, note, cause=cause)


def _work_done(case: _Case) -> Verdict | None:
    """All requested iterations are there, or the trainer says that it finished, or all but what is never logged."""
    reading, done = case.reading, case.reading.iterations_done
    if case.requested is None or not reading.iterations:
        return None
    finished = (reading.training_finished_line or 0) > (reading.training_started_line or 0)
    ended_well = case.exit_code == 0 and case.cause is None
    next_record = done + (reading.log_interval or 1)
    if not finished and done < case.requested and not (ended_well and next_record > case.requested):
        return None
    if reading.iterations[-1].is_nan:
        return _not_a_number(case)
    nan = sum(record.nan or record.lost for record in reading.iterations)
    notes = (
        _how_it_ended(case),
        f"{nan} nan iterations" if nan else "",
        f"iteration numbers went back {reading.restarts} times" if reading.restarts else "",
    )
    shown = f"line {reading.iterations[-1].line}: iteration {done} of {case.requested}"
    return _verdict("ok", "", shown, "; ".join(note for note in notes if note))


def _work_done_by_the_log(case: _Case) -> Verdict | None:
    """The log shows that the work was done; asked where nobody knows how many iterations were wanted."""
    if case.requested is not None:
        return None
    found = completion(case.reading, case.failures)
    if found is None:
        return None
    nan = _loss_not_a_number(case)
    return nan or _verdict("ok" if found.has_trained else "ok_no_iterations", "", found.evidence, found.note)


def _loss_not_a_number(case: _Case) -> Verdict | None:
    """The loss is not a number at the end; times measured before hold, the training does not."""
    latest = case.reading.latest
    return _not_a_number(case) if latest is not None and latest.is_nan else None


def _not_a_number(case: _Case) -> Verdict:
    return _verdict("nan_loss", case.progress, evidence_of_nan(case.reading))


def _how_it_ended(case: _Case) -> str:
    """What a reader should know of the end of a run whose iterations are all there."""
    if case.cause is not None:
        return f"scheduler says {case.scheduler_state}"
    if case.exit_code is None:
        return "exit code unknown"
    return f"crashed in cleanup (exit code {case.exit_code})" if case.exit_code else ""


def _scheduler_alone_knows(case: _Case) -> Verdict | None:
    if case.cause in _KNOWN_TO_THE_SCHEDULER_ALONE:
        return _from_scheduler(case, case.cause)
    if case.end is not None:
        return None
    known = [found for found in case.failures if found.signature.cause in _KNOWN_TO_THE_SCHEDULER_ALONE]
    return _from_log(case, known[0]) if known else None


def _setup_failed(case: _Case) -> Verdict | None:
    """The job script says which line of the set-up failed, or did not end within the time limit."""
    said = {found.signature.kind: found for found in case.reading.signatures}
    ended, unfinished = said.get(NOT_LAUNCHED), said.get(SETUP_UNFINISHED)
    if case.cause == "cancelled" or case.reading.iterations:
        return None
    if ended is None and case.cause == "time_limit":
        ended = unfinished
    if ended is not None:
        return _verdict("setup_failed", "", evidence(ended).replace(NOT_LAUNCHED_MARKER, "", 1))
    return _from_scheduler(case, "setup_failed") if case.cause == "setup_failed" else None


def _ended_well_undescribed(case: _Case) -> Verdict | None:
    """The launch ended well, and the log of a trainer that nobody described goes on after a failure.

    That may have been dealt with: it is told, and costs no run. A failure that a log ends with is one.
    """
    reading, first = case.reading, next(iter(case.failures), None)
    ended_well = case.exit_code == 0 and case.cause is None and reading.is_closed
    if not ended_well or first is None or reading.iterations or reading.training_started_line:
        return None
    if max(found.line for found in reading.signatures) >= reading.last_text_line:
        return None
    note = (
        "its log shows a failure, and its exit code is 0: nodesweep rerun runs it again if it failed; if it did not, "
    )
    return _verdict("log_unread", "", evidence(first), note + _how_to_describe(reading))


def _root_in_log(case: _Case) -> Verdict | None:
    """Out of memory or not a number, unless the log says that the scheduler had ended the job before."""
    first = first_root(case.failures)
    if first is None:
        return None
    disagrees = case.cause is not None and case.cause != "out_of_memory"
    return _from_log(case, first, f"scheduler says {case.scheduler_state}" if disagrees else "")


def _scheduler_says(case: _Case) -> Verdict | None:
    return None if case.cause is None or case.cause == "lost" else _from_scheduler(case, case.cause)


def _command_unusable(case: _Case) -> Verdict | None:
    reason = COMMAND_EXIT_CODES.get(case.exit_code) if case.exit_code is not None else None
    if reason is None or case.reading.iterations or nearest(case.failures, SCHEDULER):
        return None
    missing = next((found for found in case.reading.signatures if found.signature.kind == "command_missing"), None)
    shown = evidence(missing) if missing else case.last_words or case.scheduler_evidence
    return _verdict("launch_failed", "", shown, reason)


def _rest_of_log(case: _Case) -> Verdict | None:
    found = nearest(case.failures, SYMPTOM)
    if found is None:
        return None
    killed = found.signature.cause != "killed" and case.exit_code in SIGKILL_EXIT_CODES
    return _from_log(case, found, SIGKILL_NOTE if killed else "")


def _killed(case: _Case) -> Verdict | None:
    if case.exit_code not in SIGKILL_EXIT_CODES:
        return None
    return _verdict("killed", case.progress, case.scheduler_evidence, SIGKILL_NOTE)


def _end_not_recorded(case: _Case) -> Verdict | None:
    if case.end is None or (case.exit_code is not None and case.cause != "lost"):
        return None
    return _verdict("lost", case.progress, case.scheduler_evidence, "nobody recorded how the job ended")


def _terminated(case: _Case) -> Verdict | None:
    """Only consequences are in the log: the earliest is the best evidence there is."""
    found = nearest(case.failures)
    return None if found is None else _from_log(case, found)


def _log_stops(case: _Case) -> Verdict | None:
    if case.end is not None:
        return None
    return _verdict("truncated", case.progress, case.last_words, "the log simply ends")


def _unread(case: _Case) -> Verdict | None:
    """The launch ended well, and nothing that can be read of its log says what it did, or that it did not do it.

    The script of a launch that ended writes a last line into the log: without it the log is torn, or there was none.
    """
    done = bool(case.reading.iterations)
    if case.exit_code != 0 or case.cause is not None or not (case.is_torn or (case.reading.is_closed and not done)):
        return None
    cause, where = "log_torn" if case.is_torn else "log_unread", case.progress if done else ""
    return _verdict(cause, where, case.last_words or case.scheduler_evidence, _NOTES[cause](case.reading))


def _how_to_describe(reading: LogReading) -> str:
    """The way out where no iteration was recognised in a log."""
    if not reading.last_text and reading.lines <= _OWN_LINES:
        return (
            "its log holds no text: the command must write what it does to its standard output, "
            "not only to a file of its own; nodesweep rerun runs it again"
        )
    near = max(reading.near_misses.values(), key=lambda miss: miss.count, default=None)
    seen = f" (line {near.line} holds {near.text!r} and does not fit)" if near else ""
    way = "describe its lines under workload.log_format (docs/logs.md)"
    return f"no iteration was recognised in its log{seen}: {way}, and nodesweep measure reads it without another run"


def _how_it_is_torn(reading: LogReading) -> str:
    """What is there of a log that the job wrote more into."""
    there = "its log ends before the job did" if reading.lines else "there is no log of it that can be read"
    return f"{there}: nodesweep measure looks again, nodesweep rerun runs it again"


_NOTES: dict[Cause, Callable[[LogReading], str]] = {"log_unread": _how_to_describe, "log_torn": _how_it_is_torn}
"""What to say of a run whose log could not be read, by why."""


def _bare_exit(case: _Case) -> Verdict:
    """Nobody says why: the last words of the log are the evidence."""
    done = f"{case.reading.iterations_done} of {case.requested} iterations in the log"
    shown = case.last_words or case.scheduler_evidence
    return _verdict("crash", case.progress, shown, f"exit code {case.exit_code}, {done}")


def _from_scheduler(case: _Case, cause: Cause) -> Verdict:
    """The scheduler's reason; where it left a line in the log that says the same, that is the better evidence."""
    outcome = OUTCOME_OF_CAUSE[cause]
    by_scheduler = [found for found in case.reading.signatures if found.signature.precedence == SCHEDULER]
    lines = [evidence(found) for found in by_scheduler if found.signature.outcome == outcome]
    unstarted = outcome == "cancelled" and not case.reading.lines
    return _verdict(cause, "" if unstarted else case.progress, lines[0] if lines else case.scheduler_evidence)


def _from_log(case: _Case, found: SeenFailure, note: str = "") -> Verdict:
    signature = found.signature
    if signature.precedence == CONSEQUENCE:
        note = signature.note or "only consequences of a failure are in the log"
        return _verdict("crash", case.progress, evidence(found), note)
    notes = "; ".join(part for part in (signature.note, note) if part)
    return _verdict(signature.cause, case.progress, evidence(found), notes)


RULES: tuple[tuple[str, Callable[[_Case], Verdict | None]], ...] = (
    ("the log has all iterations asked for, or the trainer says that it finished", _work_done),
    ("the log has all iterations that it speaks of, or says that the work was done", _work_done_by_the_log),
    ("a failed node and a preemption are known to the scheduler alone", _scheduler_alone_knows),
    ("the job script says that its set-up failed, so that nothing was launched", _setup_failed),
    ("the launch ended well, and its log, which nobody described, goes on after a failure", _ended_well_undescribed),
    ("the log shows that memory ran out or a loss was NaN, and no earlier end of the job", _root_in_log),
    ("the loss is not a number at the end", _loss_not_a_number),
    ("the scheduler gives its reason", _scheduler_says),
    ("the command could not be started", _command_unusable),
    ("the log shows a failure, and the scheduler gives no reason", _rest_of_log),
    ("the exit code is that of SIGKILL, and the log shows no failure", _killed),
    ("nobody recorded an exit code, and the log shows no failure", _end_not_recorded),
    ("the log shows only consequences of a failure", _terminated),
    ("there is nothing but a log, and it simply ends", _log_stops),
    ("the job ended well, and its log does not say what it did", _unread),
    ("there is an exit code and nothing else", _bare_exit),
)
