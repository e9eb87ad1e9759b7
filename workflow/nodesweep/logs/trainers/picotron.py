"""picotron: its iteration lines. Source: picotron's train.py."""

from nodesweep.logs.patterns.regex import Pattern
from nodesweep.logs.patterns.rows import _END, COUNT, MIB, Line, Record, _human, figure

PICOTRON = Record(
    name="picotron",
    head=Line(("| Tokens/s/GPU: ",), Pattern(rf"(?<!\w)Step: (?P<number>{COUNT}) {{1,12}}\| Loss: ")),
    figures=(
        _human("loss", "Loss"),
        _human("global_batch_tokens", "Global batch size"),
        _human("tokens_per_second", "Tokens/s"),
        _human("tokens_per_second_per_rank", "Tokens/s/GPU"),
        figure("mfu_percent", "MFU", r"\| LABEL: {0,4}VALUE%"),
        figure("peak_reserved_mib", "Memory usage", rf"\| LABEL: {{0,4}}VALUE{_END}", units=MIB),
    ),
    derive="tokens",
)
