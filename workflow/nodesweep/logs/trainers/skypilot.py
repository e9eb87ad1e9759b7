"""SkyPilot: the end of a job that it launched."""

from nodesweep.logs.patterns.endings import Success
from nodesweep.logs.patterns.regex import Pattern
from nodesweep.logs.patterns.trainer import Trainer

TRAINER = Trainer(
    successes=(
        Success("skypilot", "script", ("(status: SUCCEEDED)",), Pattern(r"Job finished \(status: SUCCEEDED\)")),
    ),
)
