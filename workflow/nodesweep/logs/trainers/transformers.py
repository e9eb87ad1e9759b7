"""The Trainer of transformers: its dictionaries and progress bars."""

from nodesweep.logs.patterns.regex import Pattern
from nodesweep.logs.patterns.rows import _RATES, COUNT, Line, Record, figure

_KEY = r"'LABEL': '?VALUE'?[,}]"

# A bar with no word before it, or with one that speaks of training: other bars load weights and prepare data.
_BAR_OF_TRAINING = (
    r"(?:^(?: {0,12}\d{1,7}:)?|[\]}]:?|"
    r"(?<!\w)(?:[Tt]rain(?:ing)?|[Ss]teps?|[Ii]terations?|[Ee]poch {1,2}\d{1,6}):(?: :)?)"
    r" {0,4}\d{1,3}%\|[^|\n]{0,400}"
)

TRANSFORMERS_BAR = Record(
    name="transformers-progress-bar",
    head=Line(
        ("s/it]", "s/it,", "it/s]", "it/s,"),
        Pattern(
            rf"{_BAR_OF_TRAINING}\| {{0,3}}(?P<number>[1-9]\d{{0,11}})/(?P<total>{COUNT}) "
            r"\[(?=[^\n\]]{4,40}(?:s/it|it/s)[,\]])"
        ),
    ),
    figures=(*_RATES, figure("elapsed", "<", r"\[VALUE(?=LABEL)", value=r"(?:\d{1,4}:)?\d{1,2}:\d\d")),
    rank=2,
    is_bar=True,
    tail="]",
)

TRANSFORMERS = Record(
    name="transformers",
    head=Line(
        ("{'loss': ",),
        Pattern(rf"(?:(?P<number>{COUNT})/(?P<total>{COUNT}) \[[^\n\]]{{4,40}}\] ?)?\{{'loss': "),
    ),
    figures=(
        figure("loss", "loss", _KEY),
        figure("gradient", "grad_norm", _KEY),
        *_RATES,
        # ms-swift's own: which iteration it is, and what the device holds at most.
        figure("step", "global_step/max_steps", r"'LABEL': 'VALUE/", value=COUNT),
        figure("steps", "global_step/max_steps", rf"'LABEL': '{COUNT}/VALUE'", value=COUNT),
        figure("step", "global_step", r"'LABEL': '?VALUE'?[,}]", value=COUNT),
        figure("step", "step", r"'LABEL': '?VALUE'?[,}]", value=COUNT),
        figure("peak_reserved_mib", "memory(GiB)", _KEY, factor="1024"),
        figure("peak_reserved_mib", "memory/device_mem_reserved(gib)", _KEY, factor="1024"),  # axolotl
        figure("peak_allocated_mib", "memory/max_mem_allocated(gib)", _KEY, factor="1024"),
    ),
    numbered_by=TRANSFORMERS_BAR,
    tail="}",
)
