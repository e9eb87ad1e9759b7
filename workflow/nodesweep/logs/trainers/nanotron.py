"""nanotron: its iteration lines. Sources: nanotron's trainer.py and logging/base.py."""

from nodesweep.logs.patterns.regex import Pattern
from nodesweep.logs.patterns.rows import Line, Record, _human

_NANOTRON_FIGURES = (
    _human("tokens_per_second", "tokens_per_sec"),
    _human("tokens_per_second_per_rank", "tokens_per_sec_per_gpu"),
    _human("loss", "lm_loss"),
    _human("tflops", "model_tflops_per_gpu"),
    _human("hardware_tflops", "hardware_tflops_per_gpu"),
)

_NANOTRON_HEAD = r"iteration: (?P<number>\d{1,12}) / (?P<total>\d{1,12}) \|(?=[^\n]{1,400} MARK: )"

NANOTRON = Record(
    name="nanotron",
    head=Line(
        ("elapsed_time_per_iteration_ms: ",),
        Pattern(_NANOTRON_HEAD.replace("MARK", "elapsed_time_per_iteration_ms")),
    ),
    figures=(
        _human("seconds", "elapsed_time_per_iteration_ms", "1e-3"),
        _human("global_batch_samples", "global_batch_size"),
        *_NANOTRON_FIGURES,
    ),
)

# Since 2025: other names, and the batch counted in tokens.
NANOTRON_2025 = Record(
    name="nanotron-2025",
    head=Line(("| time_per_iteration_ms: ",), Pattern(_NANOTRON_HEAD.replace("MARK", "time_per_iteration_ms"))),
    figures=(
        _human("seconds", "time_per_iteration_ms", "1e-3"),
        _human("global_batch_tokens", "global_batch_size"),
        *_NANOTRON_FIGURES,
    ),
)
