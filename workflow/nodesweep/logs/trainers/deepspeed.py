"""DeepSpeed: its step timer, pipeline engine and flops profiler.

Sources: DeepSpeed's utils/timer.py, pipeline engine, see_memory_usage() and flops profiler.
"""

from nodesweep.logs.patterns.lines import IterationPattern, LinePattern, RunTotal
from nodesweep.logs.patterns.quantities import COUNT, DECIMAL_SUFFIXES, ONE, SECONDS, TFLOPS, quantity
from nodesweep.logs.patterns.regex import Pattern
from nodesweep.logs.patterns.trainer import FIRST, NONE, Format, Trainer

_STEPS = IterationPattern(
    name="deepspeed-steps",
    head=LinePattern(("iter time (s): ",), Pattern(rf"(?<!\w)steps: (?P<number>{COUNT}) loss: ")),
    quantities=(
        quantity("loss", "loss", r" LABEL: VALUE "),
        quantity("seconds", "iter time (s)", r" LABEL: VALUE\s"),
        quantity("samples_per_second", "samples/sec", r" LABEL: VALUE\s"),
    ),
    rank=1,
)

_TIMER = IterationPattern(
    name="deepspeed-timer",
    head=LinePattern(
        ("SamplesPerSec=",),
        Pattern(rf"(?:/global_step=|\] {COUNT}/)(?P<number>{COUNT}), (?=(?:RunningAvg)?SamplesPerSec=)"),
    ),
    quantities=(
        quantity("samples_per_second", "CurrSamplesPerSec", r" LABEL=VALUE[,\s]"),
        quantity("samples_per_second", "SamplesPerSec", r" LABEL=VALUE[,\s]"),
        quantity("samples_per_second", "RunningAvgSamplesPerSec", r" LABEL=VALUE[,\s]"),
    ),
    rank=1,
)

_EQUALS = r"(?<!\w)LABEL=VALUE[,\s]"
_PROFILE = r"LABEL[^:\n]{0,90}: {1,60}VALUE\s"

TRAINER = Trainer(
    formats=(Format("deepspeed-steps", _STEPS, FIRST), Format("deepspeed-timer", _TIMER, NONE)),
    totals=(
        RunTotal(
            "RunningAvgSamplesPerSec=",
            quantity("ds_running_avg_samples_per_s_last", "RunningAvgSamplesPerSec", _EQUALS),
        ),
        RunTotal(
            "MaxMemAllocated=",
            quantity("ds_max_mem_allocated_gb", "MaxMemAllocated", _EQUALS, units={"GB": ONE, "MB": ONE / 1024}),
            "highest",
        ),
        RunTotal(
            ", skipped=",
            quantity("ds_skipped_steps", "skipped", r" step=\d{1,12}, LABEL=VALUE,", value=COUNT),
            "highest",
        ),
        RunTotal("Max_MA ", quantity("ds_max_ma_gb", "Max_MA", r"LABEL VALUE GB"), "highest"),
        RunTotal("Max_CA ", quantity("ds_max_ca_gb", "Max_CA", r"LABEL VALUE GB"), "highest"),
        RunTotal(
            "CPU Virtual Memory: ",
            quantity("cpu_virtual_memory_used_gb", "CPU Virtual Memory", r"LABEL:  used = VALUE GB"),
            "highest",
        ),
        RunTotal(
            "Profile Summary at step ",
            quantity("profile_step", "Profile Summary at step", r"LABEL VALUE:", value=COUNT),
        ),
        RunTotal(
            "iter latency: ",
            quantity("iter_latency_s", "iter latency", r"(?<!/ )LABEL: {1,60}VALUE\s", units=SECONDS),
        ),
        RunTotal(
            "fwd+bwd FLOPS per GPU",
            quantity("fwd_bwd_tflops_per_gpu", "fwd+bwd FLOPS per GPU", _PROFILE, units=TFLOPS),
        ),
        RunTotal("samples/second: ", quantity("samples_per_s", "samples/second", r"LABEL: {1,60}VALUE\s")),
        RunTotal(
            "batch size per GPU: ",
            quantity("batch_size_per_gpu", "batch size per GPU", r"LABEL: {1,60}VALUE\s", value=COUNT),
        ),
        RunTotal("params of model", quantity("params", "params of model", _PROFILE, units=DECIMAL_SUFFIXES)),
    ),
)
