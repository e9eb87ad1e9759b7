"""Lines that say that training starts, whatever trainer prints them."""

import re

from .lazy import Pattern
from .patterns import Line


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
