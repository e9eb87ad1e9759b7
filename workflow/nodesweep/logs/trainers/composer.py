"""Composer: its console logger."""

from nodesweep.logs.patterns.regex import Pattern
from nodesweep.logs.patterns.rows import COUNT, MIB, Line, Record, figure

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
