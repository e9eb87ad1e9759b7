"""Composer (llm-foundry): its console logger."""

from nodesweep.logs.patterns.lines import IterationPattern, LinePattern, RunTotal
from nodesweep.logs.patterns.quantities import COUNT, MIB_OF_UNIT, quantity
from nodesweep.logs.patterns.regex import Pattern
from nodesweep.logs.patterns.trainer import FIRST, Format, Trainer

_ITERATION = IterationPattern(
    name="composer",
    head=LinePattern(("[batch=",), Pattern(rf"\[batch=(?P<number>{COUNT})/(?P<total>{COUNT})\]:")),
    logs_first=True,
    trailing=tuple(
        (f"Train {label}: ", quantity(name, label, r"Train LABEL: VALUE\s", factor=factor))
        for name, label, factor in (
            ("loss", "loss/train/total", "1"),
            ("iterations_per_second", "throughput/batches_per_sec", "1"),
            ("samples_per_second", "throughput/samples_per_sec", "1"),
            ("tokens_per_second", "throughput/tokens_per_sec", "1"),
            ("tokens_per_second_per_rank", "throughput/device/tokens_per_sec", "1"),
            ("tflops", "throughput/device/flops_per_sec", "1e-12"),
            ("mfu_percent", "throughput/device/mfu", "100"),
            ("peak_reserved_mib", "memory/peak_reserved_mem", str(MIB_OF_UNIT["GB"])),
            ("peak_reserved_mib", "memory/reserved_mem", str(MIB_OF_UNIT["GB"])),
            ("peak_allocated_mib", "memory/peak_allocated_mem", str(MIB_OF_UNIT["GB"])),
        )
    ),
)

TRAINER = Trainer(
    formats=(Format("composer", _ITERATION, FIRST),),
    totals=(RunTotal("time/train: ", quantity("time_train_hours", "time/train", r"Train LABEL: VALUE\s")),),
)
