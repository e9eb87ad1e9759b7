"""The formats the reader knows: whose iteration lines they are, and which first records are no measurements.

Every format has examples under tests/logs/examples. Formats that share a kind of line are told apart by what else
it holds; of those, the first whose evidence is there names the log.
"""

from dataclasses import dataclass

from nodesweep.logs.patterns.endings import Success
from nodesweep.logs.patterns.regex import Pattern
from nodesweep.logs.patterns.rows import Line, Record

from .composer import COMPOSER
from .deepspeed import DEEPSPEED_STEPS, DEEPSPEED_TIMER
from .generic import UNKNOWN_TRAINER
from .maxtext import MAXTEXT
from .megatron import MEGATRON
from .nanotron import NANOTRON, NANOTRON_2025
from .nemo import NEMO_BAR, NEMO_DLLOGGER, NEMO_PRINTED, NEMO_UNTIMED_BAR
from .picotron import PICOTRON
from .torchtitan import TORCHTITAN
from .transformers import TRANSFORMERS, TRANSFORMERS_BAR

AUTO = "auto"


@dataclass(frozen=True)
class WarmUp:
    """Which first records of a run are no measurements: those ending within so many iterations, at least so many."""

    iterations: int
    records: int
    reason: str


@dataclass(frozen=True, eq=False)
class Format:
    """How a family of trainers writes its log.

    `evidence`: stands in its iteration lines and in no others of `record`. `starts`, `successes`: lines that say that
    training starts, or that all went well, beside those of all formats. `counts_recomputation`: whether its TFLOPs
    hold the work of recomputing activations.
    """

    name: str
    record: Record
    warm_up: WarmUp
    evidence: Pattern | None = None
    starts: tuple[Line, ...] = ()
    successes: tuple[Success, ...] = ()
    counts_recomputation: bool = False


FIRST = WarmUp(1, 1, "the first iteration also allocates, compiles and connects")
_FIRST_TWO = WarmUp(2, 1, "the first two iterations allocate, compile and connect")
_CHECKPOINT = WarmUp(
    2, 2, "the first iteration also allocates and connects; a checkpoint after it falls into the second"
)
_CONTAMINATED = WarmUp(1, 2, "timers are not reset after the first iteration: the second record holds it too")
_ASYNCHRONOUS = WarmUp(
    2, 1, "the first step compiles; the second is dispatched without waiting, and its time means little"
)
BUFFERED = WarmUp(5, 1, "step times are means over the last five steps: the first five hold the first")
_NONE = WarmUp(0, 0, "")

CONTAMINATED = "megatron-core-2026"
"""The format whose second record holds the first iteration too."""

FORMATS = {
    row.name: row
    for row in (
        Format("primus", MEGATRON, _CONTAMINATED, Pattern(r"\[rank-\d{1,7}/\d{1,7}\]|hip mem usage/")),
        Format("gpt-neox", MEGATRON, _CHECKPOINT, Pattern(r"approx flops per GPU: |\| lm_loss: ")),
        Format(CONTAMINATED, MEGATRON, _CONTAMINATED, Pattern(r"\[\d{4}-\d\d-\d\d [\d:]{8}\.\d{6}\] iteration ")),
        Format("megatron-core", MEGATRON, FIRST, Pattern(r"throughput per GPU|\[\d{4}-\d\d-\d\d [\d:]{8}\] iter")),
        Format(
            "megatron-deepspeed",
            MEGATRON,
            FIRST,
            Pattern(r"samples[ _]per[ _]second|consumed[ _]tokens|TFLOPs[:=]|lm-loss:"),
            counts_recomputation=True,
        ),
        Format("megatron-lm", MEGATRON, FIRST),
        Format("nanotron-2025", NANOTRON_2025, FIRST),
        Format("nanotron", NANOTRON, FIRST),
        Format("picotron", PICOTRON, _FIRST_TWO),
        Format("torchtitan", TORCHTITAN, _FIRST_TWO),
        Format("nemo-dllogger", NEMO_DLLOGGER, BUFFERED),
        Format("nemo-printed", NEMO_PRINTED, BUFFERED),
        Format("nemo-progress-bar", NEMO_BAR, BUFFERED),
        Format("nemo-untimed-bar", NEMO_UNTIMED_BAR, FIRST),
        Format("maxtext", MAXTEXT, _ASYNCHRONOUS),
        Format("composer", COMPOSER, FIRST),
        Format("transformers", TRANSFORMERS, FIRST),
        Format("deepspeed-steps", DEEPSPEED_STEPS, FIRST),
        Format("deepspeed-timer", DEEPSPEED_TIMER, _NONE),
        Format("transformers-progress-bar", TRANSFORMERS_BAR, FIRST),
        Format("unknown", UNKNOWN_TRAINER, _NONE),
    )
}


def recognised(record: Record, line: str) -> Format:
    """The format of a log whose iteration lines are of `record`, told by one of them."""
    rows = [row for row in FORMATS.values() if row.record is record]
    return next(row for row in rows if row.evidence is None or row.evidence.search(line))
