"""The rows that describe a trainer: the formats of its log, and all else that is known of what it prints."""

from dataclasses import dataclass

from .endings import Signature, Success
from .lines import (
    ArgumentDumpLine,
    IterationPattern,
    LinePattern,
    MemoryReport,
    NodeMemoryReport,
    RunTotal,
    SettingsLine,
    StartLine,
    WorldSizeLine,
)
from .regex import Pattern


@dataclass(frozen=True)
class WarmUp:
    """Which first records of a run are no measurements: those ending within so many iterations, at least so many.

    `are_means`: where times are means over the last iterations; if the times contradict that, the rule is FIRST.
    """

    iterations: int
    records: int
    reason: str
    are_means: bool = False


NONE = WarmUp(0, 0, "")
FIRST = WarmUp(1, 1, "the first iteration also allocates, compiles and connects")
FIRST_TWO = WarmUp(2, 1, "the first two iterations allocate, compile and connect")
CHECKPOINT = WarmUp(
    2, 2, "the first iteration also allocates and connects; a checkpoint after it falls into the second"
)
SECOND_HOLDS_FIRST = WarmUp(1, 2, "timers are not reset after the first iteration: the second record holds it too")
ASYNCHRONOUS = WarmUp(
    2, 1, "the first step compiles; the second is dispatched without waiting, and its time means little"
)
MEANS_OF_FIVE = WarmUp(
    5, 1, "step times are means over the last five steps: the first five hold the first", are_means=True
)


@dataclass(frozen=True, eq=False)
class Format:
    """How a trainer, or a generation of it, writes its iterations.

    `evidence`: stands in its iteration lines and in no others of `iteration`; None for the format of all other such
    lines. `before`: of two formats of one `iteration` whose evidence may stand in the same line, the one that is tried
    later. `starts`, `successes`: lines of a format that a user has described. `counts_recomputation`: whether its
    TFLOPs hold the work of recomputing activations.
    """

    name: str
    iteration: IterationPattern
    warm_up: WarmUp
    evidence: Pattern | None = None
    before: str = ""
    starts: tuple[LinePattern, ...] = ()
    successes: tuple[Success, ...] = ()
    counts_recomputation: bool = False


@dataclass(frozen=True, eq=False)
class Trainer:
    """All that is known of one trainer, or of a launcher of trainers; what it does not print is left out.

    `formats`: of its iterations. `settings`: lines that say how a run is laid out. `totals`: quantities of the whole
    run. `memory_reports`: peaks of ranks and nodes. `world_size`, `argument_dump`: of processes and arguments.
    `starts`: lines that say that training starts, or only come once it has begun. `successes`: lines that say that the
    work was done. `signatures`: failures that only this trainer words so; those of all are in endings/signatures.py.
    """

    formats: tuple[Format, ...] = ()
    settings: tuple[SettingsLine, ...] = ()
    totals: tuple[RunTotal, ...] = ()
    memory_reports: tuple[MemoryReport | NodeMemoryReport, ...] = ()
    world_size: tuple[WorldSizeLine, ...] = ()
    argument_dump: tuple[ArgumentDumpLine, ...] = ()
    starts: tuple[StartLine, ...] = ()
    successes: tuple[Success, ...] = ()
    signatures: tuple[Signature, ...] = ()
