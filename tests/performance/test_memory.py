"""Bytes per rank: the study's five layouts, and each part against numbers a reader can check."""

import pytest
from fugaku_runs import LIMIT_MIB, case_of
from hypothesis import given
from hypothesis import strategies as st

from nodesweep.common.units import MIB
from nodesweep.config.machine import Machine
from nodesweep.config.model_files import read_model
from nodesweep.config.training import MemoryConstants, Training
from nodesweep.config.workload import Workload
from nodesweep.performance.calibration import Calibration
from nodesweep.performance.calibration.memory_model import MemoryFit, MemoryModel
from nodesweep.performance.calibration.time_model import TimeFit
from nodesweep.performance.dimensions import Dimensions
from nodesweep.performance.forecast import memory_of
from nodesweep.performance.memory import peak, stage_memory

FUGAKU = MemoryConstants(process_mib=1836, allocator_factor=1.11)
NOTHING = MemoryConstants(process_mib=0, allocator_factor=1, allocator_factor_without_recomputation=1)
# Four layers, h 8, f 32, 2 heads, s 16, V 128: 26 KiB of weights, all numbers small enough to count.
SMALL = Dimensions(
    nodes=1,
    ranks_per_node=1,
    data=1,
    tensor=1,
    pipeline=1,
    micro_batch=2,
    global_batch=8,
    sequence_length=16,
    activation_checkpointing=False,
    layers=4,
    hidden_size=8,
    attention_heads=2,
    vocab_size=128,
    ffn_hidden_size=32,
)


@pytest.mark.parametrize(
    ("nodes", "data", "tensor", "recomputed", "expected_mib", "verdict"),
    [
        (192, 1, 4, True, 16737, "fits"),
        (384, 1, 8, True, 14176, "fits"),
        (3072, 16, 4, True, 16737, "fits"),
        (48, 1, 1, True, 32107, "will not fit"),
        (384, 1, 8, False, 50642, "will not fit"),
    ],
)
def test_the_study(nodes: int, data: int, tensor: int, recomputed: bool, expected_mib: float, verdict: str) -> None:
    """Within 0.5 % of the model's values; what ran fits, what ran out of memory does not."""
    machine = Machine(scheduler="pjm", memory_mib_per_node=LIMIT_MIB)
    workload = Workload(command=("train",), memory_constants=FUGAKU)
    memory = memory_of(case_of(nodes, data, tensor, recomputed), machine, workload, None)
    assert memory.bytes / MIB == pytest.approx(expected_mib, rel=0.005)
    assert memory.verdict == verdict


def test_the_first_iteration_has_no_moments() -> None:
    """MP 1 fits in its first iteration, 24539 MiB, and not in the second, as it did when it ran."""
    found = peak(case_of(48, 1, 1), FUGAKU)
    assert found.first_bytes / MIB == pytest.approx(24539, rel=0.005)
    assert found.first_bytes / MIB < LIMIT_MIB < found.later_bytes / MIB


@pytest.mark.parametrize(
    ("precision", "zero_stage", "expected"),
    [
        ("fp32", 0, 4 + 4 + 8),
        ("bf16", 0, 2 + 4 + 12),
        ("bf16", 1, 2 + 4 + 12 / 4),
        ("bf16", 2, 2 + (4 + 12) / 4),
        ("bf16", 3, (2 + 4 + 12) / 4),
    ],
)
def test_bytes_of_a_parameter(precision: str, zero_stage: int, expected: float) -> None:
    """16 in fp32, 18 in mixed precision; four replicas share out optimizer, gradients, weights as ZeRO says."""
    case = SMALL.changed(nodes=4, data=4, precision=precision, training=Training(zero_stage=zero_stage))
    # 4 layers of 12 h^2 + 13 h = 872, 128 x 8 and 16 x 8 of the embedding, 2 x 8 of the last norm
    assert stage_memory(case, 0, NOTHING).state_bytes == expected * (4 * 872 + 1024 + 128 + 16)


def test_activations_of_mixed_precision_are_korthikantis() -> None:
    """Without recomputation and MP 2: s b h (10 + 24/t + 5 a s / (h t)) a layer, by their equation 2."""
    case = SMALL.changed(nodes=2, tensor=2, precision="bf16", vocab_size=256)
    of_layers = 4 * 16 * 2 * 8 * (10 + 24 / 2 + 5 * 2 * 16 / (8 * 2))
    stage_input_embedding_mask = 2 * 16 * 2 * 8 * 2 + 2 * 16**2
    assert stage_memory(case, 0, NOTHING).activations == of_layers + stage_input_embedding_mask


@pytest.mark.parametrize(
    ("training", "of_a_layer"),
    [
        (Training(), 2 * 256),
        (Training(recomputation="selective"), 256 * (10 + 24)),
        (Training(flash_attention=True), 2 * 256),
    ],
    ids=["full", "selective", "full with flash attention"],
)
def test_recomputation(training: Training, of_a_layer: int) -> None:
    """Full recomputation keeps 2 s b h of a layer, selective all but the core of attention (s b h = 256)."""
    case = SMALL.changed(precision="bf16", activation_checkpointing=True, training=training)
    mask = 0 if training.flash_attention else 2 * 16**2
    assert stage_memory(case, 0, NOTHING).activations == 4 * of_a_layer + 2 * 2 * 256 + mask


@pytest.mark.parametrize(
    ("training", "in_flight"),
    [
        (Training(), [4, 3, 2, 1]),
        (Training(pipeline_schedule="gpipe"), [8, 8, 8, 8]),
        (Training(pipeline_schedule="interleaved", chunks_per_stage=2), [11, 9, 7, 5]),
    ],
    ids=["1f1b", "gpipe", "interleaved"],
)
def test_micro_batches_in_flight(training: Training, in_flight: list[int]) -> None:
    """Micro batches in flight, of 8 in 4 stages: p - i, all, or, in chunks of half a stage, 2 (p - i - 1) + p + 1."""
    training = training.model_copy(update={"flash_attention": True, "dropout": False})
    case = SMALL.changed(nodes=4, pipeline=4, micro_batch=1, layers=8, activation_checkpointing=True, training=training)
    one = 16 * 8 * 4  # a micro batch of hidden states
    layers_and_input = 2 / training.chunks_per_stage + 1
    found = [stage_memory(case, stage, NOTHING).activations / one for stage in range(4)]
    embedding = in_flight[0] / training.chunks_per_stage
    assert found == [
        in_flight[0] * layers_and_input + embedding,
        *(count * layers_and_input for count in in_flight[1:]),
    ]


@given(
    st.sampled_from([1, 2, 4, 8]),
    st.sampled_from([1, 2, 4]),
    st.integers(1, 4),
    st.integers(1, 12),
    st.booleans(),
    st.sampled_from(["1f1b", "gpipe", "interleaved"]),
    st.integers(0, 3),
)
def test_the_peak_is_at_an_end_of_the_pipeline(
    pipeline: int, tensor: int, micro_batch: int, micro_batches: int, recomputed: bool, schedule: str, zero: int
) -> None:
    """No stage between needs more than the first or the last, which alone are looked at."""
    training = Training(pipeline_schedule=schedule, chunks_per_stage=1, zero_stage=zero)
    case = Dimensions(
        nodes=2 * pipeline * tensor,
        ranks_per_node=1,
        data=2,
        tensor=tensor,
        pipeline=pipeline,
        micro_batch=micro_batch,
        global_batch=2 * micro_batch * micro_batches,
        sequence_length=32,
        activation_checkpointing=recomputed,
        layers=8,
        hidden_size=16,
        attention_heads=4,
        vocab_size=200,
        ffn_hidden_size=64,
        training=training,
    )
    found = peak(case, NOTHING)
    stages = [stage_memory(case, stage, NOTHING) for stage in range(pipeline)]
    assert found.later_bytes == max(stage.later_bytes for stage in stages)
    assert found.first_bytes == max(stage.first_bytes for stage in stages)


@pytest.mark.parametrize(
    ("limit_mib", "constants", "verdict"),
    [
        (20000, FUGAKU, "fits"),
        (17000, FUGAKU, "tight"),
        (16000, FUGAKU, "tight"),
        (15000, FUGAKU, "will not fit"),
        (20000, None, "uncertain"),
        (9000, None, "will not fit"),
        (None, FUGAKU, ""),
    ],
)
def test_verdicts(limit_mib: float | None, constants: MemoryConstants | None, verdict: str) -> None:
    """16735 MiB against a limit: 5 % either way is tight; without constants only the hopeless is called so."""
    machine = Machine(scheduler="pjm", memory_mib_per_node=limit_mib)
    workload = Workload(command=("train",), memory_constants=constants)
    assert memory_of(case_of(192, 1, 4), machine, workload, None).verdict == verdict


def test_without_a_factor_of_its_own_nothing_fits() -> None:
    """Constants fitted with recomputation only: a layout without it is uncertain, however much there is."""
    machine = Machine(scheduler="pjm", memory_mib_per_node=90000)
    workload = Workload(command=("train",), memory_constants=FUGAKU)
    memory = memory_of(case_of(384, 1, 8, recomputed=False), machine, workload, None)
    assert (memory.verdict, memory.source) == ("uncertain", "workload.memory_constants, without a factor for no AC")


def test_what_is_predicted_to_fit_is_not_hopeless() -> None:
    """Constants of a lean stack, half of what tensors take: what fits by them may run, though no other stack took less.

    Without recomputation it takes 24970 MiB by the factor 0.5 that is known, and 33383 by the least of others, 0.7.
    """
    machine = Machine(scheduler="pjm", memory_mib_per_node=30000)
    lean = MemoryConstants(process_mib=1836, allocator_factor=0.5)
    workload = Workload(command=("train",), memory_constants=lean)
    memory = memory_of(case_of(384, 1, 8, recomputed=False), machine, workload, None)
    assert memory.bytes is not None and memory.bytes < 30000 * MIB < 0.95 * memory.least_bytes
    assert memory.verdict == "uncertain"


@pytest.mark.parametrize(
    ("error", "recomputed", "source"),
    [
        (0.04, True, "6 runs of campaign june"),
        (0.06, True, "{}; 6 runs of campaign june leave an error of more than 5 %"),
        (0.04, False, "{}, without a factor for no AC; no run of its kind tells"),
    ],
)
def test_why_a_peak_does_not_go_by_runs(error: float, recomputed: bool, source: str) -> None:
    """Constants of runs that are 6 % off, or of another recomputation, give way to others, and that is said."""
    machine = Machine(scheduler="pjm", memory_mib_per_node=30000)
    model = MemoryModel(FUGAKU, ((0.0,) * 3,) * 3, error, 6)
    calibration, case = Calibration("june", TimeFit(), MemoryFit(model)), case_of(384, 1, 8, recomputed=recomputed)
    workload = Workload(command=("train",), memory_constants=FUGAKU)
    found = memory_of(case, machine, workload, calibration)
    assert found.source == source.format("workload.memory_constants")
    if error > 0.05:
        guess = memory_of(case, machine, Workload(command=("train",)), calibration)
        assert guess.source == source.format("a guess").replace(";", ":")


def test_a_layer_of_llama_keeps_what_its_matrices_and_norms_read() -> None:
    """Of 70B with flash attention, sequence parallelism and no dropout 16.75 hidden states of bf16 a layer.

    4 of norms and their outputs, 2.25 of q, k, v and the output of attention, 10.5 of gate, up and their product; the
    sums of exponentials are left out. Whole peaks of Megatron-LM on eight B200 are published by SimuMax (v1.2).
    """
    sizes = read_model("llama3-70b").model.sizes | {"layers": 12}
    training = Training(flash_attention=True, dropout=False, sequence_parallel=True, tied_embeddings=False)
    case = Dimensions(
        **sizes,
        nodes=1,
        ranks_per_node=8,
        tensor=8,
        pipeline=1,
        micro_batch=1,
        global_batch=4,
        sequence_length=4096,
        activation_checkpointing=False,
        precision="bf16",
        training=training,
    )
    hidden = 4096 * 8192 * 2
    stage_input_and_embedding = 2 * hidden
    assert stage_memory(case, 0, NOTHING).activations == 12 * 16.75 * hidden / 8 + stage_input_and_embedding


# A layer of Llama: s 16, b 2, h 8, f 24, q 8, k 4 wide, without dropout and scores: all of 32 tokens.
LLAMA = SMALL.changed(
    kv_heads=1,
    ffn_hidden_size=24,
    gated_ffn=True,
    norm="rmsnorm",
    positions="rotary",
    biases="none",
    layers=1,
    tied_embeddings=False,
    training=Training(flash_attention=True, dropout=False, fused_kernels=False, context_gathers=True),
)


@pytest.mark.parametrize(
    ("axes", "elements"),
    [
        ({}, (4 + 2) * 8 + 4 * 24 + (8 + 2 * 4) + (8 + 4) + 2 * 8),
        ({"precision": "bf16"}, (2 + 2 * (2 + 2)) * 8 + 4 * 24 + (8 + 2 * 4) + (8 + 4) + 2 * 8),
        ({"training": Training(flash_attention=True, dropout=False)}, 4 * 8 + 3 * 24 + (8 + 2 * 4) + 8),
        ({"activation_checkpointing": True, "recomputation": "selective"}, 6 * 8 + 4 * 24 + 16 + 12 + 8),
        ({"nodes": 2, "tensor": 2, "kv_heads": 2, "head_width": 2, "attention_heads": 4}, 48 + (96 + 16 + 12 + 16) / 2),
    ],
    ids=["plain", "bf16", "fused", "selective", "tensor parallelism"],
)
def test_a_layer_of_plain_operations(axes: dict[str, object], elements: float) -> None:
    """States read by norms, normalised, their outputs; gate, SiLU, up, product; q, k, v; q, k turned; output twice."""
    case = LLAMA.changed(**axes)
    size = 2 if case.precision == "bf16" else 4
    stage_input_and_embedding = 2 * 32 * 8 * size
    assert stage_memory(case, 0, NOTHING).activations == 32 * elements * size + stage_input_and_embedding


def test_keys_and_values_gathered_over_context() -> None:
    """Of 16 tokens of a rank q turned and the output twice, keys and values of 32, and a mask of 4 x 4 and 4 x 16.

    A sample of 16 has four pieces; a rank's two see 4 and 16 keys, the other's 8 and 12: 80 elements in both cases.
    """
    case = LLAMA.changed(nodes=2, context=2)
    elements = 6 * 8 + 4 * 24 + 3 * 8 + 2 * 2 * 4
    stage_input_and_embedding = 2 * 16 * 8 * 4
    assert stage_memory(case, 0, NOTHING).activations == 4 * (16 * elements + 80) + stage_input_and_embedding


def test_a_loss_of_plain_operations() -> None:
    """12 bytes a logit, split over tensor parallelism 16 of each half, and one hidden state."""
    assert stage_memory(LLAMA, 0, NOTHING).logits == 32 * (128 * 12 + 8 * 4)
    halves = LLAMA.changed(nodes=2, tensor=2, vocab_size=256, kv_heads=2)
    assert stage_memory(halves, 0, NOTHING).logits == 32 * (128 * 16 + 8 * 4)


@pytest.mark.parametrize(("error_percent", "verdict"), [(5, "fits"), (15, "tight"), (40, "tight")])
def test_constants_that_are_far_off_decide_less(error_percent: float, verdict: str) -> None:
    """16735 MiB of 19000 fit where the constants were 5 % off, and are too near the limit where they were 15 % off."""
    constants = FUGAKU.model_copy(update={"error_percent": error_percent})
    machine = Machine(scheduler="pjm", memory_mib_per_node=19000)
    workload = Workload(command=("train",), memory_constants=constants)
    assert memory_of(case_of(192, 1, 4), machine, workload, None).verdict == verdict
    small = Machine(scheduler="pjm", memory_mib_per_node=12000)
    expected = "tight" if error_percent == 40 else "will not fit"
    assert memory_of(case_of(192, 1, 4), small, workload, None).verdict == expected


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("mixtral-8x7b", "no formula is known for the activations of a mixture of experts"),
        ("deepseek-v3", "no formula is known for the activations of a mixture of experts and latent attention"),
    ],
)
def test_what_no_formula_knows_is_unknown_and_not_pruned(name: str, reason: str) -> None:
    """Where activations are unknown there is no peak and no verdict, but the reason."""
    case = SMALL.changed(**read_model(name).model.sizes)
    memory = memory_of(case, Machine(scheduler="local", memory_mib_per_node=100), Workload(command=("train",)), None)
    assert (memory.bytes, memory.verdict, memory.source) == (None, "", reason)


def test_stages_of_different_sizes() -> None:
    """A layer has 872 parameters, embedding and positions 1152: one layer in the first stage, three in the last."""
    case = SMALL.changed(nodes=2, pipeline=2, training=Training(first_stage_layers=1))
    weights = [stage_memory(case, stage, NOTHING).weights / 4 for stage in (0, 1)]
    assert weights == [872 + 1024 + 128, 3 * 872 + 16 + 1024]


def test_a_stage_between_the_ends_may_need_most() -> None:
    """Where embedding and loss count as layers, stages 3, 4 and 3 keep 8 micro batches each under GPipe."""
    rules = {"pipeline_schedule": "gpipe", "embedding_as_layer": True, "loss_as_layer": True}
    case = SMALL.changed(nodes=3, pipeline=3, layers=10, micro_batch=1, training=Training(**rules))
    assert [case.stage_layers(stage) for stage in range(3)] == [3, 4, 3]
    assert peak(case, NOTHING).stage == 1


def test_a_group_shares_one_copy() -> None:
    """ZeRO 3 over eight replicas leaves an eighth of the weights, in groups of two a half; CP counts as replicas."""
    small = SMALL.changed(micro_batch=1, nodes=8)
    whole = small.changed(data=8, training=Training(zero_stage=3))
    grouped = small.changed(data=8, sharding="hsdp", sharding_group=2)
    with_context = small.changed(data=4, context=2, training=Training(zero_stage=3))
    of_one = stage_memory(SMALL, 0, NOTHING).weights
    assert [of_one / stage_memory(case, 0, NOTHING).weights for case in (whole, grouped, with_context)] == [8, 2, 8]


def test_some_layers_are_recomputed() -> None:
    """One of four layers recomputed takes what is kept a quarter of the way from all of it to the layers' inputs."""
    cases = [SMALL.changed(activation_checkpointing=True, recomputed_layers=count) for count in (1, 4)]
    one, four = [stage_memory(case, 0, NOTHING).activations for case in cases]
    none = stage_memory(SMALL, 0, NOTHING).activations
    assert one == pytest.approx(none + (four - none) / 4)
    assert four == stage_memory(SMALL.changed(activation_checkpointing=True), 0, NOTHING).activations


@pytest.mark.parametrize(
    ("axes", "reason"),
    [
        ({"precision": "mxfp8"}, "no formula is known for what is kept in mxfp8"),
        ({"offload": "optimizer"}, "no formula is known for what stays on the device with offload optimizer"),
    ],
)
def test_memory_that_no_formula_knows(axes: dict[str, str], reason: str) -> None:
    """What 8-bit formats and offloading leave on a device is unknown, and said to be."""
    machine, workload = Machine(scheduler="slurm", memory_mib_per_node=1), Workload(command=("train",))
    memory = memory_of(SMALL.changed(**axes), machine, workload, None)
    assert (memory.bytes, memory.verdict, memory.source) == (None, "", reason)
    assert memory_of(SMALL.changed(precision="tf32"), machine, workload, None).bytes == peak_in_fp32(machine, workload)


def peak_in_fp32(machine: Machine, workload: Workload) -> float | None:
    """The peak of the small case in fp32, whose tensors tf32 has too."""
    return memory_of(SMALL, machine, workload, None).bytes
