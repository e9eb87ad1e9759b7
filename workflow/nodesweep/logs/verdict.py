"""How a run ended as its log alone tells it, and what of that a scheduler's word is weighed against.

The work done decides first: what comes after the end of a training is noise. Then what only a scheduler can say (a
node failed, the job was preempted), then out of memory and not a number, then a time limit, then the first failure.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from nodesweep.common.outcomes import OUTCOME_OF_CAUSE, Cause
from nodesweep.logs.patterns.endings import CONSEQUENCE, FAILURE, ROOT, SCHEDULER, SYMPTOM

from .reading import Found, Iteration, LogReading, Seen

# An entry of torchrun's report, as it stands in plain text: of all processes, the ones it ended itself among them.
_REPORTED = re.compile(r"(?:^|[ \]:])(?:exitcode : |traceback : Signal )")
# What torchrun and DeepSpeed's launcher say of the first process that failed.
_LAUNCHED = re.compile(r"failed \(exitcode: |return code = ")
_REPORT_LINES = 40


@dataclass(frozen=True)
class LogVerdict:
    """How a log ends.

    `cause`: why, as finely as the log tells; "truncated" where it simply stops. `outcome`, `where`, `evidence`, `note`:
    as in `Verdict`; a log that is truncated is "lost".
    """

    cause: Cause
    outcome: str
    where: str = ""
    evidence: str = ""
    note: str = ""


def from_log(reading: LogReading) -> LogVerdict:
    """Name the outcome of a run of which there is nothing but the log."""
    found = root_causes(reading.signatures)
    latest = max(reading.iterations, key=lambda record: (record.line, record.number), default=None)
    done = _done(reading, found, latest)
    if done and latest and latest.is_nan:
        return _not_a_number(reading)
    if done:
        return done
    decisive = [item for item in found if item.signature.cause in ("node_failure", "preempted")]
    root = decisive[0] if decisive else first_root(found)
    if root is None and latest and latest.is_nan:
        return _not_a_number(reading)
    root = root or nearest(found)
    if root is None:
        last = f"line {reading.lines}: {reading.last_text}" if reading.last_text else ""
        return LogVerdict("truncated", "lost", where(reading), last, "the log simply ends")
    if root.signature.precedence == CONSEQUENCE:
        note = root.signature.note or "only consequences of a failure are in the log"
        return LogVerdict("crash", "crash", where(reading), said(root), note)
    cause, outcome = root.signature.cause, root.signature.outcome
    return LogVerdict(
        cause, outcome, "" if outcome == "launch_failed" else where(reading), said(root), root.signature.note
    )


def where(reading: LogReading) -> str:
    """How far a run came."""
    if reading.iterations:
        return f"after iteration {reading.iterations[-1].number}"
    if reading.training_started_line is not None:
        return "in iteration 1"
    return "while building" if reading.training_line is None else "in training"


def said(found: Found | Seen) -> str:
    """A line of the log as evidence."""
    return f"line {found.line}: {found.text}"


def said_of_nan(reading: LogReading) -> str:
    """The first iteration that was not a number, as evidence."""
    first = next(record for record in reading.iterations if record.is_nan)
    counted = first.nan and reading.format is not None and reading.format.record.leaves_out_nan
    what = "has nan iterations" if counted else "has no loss that is a number"
    return f"line {first.line}: iteration {first.number} {what}"


def root_causes(signatures: Sequence[Found]) -> list[Found]:
    """The signatures without those that others explain.

    A torchrun report lists processes that torchrun itself ended: only its root entry counts. A cancellation counts
    unless something failed before it, for launchers and users end what has failed, and the signals after it are its
    work; and it does not count where another line gives the scheduler's reason.
    """
    found = _first_observed(list(signatures))
    failed = min((item.line for item in found if _fails(item)), default=None)
    ended = min((item.line for item in found if item.signature.cause == "cancelled"), default=None)
    reasoned = any(item.signature.precedence == SCHEDULER and item.signature.cause != "cancelled" for item in found)
    if reasoned or (ended is not None and failed is not None and failed < ended):
        found = [item for item in found if item.signature.cause != "cancelled"]
    return [item for item in found if ended is None or item.line < ended or not _signalled(item)]


def first_root(found: Sequence[Found]) -> Found | None:
    """The first line that tells of memory or of NaN, unless the log says that the job had been ended before it."""
    first = next((item for item in found if item.signature.precedence == ROOT), None)
    if first is None or any(_ends(item) and item.line < first.line for item in found):
        return None
    return first


def nearest(found: Sequence[Found], highest: int = CONSEQUENCE) -> Found | None:
    """The signature nearest to the root, if its precedence is at most `highest`."""
    near = [item for item in found if item.signature.precedence <= highest]
    return min(near, key=lambda item: (item.signature.precedence, item.line), default=None)


def _first_observed(found: list[Found]) -> list[Found]:
    """Of the exit codes in reports only those of the first failure, if the log says which it was."""
    reported = [item for item in found if _REPORTED.search(item.text)]
    roots = [item.line for item in found if item.signature.kind == "torchrun_root"]
    firsts = [next((item for item in reported if line < item.line <= line + _REPORT_LINES), None) for line in roots]
    if not any(firsts) and not any(_LAUNCHED.search(item.text) for item in found):
        return found
    return [item for item in found if item not in reported or item in firsts]


def _fails(item: Found) -> bool:
    """Whether a line shows a failure of the job's own: a crash by whatever name, no lost peer and no cancellation."""
    signature = item.signature
    remote = signature.precedence == SYMPTOM and signature.cause == "nccl_error"
    return signature.precedence not in (SCHEDULER, CONSEQUENCE) and signature.cause != "cancelled" and not remote


def _signalled(item: Found) -> bool:
    """Whether a line shows a signal or what one leaves behind."""
    return item.signature.cause == "killed" or item.signature.precedence == SYMPTOM


def _ends(item: Found) -> bool:
    """Whether a line says that somebody ended the job."""
    signature = item.signature
    return signature.precedence == SCHEDULER or (signature.precedence == FAILURE and signature.cause == "cancelled")


def _done(reading: LogReading, found: list[Found], latest: Iteration | None) -> LogVerdict | None:
    """All iterations are there, or the log says that the work was done, and no run started since."""
    started = reading.training_started_line or 0
    signs = [seen for seen in reading.successes if seen.line > started and _holds(seen, found)]
    if latest and reading.all_done and latest.line > started and not (_is_bar(reading) and found):
        end, evidence, notes = latest.line, f"line {latest.line}: iteration {latest.number} of {latest.total}", []
    elif signs:
        end, evidence, notes = signs[-1].line, said(signs[-1]), _doubts(reading, signs[-1], latest)
    else:
        return None
    later = next((item for item in found if item.line > end and item.signature.precedence < CONSEQUENCE), None)
    if later:
        notes = [*notes, f"after the end: {said(later)}"]
    trained = latest is not None or any(seen.success.trained for seen in reading.successes)
    return LogVerdict("ok" if trained else "ok_no_iterations", "ok", "", evidence, "; ".join(notes))


def _is_bar(reading: LogReading) -> bool:
    """Whether the total is that of a progress bar, which another program may have drawn, or that of an epoch."""
    return reading.format is not None and (reading.format.record.is_bar or reading.format.record.counts_epochs)


def _doubts(reading: LogReading, seen: Seen, latest: Iteration | None) -> list[str]:
    """What the log lacks of a run that is said to have ended well."""
    doubts = []
    if latest and latest.total and not reading.all_done:
        doubts.append(f"iteration {latest.number} of {latest.total} is the last in the log")
    if seen.success.said_by == "process" and seen.count < (reading.world_size or 0):
        doubts.append(f"{seen.count} of {reading.world_size} processes say that they ended well")
    return doubts


def _holds(seen: Seen, found: list[Found]) -> bool:
    """Whether a sign of success stands: a trainer's does; one process's does not where another failed."""
    if seen.success.said_by == "trainer":
        return True
    before = seen.line if seen.success.said_by == "script" else float("inf")
    return not any(
        item.signature.precedence < CONSEQUENCE and item.line < before and not _of_another_attempt(item, seen)
        for item in found
    )


def _of_another_attempt(item: Found, seen: Seen) -> bool:
    """Whether a scheduler ended its job before the sign was seen: a job that was submitted again goes on in the log."""
    return item.signature.precedence == SCHEDULER and item.line < seen.line


def _not_a_number(reading: LogReading) -> LogVerdict:
    """The loss is not a number at the end; times measured before hold, the training does not."""
    return LogVerdict("nan_loss", OUTCOME_OF_CAUSE["nan_loss"], where(reading), said_of_nan(reading))
