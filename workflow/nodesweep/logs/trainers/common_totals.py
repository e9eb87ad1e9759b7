"""Figures of a whole run that trainers print beside their iterations, and what each line of memory reports says."""

from nodesweep.logs.patterns.regex import Pattern
from nodesweep.logs.patterns.rows import (
    COUNT,
    DECIMAL_SUFFIXES,
    MIB,
    NUMBER,
    ONE,
    SECONDS,
    TFLOPS,
    Line,
    MemoryReport,
    TotalFigure,
    figure,
)

_EQUALS = r"(?<!\w)LABEL=VALUE[,\s]"
_KEY = r"'LABEL': '?VALUE'?[,}]"
_RUNTIME = r"'LABEL': '?VALUE'?(?:\}|, 'train_)"  # in the last dictionary; transformers may print it in all
_METRIC = r"(?<![\w'])LABEL {1,60}= {1,20}VALUE\s"
_CLOCK = r"(?:\d{1,6} days?, )?\d{1,4}:\d\d:\d\d(?:\.\d{1,6})?"
_PROFILE = r"LABEL[^:\n]{0,90}: {1,60}VALUE\s"

TOTALS = (
    TotalFigure(
        "RunningAvgSamplesPerSec=", figure("ds_running_avg_samples_per_s_last", "RunningAvgSamplesPerSec", _EQUALS)
    ),
    TotalFigure(
        "MaxMemAllocated=",
        figure("ds_max_mem_allocated_gb", "MaxMemAllocated", _EQUALS, units={"GB": ONE, "MB": ONE / 1024}),
        "highest",
    ),
    TotalFigure(
        ", skipped=", figure("ds_skipped_steps", "skipped", r" step=\d{1,12}, LABEL=VALUE,", value=COUNT), "highest"
    ),
    TotalFigure("Max_MA ", figure("ds_max_ma_gb", "Max_MA", r"LABEL VALUE GB"), "highest"),
    TotalFigure("Max_CA ", figure("ds_max_ca_gb", "Max_CA", r"LABEL VALUE GB"), "highest"),
    TotalFigure(
        "CPU Virtual Memory: ",
        figure("cpu_virtual_memory_used_gb", "CPU Virtual Memory", r"LABEL:  used = VALUE GB"),
        "highest",
    ),
    TotalFigure(
        "hip mem usage/free/total",
        figure("hip_mem_usage_gb", "hip mem usage", r"LABEL/[\w/]{1,40}: VALUEGB/"),
        "highest",
    ),
    TotalFigure(
        "hip mem usage/free/total",
        figure("hip_mem_total_gb", "hip mem usage", rf"LABEL/[\w/]{{1,40}}: {NUMBER}GB/{NUMBER}GB/VALUEGB/"),
    ),
    TotalFigure("Using (GB) ", figure("memstats_used_gb", "Using (GB)", r"LABEL VALUE / "), "highest"),
    TotalFigure("Using (GB) ", figure("memstats_limit_gb", "Using (GB)", rf"LABEL {NUMBER} / VALUE \("), "highest"),
    TotalFigure("'train_runtime'", figure("train_runtime_s", "train_runtime", _RUNTIME), "first"),
    TotalFigure(
        "'train_samples_per_second'", figure("train_samples_per_second", "train_samples_per_second", _KEY), "first"
    ),
    TotalFigure("'train_steps_per_second'", figure("train_steps_per_second", "train_steps_per_second", _KEY), "first"),
    TotalFigure("train_runtime ", figure("train_runtime_s", "train_runtime", _METRIC, value=_CLOCK), "first"),
    TotalFigure(
        "train_samples_per_second ", figure("train_samples_per_second", "train_samples_per_second", _METRIC), "first"
    ),
    TotalFigure(
        "train_steps_per_second ", figure("train_steps_per_second", "train_steps_per_second", _METRIC), "first"
    ),
    TotalFigure(
        "Total optimization steps = ",
        figure("train_steps", "Total optimization steps", r"LABEL = VALUE\s", value=r"\d{1,3}(?:,\d{3}){1,4}|\d{1,12}"),
    ),
    TotalFigure("`Trainer.fit` stopped: ", figure("train_steps", "max_steps", r"LABEL=VALUE` reached", value=COUNT)),
    TotalFigure("TFLOPs per sec per GPU=", figure("tflops_per_gpu_final", "TFLOPs per sec per GPU", r"LABEL=VALUE\s")),
    TotalFigure("time/train: ", figure("time_train_hours", "time/train", r"Train LABEL: VALUE\s")),
    TotalFigure(
        "Profile Summary at step ", figure("profile_step", "Profile Summary at step", r"LABEL VALUE:", value=COUNT)
    ),
    TotalFigure(
        "iter latency: ", figure("iter_latency_s", "iter latency", r"(?<!/ )LABEL: {1,60}VALUE\s", units=SECONDS)
    ),
    TotalFigure(
        "fwd+bwd FLOPS per GPU", figure("fwd_bwd_tflops_per_gpu", "fwd+bwd FLOPS per GPU", _PROFILE, units=TFLOPS)
    ),
    TotalFigure("samples/second: ", figure("samples_per_s", "samples/second", r"LABEL: {1,60}VALUE\s")),
    TotalFigure(
        "batch size per GPU: ", figure("batch_size_per_gpu", "batch size per GPU", r"LABEL: {1,60}VALUE\s", value=COUNT)
    ),
    TotalFigure("params of model", figure("params", "params of model", _PROFILE, units=DECIMAL_SUFFIXES)),
)

_ALLOCATED, _RESERVED = r"(?P<allocated>\d{1,12}\.\d{1,18})", r"(?P<reserved>\d{1,12}\.\d{1,18})"

MEMORY_REPORTS = (
    MemoryReport(
        "memory (MB)",
        Line(
            ("memory (MB) | allocated: ", "| max reserved: "),
            Pattern(
                r"(?:\[Rank (?P<rank>\d{1,9})\] )?\(?(?:after|before) [^|()\n]{1,60}\)? (?:GPU )?memory \(MB\) "
                rf"\| allocated: {NUMBER} \| max allocated: {_ALLOCATED}"
                rf" \| (?:reserved|cached): {NUMBER} \| max (?:reserved|cached): {_RESERVED}(?=[\s\[|])"
            ),
        ),
    ),
    MemoryReport(
        "memory (GB)",
        Line(
            ("mem-max-reserved-gigabytes: ", "mem-max-allocated-gigabytes: "),
            Pattern(
                rf"(?:\[Rank (?P<rank>\d{{1,9}})\] )?\(after {COUNT} iterations\) memory \(GB\) \|[^\n]{{0,400}}?"
                rf"mem-max-allocated-gigabytes: {_ALLOCATED} \|[^\n]{{0,200}}?"
                rf"mem-max-reserved-gigabytes: {_RESERVED}(?=[\s\[|])"
            ),
        ),
        MIB["GB"],
    ),
    MemoryReport(
        "Memory usage",
        Line(
            ("Peak reserved: ",),
            Pattern(rf"Memory usage: {NUMBER}MiB\. Peak allocated:? {_ALLOCATED}MiB\. Peak reserved: {_RESERVED}MiB"),
        ),
    ),
)
NODE_MEMORY = Line(
    ("CPU memory (MB) | used: ",),
    Pattern(
        rf"(?:\[Rank (?P<rank>\d{{1,9}})\] )?\(after {COUNT} iterations\) CPU memory \(MB\) "
        rf"\| used: (?P<used>{NUMBER}) \|"
    ),
)
