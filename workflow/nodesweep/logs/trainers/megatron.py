"""What trainers of Megatron's family print: fields between bars, memory by rank, an argument dump.

Sources: training_log() and report_memory() of Megatron-LM (2020 to 2026), of Megatron-DeepSpeed and its forks
(Microsoft, BigScience, Argonne, DeepSpeedFugaku), of Primus and Megatron-Bridge; megatron/logging.py of GPT-NeoX.
TFLOPs are of one device: Megatron-LM counts the model's, its DeepSpeed forks those of recomputation too.
"""

from nodesweep.logs.patterns.regex import Pattern
from nodesweep.logs.patterns.rows import COUNT, NUMBER, TFLOPS, Figure, Line, Record, figure

# A value ends at a bar; Primus puts a running average behind it.
_FIELD = rf"\| ?LABEL[:= ] {{0,12}}VALUE(?:/{NUMBER}| \(avg {NUMBER}\))? {{0,3}}\|"
_MS = "1e-3"


def _field(name: str, label: str, factor: str = "1", value: str = NUMBER) -> Figure:
    return figure(name, label, _FIELD, factor=factor, value=value)


MEGATRON = Record(
    name="megatron",
    head=Line(
        ("elapsed time per iteration", "elapsed_time_per_iteration", "number of nan iterations"),
        Pattern(rf"iteration(?<!\witeration)[= ] {{0,12}}(?P<number>{COUNT})/ {{0,12}}(?P<total>{COUNT}) {{1,3}}\|"),
    ),
    figures=(
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
        figure("mfu_percent", "MFU", r"\| LABEL: VALUE% \|"),
        figure("tflops", "approx flops per GPU", r"\| LABEL: {0,12}VALUE {0,3}\|", units=TFLOPS),
        _field("samples_per_second", "samples per second"),
        _field("samples_per_second", "samples_per_second"),
        figure("samples_per_second", "samples/sec", r"LABEL: VALUE \| iteration "),  # GPT-NeoX, before the iteration
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
    needed=frozenset({"seconds"}),
    trailing=(
        ("Effective Tera Flops per GPU: ", figure("tflops", "Effective Tera Flops per GPU", r"LABEL: VALUE and ")),
    ),
    leading=(
        figure("tflops", "GPU utilization", r"LABEL: VALUE(?:MODEL_)?TFLOP/s/GPU"),
        figure("seconds", "Step Time", r"LABEL : VALUEs "),
    ),
)

WORLD_SIZE = Line(("using world size: ",), Pattern(rf"(?<!\w)using world size: ({COUNT})(?!\d)"))
ARGUMENTS_START = Line(("--- arguments ---",), Pattern("-{16,24} arguments -{16,24}"))
ARGUMENTS_END = Line(("--- end of arguments ---",), Pattern("-{12,24} end of arguments -{12,24}"))
# GPT-NeoX says of each argument whether it was given: its dump is known by that even where its first line is gone.
NEOX_ARGUMENT = Line((".updated", ".default"), Pattern(r"^ {2}[A-Za-z_]\w{0,80} [ .]"))

ARGUMENT = Pattern(r"^ {0,4}(?P<name>[A-Za-z_]\w{0,80}) (?P<dots>\.{0,60}) (?P<value>[^\n]{0,4000})")
BARE_NAME = 24
"""Names at least so long may stand in a dump without dots: they leave no room for any."""
