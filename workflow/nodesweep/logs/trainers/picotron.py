"""picotron. Source: picotron's train.py."""

from nodesweep.logs.patterns.endings import Success
from nodesweep.logs.patterns.lines import IterationPattern, LinePattern
from nodesweep.logs.patterns.quantities import BAR_END, COUNT, MIB_OF_UNIT, quantity, suffixed_quantity
from nodesweep.logs.patterns.regex import Pattern
from nodesweep.logs.patterns.trainer import FIRST_TWO, Format, Trainer

_ITERATION = IterationPattern(
    name="picotron",
    head=LinePattern(("| Tokens/s/GPU: ",), Pattern(rf"(?<!\w)Step: (?P<number>{COUNT}) {{1,12}}\| Loss: ")),
    quantities=(
        suffixed_quantity("loss", "Loss"),
        suffixed_quantity("global_batch_tokens", "Global batch size"),
        suffixed_quantity("tokens_per_second", "Tokens/s"),
        suffixed_quantity("tokens_per_second_per_rank", "Tokens/s/GPU"),
        quantity("mfu_percent", "MFU", r"\| LABEL: {0,4}VALUE%"),
        quantity("peak_reserved_mib", "Memory usage", rf"\| LABEL: {{0,4}}VALUE{BAR_END}", units=MIB_OF_UNIT),
    ),
    derive="tokens",
)

TRAINER = Trainer(
    formats=(Format("picotron", _ITERATION, FIRST_TWO),),
    successes=(
        Success(
            "picotron",
            "trainer",
            ("| Tokens/s/GPU: ",),
            Pattern(r"\| Tokens: {1,6}(\d{1,4}(?:\.\d{1,3})?[KMBT]?)/\1 \|"),
        ),
    ),
)
