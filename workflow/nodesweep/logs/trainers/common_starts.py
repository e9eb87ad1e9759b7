"""Lines that say that training starts, whatever trainer prints them."""

import re

from nodesweep.logs.patterns.regex import Pattern
from nodesweep.logs.patterns.rows import Line


def _line(text: str, pattern: str | None = None) -> Line:
    return Line((text,), Pattern(pattern or re.escape(text)))


STARTS = (
    _line("[before the start of training step] datetime: "),
    _line("done with setup", r"done with setups? \.\.\."),
    _line("[Start training] datetime: "),
    _line("Training starts at step "),
    _line("***** Running training *****"),
    _line("Activation Checkpointing Information"),
    _line("training ...", r"(?:^|[\]:] ?)training \.\.\.\s*$"),
    _line("loading checkpoint from ", r"loading checkpoint from .{1,400} at iteration \d"),
    _line("loaded checkpoint from ", r"[Ll]oaded checkpoint from "),
)
# What only a training prints that has begun: its own words, and the functions that tracebacks name.
TRAININGS = (
    _line("found NaN in "),
    _line("Unexpected result nan"),
    _line("exiting program after receiving SIGTERM"),
    _line(", in train", r", in train(?:ing)?_(?:step|batch)\b"),
    _line(", in forward_backward", r", in forward_backward_\w"),
)
