"""NeMo: its progress bars, DLLogger and progress printer."""

from nodesweep.logs.patterns.regex import Pattern
from nodesweep.logs.patterns.rows import _BAR, _RATES, COUNT, MIB, Line, Record, figure

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
