"""torchrun and other launchers of PyTorch: how many processes they start, and their good end.

What torchrun says of failures is the same for all trainers: see endings/signatures.py.
"""

from nodesweep.logs.patterns.endings import Success
from nodesweep.logs.patterns.lines import settings_line
from nodesweep.logs.patterns.regex import Pattern
from nodesweep.logs.patterns.trainer import Trainer

TRAINER = Trainer(
    settings=(
        settings_line("--nproc", r"--(?P<name>nproc[_-]per[_-]node)[ =]VALUE"),
        settings_line("--nnodes ", r"--(?P<name>nnodes) VALUE"),
        settings_line("nproc_per_node ", r"(?<=  )(?P<name>nproc_per_node) {1,12}: VALUE"),
    ),
    successes=(Success("torchrun", "script", (" successfully",), Pattern(r"finished successfully \(code 0\)")),),
)
