"""torchtitan: its iteration lines. Source: torchtitan's components/metrics.py."""

from nodesweep.logs.patterns.regex import Pattern
from nodesweep.logs.patterns.rows import COUNT, MIB, NUMBER, Line, Record, figure

NOT_NEGATIVE = NUMBER.removeprefix("[-+]?")
"""What torchtitan calls a loss: where a rank has none, it prints -1."""

THOUSANDS = r"\d{1,3}(?:,\d{3}){1,6}(?:\.\d{1,6})?|" + NUMBER

TORCHTITAN = Record(
    name="torchtitan",
    head=Line(("tps: ", "wps: "), Pattern(rf"(?<!validate )(?<!\w)step: {{1,3}}(?P<number>{COUNT}) {{1,3}}\w")),
    figures=(
        figure("loss", "loss", r" LABEL: {1,8}VALUE\s", value=NOT_NEGATIVE),
        figure("loss", "global_avg_loss", r" LABEL: {1,8}VALUE\s", value=NOT_NEGATIVE),
        figure("peak_reserved_mib", "memory", r" LABEL: {1,8}VALUE\(", units=MIB),
        figure("tokens_per_second_per_rank", "tps", r" LABEL: {1,8}VALUE\s", value=THOUSANDS),
        figure("tokens_per_second_per_rank", "wps", r" LABEL: {1,8}VALUE\s", value=THOUSANDS),
        figure("tflops", "tflops", r" LABEL: {1,8}VALUE\s", value=THOUSANDS),
        figure("mfu_percent", "mfu", r" LABEL: {1,8}VALUE%"),
    ),
    derive="clock",
    logs_first=True,
)
