"""Megatron-DeepSpeed and its forks (Microsoft, BigScience, Argonne, DeepSpeedFugaku).

Source: training_log() and report_memory() of each. TFLOPs count the recomputation of activations too.
"""

from nodesweep.logs.patterns.lines import LinePattern, NodeMemoryReport
from nodesweep.logs.patterns.quantities import COUNT, NUMBER
from nodesweep.logs.patterns.regex import Pattern
from nodesweep.logs.patterns.trainer import FIRST, Format, Trainer

from .megatron import ITERATION

TRAINER = Trainer(
    formats=(
        Format(
            "megatron-deepspeed",
            ITERATION,
            FIRST,
            evidence=Pattern(r"samples[ _]per[ _]second|consumed[ _]tokens|TFLOPs[:=]|lm-loss:"),
            counts_recomputation=True,
        ),
    ),
    memory_reports=(
        NodeMemoryReport(
            LinePattern(
                ("CPU memory (MB) | used: ",),
                Pattern(
                    rf"(?:\[Rank (?P<rank>\d{{1,9}})\] )?\(after {COUNT} iterations\) CPU memory \(MB\) "
                    rf"\| used: (?P<used>{NUMBER}) \|"
                ),
            )
        ),
    ),
)
