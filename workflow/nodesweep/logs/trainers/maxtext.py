"""MaxText: its iteration lines and memory statistics. Sources: MaxText's metric_logger.py and max_utils.py."""

from nodesweep.logs.patterns.lines import IterationPattern, LinePattern, RunTotal
from nodesweep.logs.patterns.quantities import COUNT, NUMBER, quantity
from nodesweep.logs.patterns.regex import Pattern
from nodesweep.logs.patterns.trainer import ASYNCHRONOUS, Format, Trainer

_LISTED = r"[ ,]LABEL: VALUE[,\s]"

_ITERATION = IterationPattern(
    name="maxtext",
    head=LinePattern(("completed step: ",), Pattern(rf"completed step: (?P<number>{COUNT}),")),
    quantities=(
        quantity("seconds", "seconds", _LISTED),
        quantity("tflops", "TFLOP/s/device", _LISTED),
        quantity("tflops", "TFLOP/s", _LISTED),
        quantity("tokens_per_second_per_rank", "Tokens/s/device", _LISTED),
        quantity("loss", "loss", r"[ ,]LABEL:? VALUE[,\s]"),
    ),
    first_number=0,
    logs_first=True,
    needed=frozenset({"seconds"}),
)

TRAINER = Trainer(
    formats=(Format("maxtext", _ITERATION, ASYNCHRONOUS),),
    totals=(
        RunTotal("Using (GB) ", quantity("memstats_used_gb", "Using (GB)", r"LABEL VALUE / "), "highest"),
        RunTotal("Using (GB) ", quantity("memstats_limit_gb", "Using (GB)", rf"LABEL {NUMBER} / VALUE \("), "highest"),
    ),
)
