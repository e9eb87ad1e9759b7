"""Rows for lines that show how a run ended: signatures of failures, and words of success."""

import re
from dataclasses import dataclass
from typing import Literal

from nodesweep.common.outcomes import OUTCOME_OF_CAUSE, Cause, known_cause
from nodesweep.common.text_pattern import TextPattern

from .regex import Pattern

# SCHEDULER: it says why it ended the job. ROOT: nothing of a job's own lies deeper. FAILURE: the first of them is the
# root. SYMPTOM: a signal or a lost peer, the root only where no failure says more. TERMINATED: asked to end.
SCHEDULER, ROOT, FAILURE, SYMPTOM, TERMINATED, CONSEQUENCE = range(6)

SIGKILL_NOTE = "killed by SIGKILL; the host's OOM killer is likely"


@dataclass(frozen=True)
class Signature:
    """A way to fail: `kind` is unique, `cause` what it means where it is the root, `note` what a reader should add.

    `cause`: "killed" is SIGKILL by an unknown hand; "consequence" is what another failure does, and no cause.
    `markers`: plain texts; a line without any of them need not be tried.
    """

    kind: str
    cause: Cause
    precedence: int
    markers: tuple[str, ...]
    pattern: Pattern
    note: str = ""

    @property
    def outcome(self) -> str:
        """The name of the outcome that the cause belongs to."""
        return OUTCOME_OF_CAUSE[self.cause]


def signature(
    kind: str, cause: Cause, precedence: int, markers: str | tuple[str, ...], pattern: str | None = None, note: str = ""
) -> Signature:
    """A signature; without a pattern the markers themselves are looked for."""
    markers = (markers,) if isinstance(markers, str) else markers
    pattern = pattern or "|".join(re.escape(marker) for marker in markers)
    return Signature(
        kind,
        known_cause(cause),
        precedence,
        markers,
        Pattern(pattern),
        note or (SIGKILL_NOTE if cause == "killed" else ""),
    )


@dataclass(frozen=True)
class Success:
    """A way to say that all went well: `kind` is unique.

    `source`: "trainer" for words about the whole run; "script" for words that a job script may print whatever became of
    the trainer; "process" for those of one process of many. `trained`: the line holds figures of a training, so that
    there was one though the log shows no iteration.
    `markers`: plain texts; a line without any of them need not be tried.
    """

    kind: str
    source: Literal["trainer", "script", "process"]
    markers: tuple[str, ...]
    pattern: Pattern | TextPattern
    trained: bool = False
