"""nanotron. Sources: nanotron's trainer.py and logging/base.py."""

from nodesweep.logs.patterns.lines import (
    PEAK_ALLOCATED,
    PEAK_RESERVED,
    IterationPattern,
    LinePattern,
    MemoryReport,
    StartLine,
    line_with,
    settings_line,
)
from nodesweep.logs.patterns.quantities import NUMBER, Quantity, suffixed_quantity
from nodesweep.logs.patterns.regex import Pattern
from nodesweep.logs.patterns.trainer import FIRST, Format, Trainer

_FIGURES = 3
"""Significant figures of what nanotron prints; zeros at the end are left out: 4400 ms are `4.4K`."""


def _figure(name: str, label: str, factor: str = "1") -> Quantity:
    return suffixed_quantity(name, label, factor, _FIGURES)


_QUANTITIES = (
    _figure("tokens_per_second", "tokens_per_sec"),
    _figure("tokens_per_second_per_rank", "tokens_per_sec_per_gpu"),
    _figure("loss", "lm_loss"),
    _figure("tflops", "model_tflops_per_gpu"),
    _figure("hardware_tflops", "hardware_tflops_per_gpu"),
)

_HEAD = r"iteration: (?P<number>\d{1,12}) / (?P<total>\d{1,12}) \|(?=[^\n]{1,400} MARK: )"

_ITERATION = IterationPattern(
    name="nanotron",
    head=LinePattern(
        ("elapsed_time_per_iteration_ms: ",),
        Pattern(_HEAD.replace("MARK", "elapsed_time_per_iteration_ms")),
    ),
    quantities=(
        _figure("seconds", "elapsed_time_per_iteration_ms", "1e-3"),
        _figure("global_batch_samples", "global_batch_size"),
        *_QUANTITIES,
    ),
)

# Since 2025: other names, and the batch counted in tokens.
_ITERATION_2025 = IterationPattern(
    name="nanotron-2025",
    head=LinePattern(("| time_per_iteration_ms: ",), Pattern(_HEAD.replace("MARK", "time_per_iteration_ms"))),
    quantities=(
        _figure("seconds", "time_per_iteration_ms", "1e-3"),
        _figure("global_batch_tokens", "global_batch_size"),
        *_QUANTITIES,
    ),
)

TRAINER = Trainer(
    formats=(Format("nanotron-2025", _ITERATION_2025, FIRST), Format("nanotron", _ITERATION, FIRST)),
    settings=(
        settings_line("Parallelism: ", r" (?P<name>[dpt]p)=VALUE"),
        settings_line("| grad_accum: ", r"[|:] (?P<name>[a-z_]{1,40}): VALUE"),
    ),
    memory_reports=(
        MemoryReport(
            "Memory usage",
            line_with(
                "Peak reserved: ",
                rf"Memory usage: {NUMBER}MiB\. Peak allocated:? {PEAK_ALLOCATED}MiB\. "
                rf"Peak reserved: {PEAK_RESERVED}MiB",
            ),
        ),
    ),
    starts=(StartLine(line_with("[Start training] datetime: ")),),
)
