"""What trainers outside Megatron's family print for an iteration.

Sources: nanotron's trainer.py and logging/base.py; picotron's train.py; torchtitan's components/metrics.py; NeMo's
progress bars, DLLogger and progress printer; MaxText's metric_logger.py; Composer's console logger; the Trainer of
transformers; DeepSpeed's utils/timer.py and pipeline engine.
"""

from .lazy import Pattern
from .patterns import COUNT, DECIMAL_SUFFIXES, MIB, NUMBER, Figure, Line, Record, figure

_END = r"(?=\s|\|)"
_BAR = rf"\| LABEL: {{0,4}}VALUE{_END}"
NOT_NEGATIVE = NUMBER.removeprefix("[-+]?")
"""What torchtitan calls a loss: where a rank has none, it prints -1."""
THOUSANDS = r"\d{1,3}(?:,\d{3}){1,6}(?:\.\d{1,6})?|" + NUMBER


def _human(name: str, label: str, factor: str = "1") -> Figure:
    """A field between bars whose number may end in K, M, B or T."""
    return figure(name, label, _BAR, factor=factor, units=DECIMAL_SUFFIXES)


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

PICOTRON = Record(
    name="picotron",
    head=Line(("| Tokens/s/GPU: ",), Pattern(rf"(?<!\w)Step: (?P<number>{COUNT}) {{1,12}}\| Loss: ")),
    figures=(
        _human("loss", "Loss"),
        _human("global_batch_tokens", "Global batch size"),
        _human("tokens_per_second", "Tokens/s"),
        _human("tokens_per_second_per_rank", "Tokens/s/GPU"),
        figure("mfu_percent", "MFU", r"\| LABEL: {0,4}VALUE%"),
        figure("peak_reserved_mib", "Memory usage", rf"\| LABEL: {{0,4}}VALUE{_END}", units=MIB),
    ),
    derive="tokens",
)

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

_TIMING = "train_step_timing in s"
_DLL = r" LABEL : VALUE\s"
NEMO_DLLOGGER = Record(
    name="nemo-dllogger",
    head=Line((_TIMING,), Pattern(rf"(?<!\w)DLL \d{{4}}-\d\d-\d\d [\d:.]{{8,16}} - (?P<number>{COUNT}) ")),
    figures=(
        figure("seconds", _TIMING, _DLL),
        figure("loss", "reduced_train_loss", _DLL),
        figure("global_batch_samples", "global_batch_size", _DLL),
        figure("tflops", "TFLOPS_per_GPU", _DLL),
        figure("tokens_per_second_per_rank", "tokens_per_sec_per_gpu", _DLL),
    ),
    first_number=0,
)
NEMO_PRINTED = Record(
    name="nemo-printed",
    head=Line(
        ("| global_step: ",),
        Pattern(
            rf"Training epoch (?:0, iteration (?P<index>{COUNT})/(?P<last>{COUNT})|{COUNT}, iteration {COUNT}/{COUNT}) "
            rf"\|[^\n]{{0,400}}?\| global_step: (?P<number>{COUNT})\b"
        ),
    ),
    figures=(
        figure("seconds", _TIMING, _BAR),
        figure("loss", "reduced_train_loss", _BAR),
        figure("global_batch_samples", "global_batch_size", _BAR, value=COUNT),
        figure("tflops", "TFLOPS_per_GPU", _BAR),
        figure("tokens_per_second_per_rank", "tokens_per_sec_per_gpu", _BAR),
        figure("peak_reserved_mib", "max_memory_reserved", _BAR, factor=MIB["B"]),
        figure("peak_allocated_mib", "max_memory_allocated", _BAR, factor=MIB["B"]),
        figure("peak_reserved_mib", "peak_memory_usage", _BAR, factor=MIB["B"]),
    ),
    first_number=0,
    counts_epochs=True,
)
_SET = r"[ ,\[]LABEL=VALUE[\],]"
_STEP = r"global_step=(?P<number>\d{1,12}(?:\.\d{0,9})?(?:e\+\d\d?)?)"
_DONE = rf"(?:\d/(?:(?P<total>{COUNT})|\?)|: \d{{1,12}}it) \["
NEMO_BAR = Record(
    name="nemo-progress-bar",
    head=Line((_TIMING, "global_step="), Pattern(rf"{_DONE}[^\n\]]{{0,300}}?{_STEP}")),
    figures=(
        figure("seconds", _TIMING, _SET),
        figure("loss", "reduced_train_loss", _SET),
        figure("loss", "loss", _SET),
    ),
    first_number=0,
    counts_epochs=True,
    rank=1,
    tail="]",
    needed=frozenset({"seconds"}),
)

_RATE = r"[<\d:?]{4,20}, {1,3}VALUELABEL[,\]]"
_RATES = (figure("seconds", "s/it", _RATE), figure("iterations_per_second", "it/s", _RATE))
# Before NeMo logged the time of a step, and in programs made of it.
NEMO_UNTIMED_BAR = Record(
    name="nemo-untimed-bar",
    head=Line(
        ("global_step=",),
        Pattern(rf"{_DONE}(?![^\n\]]{{0,600}}{_TIMING}=)[^\n\]]{{0,300}}?{_STEP}"),
    ),
    figures=(figure("loss", "reduced_train_loss", _SET), figure("loss", "loss", _SET), *_RATES),
    first_number=0,
    counts_epochs=True,
    rank=1,
    tail="]",
)

_LISTED = r"[ ,]LABEL: VALUE[,\s]"
MAXTEXT = Record(
    name="maxtext",
    head=Line(("completed step: ",), Pattern(rf"completed step: (?P<number>{COUNT}),")),
    figures=(
        figure("seconds", "seconds", _LISTED),
        figure("tflops", "TFLOP/s/device", _LISTED),
        figure("tflops", "TFLOP/s", _LISTED),
        figure("tokens_per_second_per_rank", "Tokens/s/device", _LISTED),
        figure("loss", "loss", r"[ ,]LABEL:? VALUE[,\s]"),
    ),
    first_number=0,
    logs_first=True,
    needed=frozenset({"seconds"}),
)

COMPOSER = Record(
    name="composer",
    head=Line(("[batch=",), Pattern(rf"\[batch=(?P<number>{COUNT})/(?P<total>{COUNT})\]:")),
    logs_first=True,
    trailing=tuple(
        (f"Train {label}: ", figure(name, label, r"Train LABEL: VALUE\s", factor=factor))
        for name, label, factor in (
            ("loss", "loss/train/total", "1"),
            ("iterations_per_second", "throughput/batches_per_sec", "1"),
            ("samples_per_second", "throughput/samples_per_sec", "1"),
            ("tokens_per_second", "throughput/tokens_per_sec", "1"),
            ("tokens_per_second_per_rank", "throughput/device/tokens_per_sec", "1"),
            ("tflops", "throughput/device/flops_per_sec", "1e-12"),
            ("mfu_percent", "throughput/device/mfu", "100"),
            ("peak_reserved_mib", "memory/peak_reserved_mem", str(MIB["GB"])),
            ("peak_reserved_mib", "memory/reserved_mem", str(MIB["GB"])),
            ("peak_allocated_mib", "memory/peak_allocated_mem", str(MIB["GB"])),
        )
    ),
)

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

DEEPSPEED_STEPS = Record(
    name="deepspeed-steps",
    head=Line(("iter time (s): ",), Pattern(rf"(?<!\w)steps: (?P<number>{COUNT}) loss: ")),
    figures=(
        figure("loss", "loss", r" LABEL: VALUE "),
        figure("seconds", "iter time (s)", r" LABEL: VALUE\s"),
        figure("samples_per_second", "samples/sec", r" LABEL: VALUE\s"),
    ),
    rank=1,
)
DEEPSPEED_TIMER = Record(
    name="deepspeed-timer",
    head=Line(
        ("SamplesPerSec=",),
        Pattern(rf"(?:/global_step=|\] {COUNT}/)(?P<number>{COUNT}), (?=(?:RunningAvg)?SamplesPerSec=)"),
    ),
    figures=(
        figure("samples_per_second", "CurrSamplesPerSec", r" LABEL=VALUE[,\s]"),
        figure("samples_per_second", "SamplesPerSec", r" LABEL=VALUE[,\s]"),
        figure("samples_per_second", "RunningAvgSamplesPerSec", r" LABEL=VALUE[,\s]"),
    ),
    rank=1,
)

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
