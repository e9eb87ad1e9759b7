"""GPT-NeoX: a fork of Megatron-LM. Source: megatron/logging.py of GPT-NeoX."""

from nodesweep.logs.patterns.lines import ArgumentDumpLine, LinePattern
from nodesweep.logs.patterns.regex import Pattern
from nodesweep.logs.patterns.trainer import CHECKPOINT, Format, Trainer

from .megatron import ITERATION

TRAINER = Trainer(
    formats=(
        Format(
            "gpt-neox",
            ITERATION,
            CHECKPOINT,
            evidence=Pattern(r"approx flops per GPU: |\| lm_loss: "),
            before="megatron-core-2026",
        ),
    ),
    # Each argument says whether it was given: the dump is recognised by that even where its first line is gone.
    argument_dump=(
        ArgumentDumpLine(LinePattern((".updated", ".default"), Pattern(r"^ {2}[A-Za-z_]\w{0,80} [ .]")), "any"),
    ),
)
