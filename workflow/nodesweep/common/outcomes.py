"""How a run can end: one row an outcome; whatever depends on an outcome reads its row.

Schedulers and logs give causes, which are finer; each cause belongs to one outcome.
"""

from dataclasses import dataclass
from typing import Literal

Cause = str
"""Why a run ended, as finely as a scheduler or a log tells; a key of OUTCOME_OF_CAUSE."""


@dataclass(frozen=True)
class Outcome:
    """A way to end.

    `causes`: what schedulers and logs call it. `meaning`: a sentence for people. `colour`: of the word on a terminal.
    `ran`: False for a layout that no job was submitted for. `runs_again`: whether the next invocation may run the
    layout again (`rerun` of a config, all of them by default). `retried`: whether the same invocation submits it again.
    `peak_memory`: what the highest memory of such a run is: all that it needed, more than there was ("exceeded"),
    only what it had used when it ended ("so far"), or what part of its work needed, nobody knows which ("unknown").
    """

    name: str
    meaning: str
    causes: tuple[Cause, ...] = ()
    colour: Literal["green", "yellow", "red", "dim"] = "red"
    ran: bool = True
    runs_again: bool = False
    retried: bool = False
    peak_memory: Literal["needed", "exceeded", "so far", "unknown"] = "so far"

    @property
    def is_result(self) -> bool:
        """Whether the run did its work, so that its time stands for its layout."""
        return self.peak_memory == "needed"


OUTCOMES = {
    row.name: row
    for row in (
        Outcome(
            "ok",
            "did its iterations, all or as many as were enough",
            causes=("ok", "ok_no_iterations"),
            colour="green",
            peak_memory="needed",
        ),
        Outcome(
            "unread",
            "ended well, and its log could not be read",
            causes=("log_unread", "log_torn"),
            colour="yellow",
            peak_memory="unknown",
        ),
        Outcome(
            "oom",
            "ran out of memory",
            causes=("out_of_memory", "oom_gpu", "oom_host"),
            colour="yellow",
            peak_memory="exceeded",
        ),
        Outcome("timeout", "was ended at its time limit", causes=("time_limit",), colour="yellow"),
        Outcome("nan", "its loss is not a number", causes=("nan_loss",)),
        Outcome("hang", "stood still", causes=("hang", "nccl_timeout"), runs_again=True),
        Outcome("node_failure", "lost a node", causes=("node_failure",), runs_again=True, retried=True),
        Outcome("preempted", "had to make room for another job", causes=("preempted",), runs_again=True, retried=True),
        Outcome("cancelled", "was ended by somebody", causes=("cancelled",), runs_again=True),
        Outcome("setup_failed", "its set-up failed before the launch", causes=("setup_failed",), runs_again=True),
        Outcome("launch_failed", "never started", causes=("launch_failed",), runs_again=True),
        Outcome(
            "crash",
            "failed",
            causes=("crash", "killed", "nccl_error", "mpi_error", "consequence"),
            runs_again=True,
        ),
        Outcome("lost", "nobody recorded how it ended", causes=("lost", "truncated"), runs_again=True),
        Outcome("pruned", "not run: it cannot fit into memory", colour="dim", ran=False),
        Outcome(
            "skipped",
            "not run: the budget, the search or `repeats` leaves it out",
            colour="dim",
            ran=False,
        ),
    )
}
"""Every outcome by name."""

OUTCOME_OF_CAUSE: dict[Cause, str] = {cause: row.name for row in OUTCOMES.values() for cause in row.causes}
"""The outcome that a cause belongs to."""
NOT_RUN = tuple(row.name for row in OUTCOMES.values() if not row.ran)
"""Outcomes of layouts that no job was submitted for."""
RUN_AGAIN = tuple(sorted(row.name for row in OUTCOMES.values() if row.runs_again))
"""Outcomes after which a layout may run again."""
RETRIED = tuple(row.name for row in OUTCOMES.values() if row.retried)
"""Outcomes after which the same invocation submits a layout again."""


def is_result(outcome: str | None) -> bool:
    """Whether a run that ended so did its work; False for an outcome that is unknown or from elsewhere."""
    return outcome in OUTCOMES and OUTCOMES[outcome].is_result


def has_failed(outcome: str | None) -> bool:
    """Whether it is known that a run did not do its work, so that its peak of memory is not what it needs."""
    return outcome in OUTCOMES and OUTCOMES[outcome].peak_memory in ("exceeded", "so far")


def is_undecided(outcome: str | None) -> bool:
    """Whether a run ended well and nobody could read how much of its work it did, nor so what its memory was for."""
    return outcome in OUTCOMES and OUTCOMES[outcome].peak_memory == "unknown"


def known_cause(cause: Cause) -> Cause:
    """A cause as it is; raises ValueError for one that belongs to no outcome."""
    if cause not in OUTCOME_OF_CAUSE:
        raise ValueError(f"{cause!r} is the cause of no outcome; known causes: {', '.join(OUTCOME_OF_CAUSE)}")
    return cause
