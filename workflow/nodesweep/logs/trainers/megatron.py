"""Megatron-LM and Megatron-Bridge, and the iteration line that all forks of Megatron-LM print.

Sources: training_log(), report_memory() and initialize_model_parallel() of Megatron-LM (2020 to 2026), of its forks and
of Megatron-Bridge. TFLOPs are of one device: Megatron-LM counts the model's.
"""

from nodesweep.logs.patterns.endings import ROOT, TERMINATED, Success, signature
from nodesweep.logs.patterns.lines import (
    PEAK_ALLOCATED,
    PEAK_RESERVED,
    ArgumentDumpLine,
    IterationPattern,
    LinePattern,
    MemoryReport,
    StartLine,
    WorldSizeLine,
    line_with,
    settings_line,
)
from nodesweep.logs.patterns.quantities import COUNT, MIB_OF_UNIT, NUMBER, TFLOPS, Quantity, quantity
from nodesweep.logs.patterns.regex import Pattern
from nodesweep.logs.patterns.trainer import FIRST, SECOND_HOLDS_FIRST, Format, Trainer

# A value ends at a bar; Primus puts a running average behind it.
_FIELD = rf"\| ?LABEL[:= ] {{0,12}}VALUE(?:/{NUMBER}| \(avg {NUMBER}\))? {{0,3}}\|"
_MS = "1e-3"


def _field(name: str, label: str, factor: str = "1", value: str = NUMBER) -> Quantity:
    return quantity(name, label, _FIELD, factor=factor, value=value)


ITERATION = IterationPattern(
    name="megatron",
    head=LinePattern(
        ("elapsed time per iteration", "elapsed_time_per_iteration", "number of nan iterations"),
        Pattern(rf"iteration(?<!\witeration)[= ] {{0,12}}(?P<number>{COUNT})/ {{0,12}}(?P<total>{COUNT}) {{1,3}}\|"),
    ),
    quantities=(
        _field("seconds", "elapsed time per iteration (ms)", _MS),
        _field("seconds", "elapsed_time_per_iteration_ms", _MS),
        _field("seconds", "elapsed time per iteration (s)"),
        _field("loss", "lm loss"),
        _field("loss", "lm-loss"),
        _field("loss", "lm_loss"),
        _field("loss", "loss"),
        _field("tflops", "throughput per GPU (TFLOP/s/GPU)"),
        _field("tflops", "TFLOPs"),
        _field("tflops", "[LM]-TFLOPs"),
        _field("tflops", "[LM]TFLOPs"),
        _field("tflops", "compute per GPU (TFLOP/s/GPU)"),
        _field("hardware_tflops", "[DS]-TFLOPs"),
        _field("hardware_tflops", "[DS]TFLOPs"),
        quantity("mfu_percent", "MFU", r"\| LABEL: VALUE% \|"),
        quantity("tflops", "approx flops per GPU", r"\| LABEL: {0,12}VALUE {0,3}\|", units=TFLOPS),
        _field("samples_per_second", "samples per second"),
        _field("samples_per_second", "samples_per_second"),
        quantity("samples_per_second", "samples/sec", r"LABEL: VALUE \| iteration "),  # GPT-NeoX, before the iteration
        _field("tokens_per_second_per_rank", "tokens per gpu per second (tgs)"),
        _field("tokens_per_second_per_rank", "tokens per gpu per second(tgs)"),
        _field("tokens_per_second_per_rank", "tokens_per_gpu_per_second_tgs"),
        _field("tokens_per_second_per_rank", "tokens per GPU (tokens/s/GPU)"),
        _field("tokens_per_second_per_rank", "tokens/s/GPU inst/harmonic mean"),
        _field("tokens_per_second_per_rank", "tokens/sec/gpu"),
        _field("tokens_per_second_per_rank", "Tokens per second per GPU (Tok/s/GPU)"),
        _field("global_batch_samples", "global batch size", value=COUNT),
        _field("global_batch_samples", "global_batch_size", value=COUNT),
        _field("skipped", "number of skipped iterations", value=COUNT),
        _field("skipped", "number_of_skipped_iterations", value=COUNT),
        _field("nan", "number of nan iterations", value=COUNT),
        _field("nan", "number_of_nan_iterations", value=COUNT),
        _field("peak_reserved_mib", "memory(GiB)", factor="1024"),  # Megatron-SWIFT
        _field("power_watts", "power per GPU (W/GPU)"),
        _field("gradient", "grad norm"),
        _field("gradient", "grad_norm"),
    ),
    tail="|",
    before=40,
    leaves_out_nan=True,
    may_sum_first=True,
    needed=frozenset({"seconds"}),
    trailing=(
        ("Effective Tera Flops per GPU: ", quantity("tflops", "Effective Tera Flops per GPU", r"LABEL: VALUE and ")),
    ),
    leading=(
        quantity("tflops", "GPU utilization", r"LABEL: VALUE(?:MODEL_)?TFLOP/s/GPU"),
        quantity("seconds", "Step Time", r"LABEL : VALUEs "),
    ),
)

TRAINER = Trainer(
    formats=(
        Format(
            "megatron-core-2026",
            ITERATION,
            SECOND_HOLDS_FIRST,
            evidence=Pattern(r"\[\d{4}-\d\d-\d\d [\d:]{8}\.\d{6}\] iteration "),
            before="megatron-core",
        ),
        Format(
            "megatron-core",
            ITERATION,
            FIRST,
            evidence=Pattern(r"throughput per GPU|\[\d{4}-\d\d-\d\d [\d:]{8}\] iter"),
            before="megatron-deepspeed",
        ),
        Format("megatron-lm", ITERATION, FIRST),
    ),
    settings=(
        settings_line(
            "using world size: ", r"(?:using|,|and) (?P<name>[a-z]{1,20}(?:-[a-z]{1,20}){0,3}[ -]size): VALUE"
        ),
        settings_line("> padded vocab (size: ", r"> padded vocab \((?P<name>size): VALUE", size="vocab_size"),
    ),
    memory_reports=(
        MemoryReport(
            "memory (MB)",
            LinePattern(
                ("memory (MB) | allocated: ", "| max reserved: "),
                Pattern(
                    r"(?:\[Rank (?P<rank>\d{1,9})\] )?\(?(?:after|before) [^|()\n]{1,60}\)? (?:GPU )?memory \(MB\) "
                    rf"\| allocated: {NUMBER} \| max allocated: {PEAK_ALLOCATED}"
                    rf" \| (?:reserved|cached): {NUMBER} \| max (?:reserved|cached): {PEAK_RESERVED}(?=[\s\[|])"
                ),
            ),
        ),
        MemoryReport(
            "memory (GB)",
            LinePattern(
                ("mem-max-reserved-gigabytes: ", "mem-max-allocated-gigabytes: "),
                Pattern(
                    rf"(?:\[Rank (?P<rank>\d{{1,9}})\] )?\(after {COUNT} iterations\) memory \(GB\) \|[^\n]{{0,400}}?"
                    rf"mem-max-allocated-gigabytes: {PEAK_ALLOCATED} \|[^\n]{{0,200}}?"
                    rf"mem-max-reserved-gigabytes: {PEAK_RESERVED}(?=[\s\[|])"
                ),
            ),
            MIB_OF_UNIT["GB"],
        ),
    ),
    world_size=(WorldSizeLine(line_with("using world size: ", rf"(?<!\w)using world size: ({COUNT})(?!\d)")),),
    argument_dump=(
        ArgumentDumpLine(line_with("--- arguments ---", "-{16,24} arguments -{16,24}"), "first"),
        ArgumentDumpLine(line_with("--- end of arguments ---", "-{12,24} end of arguments -{12,24}"), "last"),
    ),
    starts=(
        StartLine(line_with("[before the start of training step] datetime: ")),
        StartLine(line_with("done with setup", r"done with setups? \.\.\.")),
        StartLine(line_with("Activation Checkpointing Information")),
        StartLine(line_with("training ...", r"(?:^|[\]:] ?)training \.\.\.\s*$")),
        StartLine(line_with("loading checkpoint from ", r"loading checkpoint from .{1,400} at iteration \d")),
        StartLine(line_with("loaded checkpoint from ", r"[Ll]oaded checkpoint from ")),
        StartLine(line_with("found NaN in "), has_begun=True),
        StartLine(line_with("Unexpected result nan"), has_begun=True),
        StartLine(line_with("exiting program after receiving SIGTERM"), has_begun=True),
        StartLine(line_with(", in forward_backward", r", in forward_backward_\w"), has_begun=True),
    ),
    successes=(
        Success("megatron", "trainer", ("after training is done",), Pattern(r"\[after training is done\]")),
        Success(
            "megatron_exit",
            "trainer",
            ("exiting program a",),
            Pattern(r"exiting program (?:at iteration {1,12}\d|after {1,4}\d)"),
        ),
    ),
    signatures=(
        signature("nan_in_gradient", "nan_loss", ROOT, "found NaN in "),
        signature("unexpected_nan", "nan_loss", ROOT, "Unexpected result nan"),
        signature(
            "trainer_sigterm", "cancelled", TERMINATED, "exiting program a", "exiting program after receiving SIGTERM"
        ),
    ),
)
