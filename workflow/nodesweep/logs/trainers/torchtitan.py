"""torchtitan. Sources: torchtitan's components/metrics.py, parallel_dims.py, train.py and activation checkpointing."""

from nodesweep.logs.patterns.lines import IterationPattern, LinePattern, StartLine, line_with, settings_line
from nodesweep.logs.patterns.quantities import COUNT, MIB_OF_UNIT, NUMBER, quantity
from nodesweep.logs.patterns.regex import Pattern
from nodesweep.logs.patterns.trainer import FIRST_TWO, Format, Trainer

_NOT_NEGATIVE = NUMBER.removeprefix("[-+]?")
"""What torchtitan calls a loss: where a rank has none, it prints -1."""
_THOUSANDS = r"\d{1,3}(?:,\d{3}){1,6}(?:\.\d{1,6})?|" + NUMBER

_ITERATION = IterationPattern(
    name="torchtitan",
    head=LinePattern(("tps: ", "wps: "), Pattern(rf"(?<!validate )(?<!\w)step: {{1,3}}(?P<number>{COUNT}) {{1,3}}\w")),
    quantities=(
        quantity("loss", "loss", r" LABEL: {1,8}VALUE\s", value=_NOT_NEGATIVE),
        quantity("loss", "global_avg_loss", r" LABEL: {1,8}VALUE\s", value=_NOT_NEGATIVE),
        quantity("peak_reserved_mib", "memory", r" LABEL: {1,8}VALUE\(", units=MIB_OF_UNIT),
        quantity("tokens_per_second_per_rank", "tps", r" LABEL: {1,8}VALUE\s", value=_THOUSANDS),
        quantity("tokens_per_second_per_rank", "wps", r" LABEL: {1,8}VALUE\s", value=_THOUSANDS),
        quantity("tflops", "tflops", r" LABEL: {1,8}VALUE\s", value=_THOUSANDS),
        quantity("mfu_percent", "mfu", r" LABEL: {1,8}VALUE%"),
    ),
    derive="clock",
    logs_first=True,
)

TRAINER = Trainer(
    formats=(Format("torchtitan", _ITERATION, FIRST_TWO),),
    settings=(
        settings_line("device mesh with parallelism: ", r"[ ,](?P<name>[a-z_]{1,20})=VALUE"),
        settings_line(
            ("Trainer is initialized with ", "Training starts at step "),
            r"(?:with|,) (?P<name>(?!with )[a-z]{1,20}(?: [a-z]{1,20}){1,3}) VALUE",
        ),
        settings_line(
            " activation checkpointing to the model",
            r"(?P<value>[a-z_]{1,40}) (?P<name>activation checkpointing) to the model",
            activation_checkpointing="activation_checkpointing_mode",
        ),
    ),
    starts=(StartLine(line_with("Training starts at step ")),),
)
