"""NeMo 1 and 2: progress bars, DLLogger and progress printer."""

from nodesweep.logs.patterns.lines import IterationPattern, LinePattern, RunTotal, settings_line
from nodesweep.logs.patterns.quantities import BAR_FIELD, COUNT, MIB_OF_UNIT, PROGRESS_BAR_RATES, quantity
from nodesweep.logs.patterns.regex import Pattern
from nodesweep.logs.patterns.trainer import FIRST, MEANS_OF_FIVE, Format, Trainer

_TIMING = "train_step_timing in s"

_DLL = r" LABEL : VALUE\s"

_DLLOGGER = IterationPattern(
    name="nemo-dllogger",
    head=LinePattern((_TIMING,), Pattern(rf"(?<!\w)DLL \d{{4}}-\d\d-\d\d [\d:.]{{8,16}} - (?P<number>{COUNT}) ")),
    quantities=(
        quantity("seconds", _TIMING, _DLL),
        quantity("loss", "reduced_train_loss", _DLL),
        quantity("global_batch_samples", "global_batch_size", _DLL),
        quantity("tflops", "TFLOPS_per_GPU", _DLL),
        quantity("tokens_per_second_per_rank", "tokens_per_sec_per_gpu", _DLL),
    ),
    first_number=0,
)

_PRINTED = IterationPattern(
    name="nemo-printed",
    head=LinePattern(
        ("| global_step: ",),
        Pattern(
            rf"Training epoch (?:0, iteration (?P<index>{COUNT})/(?P<last>{COUNT})|{COUNT}, iteration {COUNT}/{COUNT}) "
            rf"\|[^\n]{{0,400}}?\| global_step: (?P<number>{COUNT})\b"
        ),
    ),
    quantities=(
        quantity("seconds", _TIMING, BAR_FIELD, figures=4),
        quantity("loss", "reduced_train_loss", BAR_FIELD),
        quantity("global_batch_samples", "global_batch_size", BAR_FIELD, value=COUNT),
        quantity("tflops", "TFLOPS_per_GPU", BAR_FIELD),
        quantity("tokens_per_second_per_rank", "tokens_per_sec_per_gpu", BAR_FIELD, figures=4),
        quantity("peak_reserved_mib", "max_memory_reserved", BAR_FIELD, factor=MIB_OF_UNIT["B"]),
        quantity("peak_allocated_mib", "max_memory_allocated", BAR_FIELD, factor=MIB_OF_UNIT["B"]),
        quantity("peak_reserved_mib", "peak_memory_usage", BAR_FIELD, factor=MIB_OF_UNIT["B"]),
    ),
    first_number=0,
    counts_epochs=True,
)

_SET = r"[ ,\[]LABEL=VALUE[\],]"

_STEP = r"global_step=(?P<number>\d{1,12}(?:\.\d{0,9})?(?:e\+\d\d?)?)"

_DONE = rf"(?:\d/(?:(?P<total>{COUNT})|\?)|: \d{{1,12}}it) \["

_TIMED_BAR = IterationPattern(
    name="nemo-progress-bar",
    head=LinePattern((_TIMING, "global_step="), Pattern(rf"{_DONE}[^\n\]]{{0,300}}?{_STEP}")),
    quantities=(
        quantity("seconds", _TIMING, _SET, figures=3),  # tqdm prints three, Lightning adds zeros up to five characters
        quantity("loss", "reduced_train_loss", _SET),
        quantity("loss", "loss", _SET),
    ),
    first_number=0,
    counts_epochs=True,
    rank=1,
    tail="]",
    needed=frozenset({"seconds"}),
)

# Before NeMo logged the time of a step, and in programs made of it.
_UNTIMED_BAR = IterationPattern(
    name="nemo-untimed-bar",
    head=LinePattern(
        ("global_step=",),
        Pattern(rf"{_DONE}(?![^\n\]]{{0,600}}{_TIMING}=)[^\n\]]{{0,300}}?{_STEP}"),
    ),
    quantities=(quantity("loss", "reduced_train_loss", _SET), quantity("loss", "loss", _SET), *PROGRESS_BAR_RATES),
    first_number=0,
    counts_epochs=True,
    rank=1,
    tail="]",
)

TRAINER = Trainer(
    formats=(
        Format("nemo-dllogger", _DLLOGGER, MEANS_OF_FIVE),
        Format("nemo-printed", _PRINTED, MEANS_OF_FIVE),
        Format("nemo-progress-bar", _TIMED_BAR, MEANS_OF_FIVE),
        Format("nemo-untimed-bar", _UNTIMED_BAR, FIRST),
    ),
    settings=(settings_line(" - PARAMETER ", r" PARAMETER (?P<name>\w{1,60}) : VALUE"),),
    totals=(
        RunTotal(
            "TFLOPs per sec per GPU=", quantity("tflops_per_gpu_final", "TFLOPs per sec per GPU", r"LABEL=VALUE\s")
        ),
    ),
)
