"""Why a job ended: scheduler record, exit code and log together, with the line that decided it.

Rules are asked in the order of RULES and the first answer stands. Where the sources disagree, the work done decides;
then what the scheduler alone can know (a node failed, the job was preempted); then a cause in the log (out of memory,
not a number), because ranks that wait for a dead one end in a time limit; then the scheduler; then the rest of the log.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property

from nodesweep.common.outcomes import OUTCOME_OF_CAUSE
from nodesweep.logs import verdict as ending
from nodesweep.logs.patterns.endings import SCHEDULER, SIGKILL_NOTE, SYMPTOM
from nodesweep.logs.reading import Found, LogReading
from nodesweep.schedulers.base import End

SIGKILL_EXIT_CODES = (137, -9)
COMMAND_EXIT_CODES = {126: "a command could not be executed", 127: "a command was not found"}


@dataclass(frozen=True)
class Verdict:
    """How a run ended.

    `outcome`: ok, oom, timeout, nan, hang, node_failure, preempted, cancelled, launch_failed, crash or lost.
    `where`: "while building", "in iteration 1", "in training" or "after iteration k"; empty for runs that did their
    work or never started. `evidence`: the deciding line of the log with its number, or the scheduler's word. `rule`:
    the one that decided, in words.
    """

    outcome: str
    where: str = ""
    evidence: str = ""
    note: str = ""
    rule: str = ""


@dataclass(frozen=True)
class _Case:
    end: End
    reading: LogReading
    iterations_requested: int

    @property
    def last_iteration(self) -> int:
        return self.reading.iterations_done

    @property
    def where(self) -> str:
        return ending.where(self.reading)

    @cached_property
    def found(self) -> list[Found]:
        """The signatures that no other explains."""
        return ending.root_causes(self.reading.signatures)

    @property
    def scheduler_word(self) -> str:
        """What the scheduler says, as evidence."""
        code = "no exit code" if self.end.exit_code is None else f"exit code {self.end.exit_code}"
        return f"scheduler: {self.end.state or self.end.cause or 'ended'}, {code}"


def decide(end: End, reading: LogReading, iterations_requested: int) -> Verdict:
    """Name the outcome of one ended job."""
    case = _Case(end, reading, iterations_requested)
    return next(replace(verdict, rule=said) for said, rule in RULES if (verdict := rule(case)) is not None)


def _work_done(case: _Case) -> Verdict | None:
    """All requested iterations are there, or the trainer says that it finished, or all but what is never logged."""
    reading = case.reading
    finished_line = reading.training_finished_line or 0
    marked = bool(reading.iterations) and finished_line > (reading.training_started_line or 0)
    next_record = case.last_iteration + (reading.log_interval or 1)
    well = case.end.exit_code == 0 and case.end.cause is None and reading.iterations
    if (
        not marked
        and case.last_iteration < case.iterations_requested
        and not (well and next_record > case.iterations_requested)
    ):
        return None
    if reading.iterations[-1].is_nan:
        return _not_a_number(case)
    nan = sum(record.nan or record.lost for record in reading.iterations)
    notes = (
        _how_it_ended(case),
        f"{nan} nan iterations" if nan else "",
        f"iteration numbers went back {reading.restarts} times" if reading.restarts else "",
    )
    line = reading.iterations[-1].line
    evidence = f"line {line}: iteration {case.last_iteration} of {case.iterations_requested}"
    return Verdict("ok", "", evidence, "; ".join(note for note in notes if note))


def _not_a_number(case: _Case) -> Verdict | None:
    """The loss is not a number at the end; times measured before hold, the training does not."""
    records = case.reading.iterations
    if not records or not records[-1].is_nan:
        return None
    return Verdict("nan", case.where, ending.said_of_nan(case.reading))


def _how_it_ended(case: _Case) -> str:
    """What a reader should know of the end of a run whose iterations are all there."""
    if case.end.cause is not None:
        return f"scheduler says {case.end.state or case.end.cause}"
    if case.end.exit_code is None:
        return "exit code unknown"
    return f"crashed in cleanup (exit code {case.end.exit_code})" if case.end.exit_code else ""


def _scheduler_alone_knows(case: _Case) -> Verdict | None:
    if case.end.cause in ("node_failure", "preempted"):
        return _from_cause(case)
    return None


def _root_in_log(case: _Case) -> Verdict | None:
    """Out of memory or not a number, unless the log says that the scheduler had ended the job before."""
    first = ending.first_root(case.found)
    if first is None:
        return None
    note = f"scheduler says {case.end.state or case.end.cause}" if case.end.cause else ""
    return _from_log(case, first, "" if case.end.cause == "out_of_memory" else note)


def _scheduler_says(case: _Case) -> Verdict | None:
    return _from_cause(case) if case.end.cause not in (None, "lost") else None


def _command_unusable(case: _Case) -> Verdict | None:
    said = COMMAND_EXIT_CODES.get(case.end.exit_code) if case.end.exit_code is not None else None
    if said is None or case.reading.iterations or ending.nearest(case.found, SCHEDULER):
        return None
    missing = next((found for found in case.reading.signatures if found.signature.kind == "command_missing"), None)
    return Verdict("launch_failed", "", ending.said(missing) if missing else case.scheduler_word, said)


def _rest_of_log(case: _Case) -> Verdict | None:
    found = ending.nearest(case.found, SYMPTOM)
    if found is None:
        return None
    killed = found.signature.cause != "killed" and case.end.exit_code in SIGKILL_EXIT_CODES
    return _from_log(case, found, SIGKILL_NOTE if killed else "")


def _killed(case: _Case) -> Verdict | None:
    if case.end.exit_code not in SIGKILL_EXIT_CODES:
        return None
    return Verdict("crash", case.where, case.scheduler_word, SIGKILL_NOTE)


def _terminated(case: _Case) -> Verdict | None:
    """Only consequences are in the log: the earliest is the best evidence there is."""
    found = ending.nearest(case.found)
    return None if found is None or case.end.cause == "lost" else _from_log(case, found)


def _nothing_known(case: _Case) -> Verdict | None:
    if case.end.exit_code is not None and case.end.cause != "lost":
        return None
    return Verdict("lost", case.where, case.scheduler_word, "nobody recorded how the job ended")


def _bare_exit(case: _Case) -> Verdict:
    """Nobody says why: the last words of the log are the evidence."""
    reading = case.reading
    done = f"exit code {case.end.exit_code}, {case.last_iteration} of {case.iterations_requested} iterations in the log"
    said = f"line {reading.lines}: {reading.last_text}" if reading.last_text else case.scheduler_word
    return Verdict("crash", case.where, said, done)


def _from_cause(case: _Case) -> Verdict:
    """The scheduler's reason; where it left a line in the log that says the same, that is the better evidence."""
    outcome = OUTCOME_OF_CAUSE[str(case.end.cause)]
    by_scheduler = [found for found in case.reading.signatures if found.signature.precedence == SCHEDULER]
    lines = [ending.said(found) for found in by_scheduler if found.signature.outcome == outcome]
    line = lines[0] if lines else case.scheduler_word
    unstarted = outcome == "launch_failed" or (outcome == "cancelled" and not case.reading.lines)
    return Verdict(outcome, "" if unstarted else case.where, line)


def _from_log(case: _Case, found: Found, note: str = "") -> Verdict:
    outcome = found.signature.outcome
    notes = "; ".join(part for part in (found.signature.note, note) if part)
    return Verdict(outcome, "" if outcome == "launch_failed" else case.where, ending.said(found), notes)


RULES: tuple[tuple[str, Callable[[_Case], Verdict | None]], ...] = (
    ("the log has all iterations asked for, or the trainer says that it finished", _work_done),
    ("a failed node and a preemption are known to the scheduler alone", _scheduler_alone_knows),
    ("the log tells of memory or of NaN, and of nobody who had ended the job before", _root_in_log),
    ("the loss is not a number at the end", _not_a_number),
    ("the scheduler gives its reason", _scheduler_says),
    ("the command could not be started", _command_unusable),
    ("the log shows a failure, and the scheduler gives no reason", _rest_of_log),
    ("the exit code is that of SIGKILL, and the log shows no failure", _killed),
    ("nobody recorded an exit code, and the log shows no failure", _nothing_known),
    ("the log shows only consequences of a failure", _terminated),
    ("there is an exit code and nothing else", _bare_exit),
)
