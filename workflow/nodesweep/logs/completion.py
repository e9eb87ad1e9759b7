"""Whether a log shows that its run did its work, where nobody knows how many iterations were asked for."""

from collections.abc import Sequence
from dataclasses import dataclass

from nodesweep.logs.patterns.endings import CONSEQUENCE, SCHEDULER

from .reading import Iteration, LogReading, SeenFailure, SeenSuccess
from .root_cause import evidence


@dataclass(frozen=True)
class Completion:
    """The line that shows that the work was done, and what a reader should know of it.

    `has_trained`: whether the log shows that there was a training; one resumed when it was finished has none.
    """

    evidence: str
    note: str
    has_trained: bool


def completion(reading: LogReading, failures: Sequence[SeenFailure]) -> Completion | None:
    """How the log shows that the work was done and that no run started since; None where it does not.

    `failures`: root causes of the log.
    """
    latest = reading.latest
    started = reading.training_started_line or 0
    signs = [seen for seen in reading.successes if seen.line > started and _holds(seen, failures)]
    if latest and reading.all_done and latest.line > started and not (_has_doubtful_total(reading) and failures):
        end, shown, notes = latest.line, f"line {latest.line}: iteration {latest.number} of {latest.total}", []
    elif signs:
        end, shown, notes = signs[-1].line, evidence(signs[-1]), _doubts(reading, signs[-1], latest)
    else:
        return None
    later = next((item for item in failures if item.line > end and item.signature.precedence < CONSEQUENCE), None)
    if later:
        notes = [*notes, f"after the end: {evidence(later)}"]
    trained = latest is not None or any(seen.success.trained for seen in reading.successes)
    return Completion(shown, "; ".join(notes), trained)


def _has_doubtful_total(reading: LogReading) -> bool:
    """Whether the total is that of a progress bar, which another program may have drawn, or that of an epoch."""
    form = reading.format
    return form is not None and (form.iteration.is_bar or form.iteration.counts_epochs)


def _doubts(reading: LogReading, seen: SeenSuccess, latest: Iteration | None) -> list[str]:
    """What the log lacks of a run that ended well by its own words."""
    doubts = []
    if latest and latest.total and not reading.all_done:
        doubts.append(f"iteration {latest.number} of {latest.total} is the last in the log")
    if seen.success.source == "process" and seen.count < (reading.world_size or 0):
        doubts.append(f"{seen.count} of {reading.world_size} processes say that they ended well")
    return doubts


def _holds(seen: SeenSuccess, failures: Sequence[SeenFailure]) -> bool:
    """Whether words of success count: a trainer's always do; one process's do not where another failed."""
    if seen.success.source == "trainer":
        return True
    before = seen.line if seen.success.source == "script" else float("inf")
    return not any(
        item.signature.precedence < CONSEQUENCE and item.line < before and not _of_another_attempt(item, seen)
        for item in failures
    )


def _of_another_attempt(item: SeenFailure, seen: SeenSuccess) -> bool:
    """Whether a scheduler ended its job before the words of success: a requeued job goes on in the same log."""
    return item.signature.precedence == SCHEDULER and item.line < seen.line
