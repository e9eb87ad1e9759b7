"""Primus: AMD's trainer, which prints what Megatron-LM prints and the memory of a device by HIP."""

from nodesweep.logs.patterns.lines import RunTotal
from nodesweep.logs.patterns.quantities import NUMBER, quantity
from nodesweep.logs.patterns.regex import Pattern
from nodesweep.logs.patterns.trainer import SECOND_HOLDS_FIRST, Format, Trainer

from .megatron import ITERATION

TRAINER = Trainer(
    formats=(
        Format(
            "primus",
            ITERATION,
            SECOND_HOLDS_FIRST,
            evidence=Pattern(r"\[rank-\d{1,7}/\d{1,7}\]|hip mem usage/"),
            before="gpt-neox",
        ),
    ),
    totals=(
        RunTotal(
            "hip mem usage/free/total",
            quantity("hip_mem_usage_gb", "hip mem usage", r"LABEL/[\w/]{1,40}: VALUEGB/"),
            "highest",
        ),
        RunTotal(
            "hip mem usage/free/total",
            quantity("hip_mem_total_gb", "hip mem usage", rf"LABEL/[\w/]{{1,40}}: {NUMBER}GB/{NUMBER}GB/VALUEGB/"),
        ),
    ),
)
