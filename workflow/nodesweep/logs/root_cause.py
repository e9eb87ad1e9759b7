"""What in a log explains how its run ended: the failures that no other failure explains, and how far the run came."""

import re
from collections.abc import Sequence

from nodesweep.logs.patterns.endings import CONSEQUENCE, FAILURE, ROOT, SCHEDULER, SYMPTOM

from .reading import LogReading, SeenFailure, SeenSuccess

# An entry of torchrun's report, as it stands in plain text: of all processes, the ones it ended itself among them.
_REPORTED = re.compile(r"(?:^|[ \]:])(?:exitcode : |traceback : Signal )")
# What torchrun and DeepSpeed's launcher say of the first process that failed.
_LAUNCHED = re.compile(r"failed \(exitcode: |return code = ")
_REPORT_LINES = 40


def progress(reading: LogReading) -> str:
    """How far a run came."""
    if reading.iterations:
        return f"after iteration {reading.iterations[-1].number}"
    if reading.training_started_line is not None:
        return "in iteration 1"
    return "while building" if reading.training_line is None else "in training"


def evidence(seen: SeenFailure | SeenSuccess) -> str:
    """A line of the log, with its number."""
    return f"line {seen.line}: {seen.text}"


def evidence_of_nan(reading: LogReading) -> str:
    """The first iteration whose loss was not a number, with its line."""
    first = next(record for record in reading.iterations if record.is_nan)
    counted = first.nan and reading.format is not None and reading.format.iteration.leaves_out_nan
    what = "has nan iterations" if counted else "has no loss that is a number"
    return f"line {first.line}: iteration {first.number} {what}"


def root_causes(signatures: Sequence[SeenFailure]) -> list[SeenFailure]:
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


def first_root(found: Sequence[SeenFailure]) -> SeenFailure | None:
    """The first line that shows memory running out or a NaN, unless the log shows an earlier end of the job."""
    first = next((item for item in found if item.signature.precedence == ROOT), None)
    if first is None or any(_ends(item) and item.line < first.line for item in found):
        return None
    return first


def nearest(found: Sequence[SeenFailure], highest: int = CONSEQUENCE) -> SeenFailure | None:
    """The signature nearest to the root, if its precedence is at most `highest`."""
    near = [item for item in found if item.signature.precedence <= highest]
    return min(near, key=lambda item: (item.signature.precedence, item.line), default=None)


def _first_observed(found: list[SeenFailure]) -> list[SeenFailure]:
    """Of the exit codes in reports only those of the first failure, if the log says which it was."""
    reported = [item for item in found if _REPORTED.search(item.text)]
    roots = [item.line for item in found if item.signature.kind == "torchrun_root"]
    firsts = [next((item for item in reported if line < item.line <= line + _REPORT_LINES), None) for line in roots]
    if not any(firsts) and not any(_LAUNCHED.search(item.text) for item in found):
        return found
    return [item for item in found if item not in reported or item in firsts]


def _fails(item: SeenFailure) -> bool:
    """Whether a line shows a failure of the job's own: a crash by whatever name, no lost peer and no cancellation."""
    signature = item.signature
    remote = signature.precedence == SYMPTOM and signature.cause == "nccl_error"
    return signature.precedence not in (SCHEDULER, CONSEQUENCE) and signature.cause != "cancelled" and not remote


def _signalled(item: SeenFailure) -> bool:
    """Whether a line shows a signal or what one leaves behind."""
    return item.signature.cause == "killed" or item.signature.precedence == SYMPTOM


def _ends(item: SeenFailure) -> bool:
    """Whether a line says that somebody ended the job."""
    signature = item.signature
    return signature.precedence == SCHEDULER or (signature.precedence == FAILURE and signature.cause == "cancelled")
