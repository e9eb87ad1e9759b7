"""What trainers outside Megatron's family print for an iteration.

Sources: nanotron's trainer.py and logging/base.py; picotron's train.py; torchtitan's components/metrics.py; NeMo's
progress bars, DLLogger and progress printer; MaxText's metric_logger.py; Composer's console logger; the Trainer of
transformers; DeepSpeed's utils/timer.py and pipeline engine.
"""

from nodesweep.logs.patterns.regex import Pattern
from nodesweep.logs.patterns.rows import COUNT, Line, Record, figure

# Of a trainer nobody has described: that iterations went by, but not how long they took.
UNKNOWN_TRAINER = Record(
    name="unknown",
    head=Line(
        ("iteration: ",),
        Pattern(rf"(?<!\w)iteration: {{1,12}}(?P<number>{COUNT})/(?P<total>{COUNT}) {{1,4}}\d{{1,3}}% \| "),
    ),
    figures=(figure("loss", "loss", r"\| LABEL: VALUE \|"), figure("loss", "per_token_loss", r"\| LABEL: VALUE \|")),
    rank=3,
)
