"""Bytes a rank needs in each pipeline stage, part by part, in the first iteration and in those after it.

Symbols: L layers, h hidden size, f feed-forward width, a heads, s sequence, V padded vocabulary, t = MP, p = PP, d =
DP, b micro batch, m micro batches per replica; D bytes of an element (4 in fp32, else 2).

Parameters of a stage are those of its parts (performance/model_parts.py): what tensor parallelism splits over t, the
rest whole, V h/t in the first stage, and in the last where it is not also the first or the output layer is not tied.
  weights + gradients + optimizer, bytes each: 4 + 4 + 8 in fp32 (Adam), 2 + 4 + 12 in mixed precision (fp32 gradients,
  fp32 copy of the weights). ZeRO divides by d and by the ranks of context parallelism, or by the ranks of a group:
  the optimizer (1), gradients too (2), weights too (3).
  Source: Rajbhandari et al. 2020 (arXiv 1910.02054), section 3; Megatron-LM's fp32 gradient accumulation.

Activations: those of a layer and micro batch by performance/activations.py. Full recomputation keeps the layer's input,
s b h D, and selective all but the core of attention. A micro batch also keeps the stage's input, in the first stage the
embedding's output, and the b s^2 bytes of the attention mask (none with flash attention).

In flight in stage i (Narayanan et al. 2021, arXiv 2104.04473, section 2.2): min(p - i, m) micro batches (1F1B), all m
(GPipe), or min(2 (p - i - 1) + (v - 1) p + 1, v m) chunks of L / (p v) layers (interleaved, as Megatron-LM warms up,
with another group of micro batches in place of (v - 1) p). Where stages are uneven each has layers of its own.

Working memory: what is recomputed for one layer, one more b a s^2 D / t (not with flash attention), the gradient of the
widest weight, D h f/t (twice that with a gate), with ZeRO 3 the weights of a layer; in the last stage s b V/t (D + 4) +
s b h D for the logits. Without fused kernels the loss has 12 bytes in place of D + 4: in fp32 the logarithms of
probabilities, their gradient and that of the logits; where t > 1 it has 16, since torch's loss_parallel turns the
logarithms back into probabilities. With GPipe m - 1 micro batches wait there for their way back, each with 4 s b V/t of
the loss and what the last norm takes and gives, 2 s b h D.

Peak = C + weights + gradients + optimizer + max(phi (activations + working + logits), 4 bytes a parameter of Adam's
step). In the first iteration the activations meet no moments of Adam yet, 8 bytes a parameter less. C, what a process
takes by itself, and phi, what an allocator takes over what is asked of it, belong to a software stack and are fitted.

A 30B model on Fugaku, fp32, one rank a node (C = 1836 MiB, phi = 1.11); measured were 16622.7, 14356.7, 16632.9 MiB,
and two that ran out of 29150 MiB, the first of them after its first iteration:

>>> constants = MemoryConstants(process_mib=1836, allocator_factor=1.11, allocator_factor_without_recomputation=1.11)
>>> def mib(tensor, data, recomputed):
...     nodes = 48 * tensor * data
...     case = Dimensions(
...         nodes=nodes, ranks_per_node=1, data=data, tensor=tensor, pipeline=48, micro_batch=1, global_batch=1536,
...         sequence_length=2048, activation_checkpointing=recomputed, layers=48, hidden_size=7168, attention_heads=56,
...         vocab_size=50257, ffn_hidden_size=4 * 7168)
...     found = peak(case, constants)
...     return round(found.later_bytes / MIB), round(found.first_bytes / MIB), found.stage
>>> mib(4, 1, True), mib(8, 1, True), mib(4, 16, True)
((16735, 14753, 0), (14173, 13123, 0), (16735, 14753, 0))
>>> mib(1, 1, True), mib(8, 1, False)
((32103, 24535, 0), (50630, 49580, 0))
"""

from dataclasses import dataclass

from nodesweep.common.units import MIB
from nodesweep.config.training import MemoryConstants

from .activations import (
    FP32_BYTES,
    WIDE,
    element_bytes,
    hidden_bytes,
    is_plain,
    layer_bytes,
    score_bytes,
    tokens_of_rank,
)
from .dimensions import Dimensions, unknown_parts, unknown_schedule
from .model_parts import Place

ADAM_MOMENT_BYTES = 8
ADAM_STEP_BYTES = 4
_STATE_BYTES = dict.fromkeys(WIDE, (4, 4, 8))
_MIXED_STATE_BYTES = (2, 4, 12)
_FEW_BITS = ("fp8", "mxfp8", "nvfp4")
"""Formats in which a trainer keeps some tensors, and others not."""


@dataclass(frozen=True)
class StageMemory:
    """Bytes of a rank in one pipeline stage, each part by itself.

    `activations`, `working` and `logits` are those of tensors; `factor` is what an allocator makes of them. `moments`:
    the part of `optimizer` that exists only after the first iteration. `step`: what the optimizer's step takes.
    """

    stage: int
    process: float
    weights: float
    gradients: float
    optimizer: float
    moments: float
    activations: float
    working: float
    logits: float
    step: float
    factor: float

    @property
    def state_bytes(self) -> float:
        """Weights, gradients and optimizer."""
        return self.weights + self.gradients + self.optimizer

    @property
    def tensor_bytes(self) -> float:
        """Tensors of the forward and backward pass."""
        return self.activations + self.working + self.logits

    @property
    def later_bytes(self) -> float:
        """Peak of every iteration but the first."""
        return self.process + self.state_bytes + max(self.factor * self.tensor_bytes, self.step)

    @property
    def first_bytes(self) -> float:
        """Peak of the first iteration."""
        passes = self.state_bytes - self.moments + self.factor * self.tensor_bytes
        return self.process + max(passes, self.state_bytes + self.step)


@dataclass(frozen=True)
class MemoryPeak:
    """The most a rank of any stage needs: in the first iteration, later, and the parts of the stage it is of."""

    first_bytes: float
    later_bytes: float
    of: StageMemory

    @property
    def highest_bytes(self) -> float:
        """The peak of the whole run."""
        return max(self.later_bytes, self.first_bytes)

    @property
    def stage(self) -> int:
        """The stage with the highest peak."""
        return self.of.stage


def peak(case: Dimensions, constants: MemoryConstants) -> MemoryPeak:
    """The most a rank of any stage needs. None between the first and the last needs more, unless stages are uneven."""
    looked_at = range(case.pipeline) if case.has_uneven_stages else sorted({0, case.pipeline - 1})
    stages = [stage_memory(case, stage, constants) for stage in looked_at]
    return MemoryPeak(
        first_bytes=max(stage.first_bytes for stage in stages),
        later_bytes=max(stage.later_bytes for stage in stages),
        of=max(stages, key=lambda stage: stage.later_bytes),
    )


def fitted_factor(case: Dimensions, constants: MemoryConstants) -> float | None:
    """The allocator's factor of a case; None where it was never fitted for such a recomputation."""
    with_it, without = constants.allocator_factor, constants.allocator_factor_without_recomputation
    return with_it if case.activation_checkpointing else without


def _factor(case: Dimensions, constants: MemoryConstants) -> float:
    """The allocator's factor of a case, or that of the other recomputation where it was never fitted for this one."""
    fitted = fitted_factor(case, constants)
    other = constants.allocator_factor or constants.allocator_factor_without_recomputation
    return float(fitted or other or 1.0)


def no_formula(case: Dimensions) -> str:
    """Why no formula of memory holds for a case; empty where one does."""
    if case.other_parts:
        return unknown_parts(case)
    kinds = {"experts": "a mixture of experts", "kv_lora_rank": "latent attention", "prediction_layers": "MTP layers"}
    found = [kind for name, kind in kinds.items() if case.maybe(name)]
    if found:
        return f"no formula is known for the activations of {' and '.join(found)}"
    if (offload := case.maybe("offload")) not in (None, "none"):
        return f"no formula is known for what stays on the device with offload {offload}"
    if case.precision in _FEW_BITS:
        return f"no formula is known for what is kept in {case.precision}"
    schedule = unknown_schedule(case)
    return f"memory of {schedule} is not known" if schedule else ""


def stage_memory(case: Dimensions, stage: int, constants: MemoryConstants) -> StageMemory:
    """Bytes of a rank in a stage, counted from 0; for cases of which `no_formula` has nothing to say."""
    count, zero = parameters(case, stage), case.training.zero_stage
    weights, gradients, optimizer = state_bytes(case.precision)
    replicas = case.maybe("sharding_group") or case.data * case.degree("context")
    shared = [replicas if zero >= least else 1 for least in (3, 2, 1)]
    last = stage == case.pipeline - 1
    return StageMemory(
        stage=stage,
        process=constants.process_mib * MIB,
        weights=weights * count / shared[0],
        gradients=gradients * count / shared[1],
        optimizer=optimizer * count / shared[2],
        moments=ADAM_MOMENT_BYTES * count / shared[2],
        activations=_in_flight(case, stage),
        working=_working(case),
        logits=_logits(case) if last else 0.0,
        step=ADAM_STEP_BYTES * count / shared[2],
        factor=_factor(case, constants),
    )


def state_bytes(precision: str) -> tuple[int, int, int]:
    """Bytes of a parameter's weight, gradient and optimizer state.

    >>> state_bytes("fp32"), state_bytes("bf16")
    ((4, 4, 8), (2, 4, 12))
    """
    return _STATE_BYTES.get(precision, _MIXED_STATE_BYTES)


def parameters(case: Dimensions, stage: int) -> float:
    """Parameters a rank holds in a stage; of a mixture of experts those of an average stage.

    >>> case = Dimensions(  # two stages of one layer, h = 4, V = 256
    ...     tensor=2, pipeline=2, sequence_length=8, layers=2, hidden_size=4, vocab_size=128, ffn_hidden_size=16)
    >>> parameters(case, 0), parameters(case, 1)  # (64 + 128 + 12 + 16) / 2 + 24 = 134, + 512 + 32, and + 512 + 8
    (678.0, 654.0)
    """
    first, last = stage == 0, stage == case.pipeline - 1
    at = _of_rank(case)
    layers = at["layers"] + at["dense layers"] + at["expert layers"]
    count = layers * case.stage_layers(stage) / case.layers if case.has_uneven_stages else layers / case.pipeline
    if first:
        count += at["first stage"]
    if last:
        count += at["last stage"]
        if case.tied_embeddings and not first:  # a copy of the embedding
            count += case.vocabulary * case.hidden_size / case.tensor
    return count


def _of_rank(case: Dimensions) -> dict[Place, float]:
    """Parameters that a rank holds of all layers and of both ends, by place; the vocabulary padded."""
    found = case.padded_parts
    over = {"": 1, "tensor": case.tensor, "experts": case.degree("expert") * case.degree("expert_tensor")}
    at: dict[Place, float] = dict.fromkeys(found.copies, 0.0)
    for part in found.parts:
        at[part.place] += found.copies[part.place] * part.parameters / over[part.split]
    return at


def _layer_parameters(case: Dimensions) -> float:
    """Parameters of a layer that a rank holds, of all layers on average."""
    at = _of_rank(case)
    return (at["layers"] + at["dense layers"] + at["expert layers"]) / case.layers


def _in_flight(case: Dimensions, stage: int) -> float:
    """Bytes of activations kept for the micro batches, or chunks of them, that a stage has under way."""
    training, stages, waiting = case.training, case.pipeline, case.micro_batches
    chunks = 1
    if _keeps_all(case):
        under_way = waiting
    elif training.pipeline_schedule == "interleaved":
        chunks = training.chunks_per_stage
        group = training.micro_batch_group or stages
        under_way = min(2 * (stages - stage - 1) + (chunks - 1) * group + 1, chunks * waiting)
    else:
        under_way = min(stages - stage, waiting)
    hidden, mask = hidden_bytes(case), 0 if training.flash_attention else case.micro_batch * case.sequence_length**2
    kept = _kept_of_chunk(case, case.stage_layers(stage) / chunks, chunks) + hidden + mask
    embedded = hidden * under_way / chunks if stage == 0 else 0
    return under_way * kept + embedded


def _kept_of_chunk(case: Dimensions, layers: float, chunks: int) -> float:
    """Bytes of the layers of a chunk and a micro batch that are kept for the backward pass."""
    around, core = layer_bytes(case)
    if not case.activation_checkpointing:
        return layers * (around + core)
    of_stage = case.maybe("recomputed_layers")
    recomputed = min(of_stage / chunks, layers) if of_stage else layers
    kept = hidden_bytes(case) if case.training.recomputation == "full" else around
    return recomputed * kept + (layers - recomputed) * (around + core)


def _working(case: Dimensions) -> float:
    """Bytes of working memory."""
    around, core = layer_bytes(case)
    size, training = element_bytes(case), case.training
    recomputed = 0.0
    if case.activation_checkpointing:
        recomputed = around + core if training.recomputation == "full" else core
    gathered = size * _layer_parameters(case) if training.zero_stage == 3 else 0.0
    widest = size * case.hidden_size * case.ffn_hidden_size * (2 if case.gated_ffn else 1) / case.tensor
    return recomputed + score_bytes(case) + widest + gathered


def _logits(case: Dimensions) -> float:
    """Bytes of the logits, of what the loss makes of them in fp32, and of the gradient of the hidden states.

    With GPipe also what the loss and the norm before it keep of the micro batches that wait for their way back.
    """
    plain_bytes = (3 if case.tensor == 1 else 4) * FP32_BYTES
    each = plain_bytes if is_plain(case) else element_bytes(case) + FP32_BYTES
    logits, hidden = tokens_of_rank(case) * case.vocabulary / case.tensor, hidden_bytes(case)
    waiting = case.micro_batches - 1 if _keeps_all(case) else 0
    return logits * each + hidden + waiting * (FP32_BYTES * logits + 2 * hidden)


def _keeps_all(case: Dimensions) -> bool:
    """Whether all micro batches are forward before the first goes back; without a pipeline they never are."""
    return case.training.pipeline_schedule == "gpipe" and case.pipeline > 1
