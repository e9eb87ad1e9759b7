"""Lines that say how far a run has come, whatever trainer prints them."""

import re
from dataclasses import dataclass
from typing import Literal

from .patterns import Line


@dataclass(frozen=True)
class Mark:
    """A line that says that training starts, or that it has come to its end."""

    kind: Literal["started", "finished"]
    line: Line


def _mark(kind: Literal["started", "finished"], text: str, pattern: str | None = None) -> Mark:
    return Mark(kind, Line((text,), re.compile(pattern or re.escape(text))))


MARKS = (
    _mark("started", "[before the start of training step] datetime: "),
    _mark("started", "done with setup", r"done with setups? \.\.\."),
    _mark("started", "[Start training] datetime: "),
    _mark("started", "Training starts at step "),
    _mark("started", "***** Running training *****"),
    _mark("started", "Activation Checkpointing Information"),
    _mark("finished", "[after training is done] datetime: "),
    _mark("finished", "Training completed", r"Training completed\s*$"),
    _mark("finished", "Finished Training", r"Finished Training\s*$"),
    _mark("finished", "`Trainer.fit` stopped: `max_", r"`Trainer\.fit` stopped: `max_\w{1,20}=\d{1,12}` reached"),
    _mark("finished", "***** train metrics *****"),
    _mark("finished", "'train_runtime'", r"'train_runtime': '?\d"),
)
