"""MaxText: its iteration lines. Source: MaxText's metric_logger.py."""

from nodesweep.logs.patterns.regex import Pattern
from nodesweep.logs.patterns.rows import COUNT, Line, Record, figure

_LISTED = r"[ ,]LABEL: VALUE[,\s]"

MAXTEXT = Record(
    name="maxtext",
    head=Line(("completed step: ",), Pattern(rf"completed step: (?P<number>{COUNT}),")),
    figures=(
        figure("seconds", "seconds", _LISTED),
        figure("tflops", "TFLOP/s/device", _LISTED),
        figure("tflops", "TFLOP/s", _LISTED),
        figure("tokens_per_second_per_rank", "Tokens/s/device", _LISTED),
        figure("loss", "loss", r"[ ,]LABEL:? VALUE[,\s]"),
    ),
    first_number=0,
    logs_first=True,
    needed=frozenset({"seconds"}),
)
