"""DeepSpeed's launcher: how many processes it starts, and how they end. Source: DeepSpeed's launcher/launch.py."""

from nodesweep.logs.patterns.endings import TERMINATED, Success, signature
from nodesweep.logs.patterns.lines import settings_line
from nodesweep.logs.patterns.regex import Pattern
from nodesweep.logs.patterns.trainer import Trainer

TRAINER = Trainer(
    settings=(
        settings_line("num_local_procs=", r"(?P<name>num_local_procs)=VALUE"),
        settings_line("nnodes=", r"(?P<name>nnodes)=VALUE"),
    ),
    successes=(Success("deepspeed", "process", (" successfully",), Pattern(r"Process \d{1,9} exits successfully")),),
    signatures=(
        signature("launcher_terminated", "cancelled", TERMINATED, "SIGTERM", "Main process received SIGTERM, exiting"),
    ),
)
