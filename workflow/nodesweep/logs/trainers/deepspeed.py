"""DeepSpeed: its step timer and pipeline engine. Sources: DeepSpeed's utils/timer.py and pipeline engine."""

from nodesweep.logs.patterns.regex import Pattern
from nodesweep.logs.patterns.rows import COUNT, Line, Record, figure

DEEPSPEED_STEPS = Record(
    name="deepspeed-steps",
    head=Line(("iter time (s): ",), Pattern(rf"(?<!\w)steps: (?P<number>{COUNT}) loss: ")),
    figures=(
        figure("loss", "loss", r" LABEL: VALUE "),
        figure("seconds", "iter time (s)", r" LABEL: VALUE\s"),
        figure("samples_per_second", "samples/sec", r" LABEL: VALUE\s"),
    ),
    rank=1,
)

DEEPSPEED_TIMER = Record(
    name="deepspeed-timer",
    head=Line(
        ("SamplesPerSec=",),
        Pattern(rf"(?:/global_step=|\] {COUNT}/)(?P<number>{COUNT}), (?=(?:RunningAvg)?SamplesPerSec=)"),
    ),
    figures=(
        figure("samples_per_second", "CurrSamplesPerSec", r" LABEL=VALUE[,\s]"),
        figure("samples_per_second", "SamplesPerSec", r" LABEL=VALUE[,\s]"),
        figure("samples_per_second", "RunningAvgSamplesPerSec", r" LABEL=VALUE[,\s]"),
    ),
    rank=1,
)
