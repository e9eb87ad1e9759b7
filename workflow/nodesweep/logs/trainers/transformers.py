"""The Trainer of transformers, and what is built on it (ms-swift, axolotl, unsloth): dictionaries and progress bars."""

from nodesweep.logs.patterns.endings import Success
from nodesweep.logs.patterns.lines import (
    IterationPattern,
    LinePattern,
    RunTotal,
    StartLine,
    line_with,
    settings_line,
)
from nodesweep.logs.patterns.quantities import COUNT, PROGRESS_BAR_RATES, Quantity, quantity
from nodesweep.logs.patterns.regex import Pattern
from nodesweep.logs.patterns.trainer import FIRST, Format, Trainer

_KEY = r"'LABEL': '?VALUE'?[,}]"

# A bar with no word before it, or with one that speaks of training: other bars load weights and prepare data.
_BAR_OF_TRAINING = (
    r"(?:^(?: {0,12}\d{1,7}:)?|[\]}]:?|"
    r"(?<!\w)(?:[Tt]rain(?:ing)?|[Ss]teps?|[Ii]terations?|[Ee]poch {1,2}\d{1,6}):(?: :)?)"
    r" {0,4}\d{1,3}%\|[^|\n]{0,400}"
)

_BAR = IterationPattern(
    name="transformers-progress-bar",
    head=LinePattern(
        ("s/it]", "s/it,", "it/s]", "it/s,"),
        Pattern(
            rf"{_BAR_OF_TRAINING}\| {{0,3}}(?P<number>[1-9]\d{{0,11}})/(?P<total>{COUNT}) "
            r"\[(?=[^\n\]]{4,40}(?:s/it|it/s)[,\]])"
        ),
    ),
    quantities=(*PROGRESS_BAR_RATES, quantity("elapsed", "<", r"\[VALUE(?=LABEL)", value=r"(?:\d{1,4}:)?\d{1,2}:\d\d")),
    rank=2,
    is_bar=True,
    tail="]",
)

_DICTIONARY = IterationPattern(
    name="transformers",
    head=LinePattern(
        ("{'loss': ",),
        Pattern(rf"(?:(?P<number>{COUNT})/(?P<total>{COUNT}) \[[^\n\]]{{4,40}}\] ?)?\{{'loss': "),
    ),
    quantities=(
        quantity("loss", "loss", _KEY),
        quantity("gradient", "grad_norm", _KEY),
        *PROGRESS_BAR_RATES,
        # ms-swift's own: which iteration it is, and what the device holds at most.
        quantity("step", "global_step/max_steps", r"'LABEL': 'VALUE/", value=COUNT),
        quantity("steps", "global_step/max_steps", rf"'LABEL': '{COUNT}/VALUE'", value=COUNT),
        quantity("step", "global_step", _KEY, value=COUNT),
        quantity("step", "step", _KEY, value=COUNT),
        quantity("peak_reserved_mib", "memory(GiB)", _KEY, factor="1024"),
        quantity("peak_reserved_mib", "memory/device_mem_reserved(gib)", _KEY, factor="1024"),  # axolotl
        quantity("peak_allocated_mib", "memory/max_mem_allocated(gib)", _KEY, factor="1024"),
    ),
    numbered_by=_BAR,
    tail="}",
)

_RUNTIME = r"'LABEL': '?VALUE'?(?:\}|, 'train_)"  # in the last dictionary; transformers may print it in all
_METRIC = r"(?<![\w'])LABEL {1,60}= {1,20}VALUE\s"
_CLOCK = r"(?:\d{1,6} days?, )?\d{1,4}:\d\d:\d\d(?:\.\d{1,6})?"


def _rate(name: str, template: str) -> Quantity:
    return quantity(name, name, template)


TRAINER = Trainer(
    formats=(Format("transformers", _DICTIONARY, FIRST), Format("transformers-progress-bar", _BAR, FIRST)),
    settings=(
        settings_line(
            (
                "  Instantaneous batch size per device = ",
                "  Total train batch size (w. parallel",
                "  Gradient Accumulation s",
            ),
            r"  (?P<name>Instantaneous batch size|Total train batch size|Gradient Accumulation steps)"
            r"[^=\n]{0,80} = VALUE",
            Instantaneous_batch_size="micro_batch_size",
            Total_train_batch_size="train_batch_size",
            Gradient_Accumulation_steps="gradient_accumulation_steps",
        ),
        settings_line("Total steps = ", r"(?P<name>Total steps) = VALUE", Total_steps="train_steps"),  # unsloth
    ),
    totals=(
        RunTotal("'train_runtime'", quantity("train_runtime_s", "train_runtime", _RUNTIME), "first"),
        RunTotal("'train_samples_per_second'", _rate("train_samples_per_second", _KEY), "first"),
        RunTotal("'train_steps_per_second'", _rate("train_steps_per_second", _KEY), "first"),
        RunTotal("train_runtime ", quantity("train_runtime_s", "train_runtime", _METRIC, value=_CLOCK), "first"),
        RunTotal("train_samples_per_second ", _rate("train_samples_per_second", _METRIC), "first"),
        RunTotal("train_steps_per_second ", _rate("train_steps_per_second", _METRIC), "first"),
        RunTotal(
            "Total optimization steps = ",
            quantity(
                "train_steps", "Total optimization steps", r"LABEL = VALUE\s", value=r"\d{1,3}(?:,\d{3}){1,4}|\d{1,12}"
            ),
        ),
    ),
    starts=(StartLine(line_with("***** Running training *****")),),
    successes=(
        Success(
            "transformers",
            "trainer",
            ("train_runtime", "***** train metrics *****"),
            Pattern(
                r"^(?!.{0,2000}'loss': ).{0,2000}'train_runtime': '?\d|"  # not in the dictionary of each step
                r"train_runtime {1,60}= {1,8}\d|\*{5} train metrics \*{5}"
            ),
            trained=True,
        ),
    ),
)
