"""What a user may say about how a trainer uses memory and time, and what is sought, as checked types."""

from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from .expressions import LAYOUT_NAMES
from .pipeline_layout import check_layout
from .types import OneOfOrParameter, StrictModel

FACTORS = (0.5, 5.0)
Factor = Annotated[float, Field(ge=FACTORS[0], le=FACTORS[1])]
Schedule = Literal["1f1b", "gpipe", "interleaved", "zero-bubble", "other"]
WITH_FORMULA = ("1f1b", "gpipe", "interleaved")
"""The schedules of which formulas tell what a stage keeps and how long it waits."""


class Training(StrictModel):
    """What of a trainer's settings its memory and time depend on, beside the layout; the command must agree with it."""

    pipeline_schedule: Schedule = "1f1b"
    """Order of forward and backward passes in the pipeline. Memory and bubble of `zero-bubble`, where gradients of
    weights are worked out later than those of inputs, and of any `other` are not known."""
    chunks_per_stage: Annotated[int, Field(strict=True, ge=1, le=1000)] = 1
    """Model chunks of each pipeline stage (virtual stages); 1f1b and gpipe have one."""
    micro_batch_group: Annotated[int, Field(strict=True, ge=1, le=10**9)] | None = None
    """Micro batches that a chunk works through before the next one's turn, in the interleaved schedule
    (`--microbatch-group-size-per-virtual-pipeline-stage`); as many as there are stages where left out."""
    embedding_as_layer: bool = False
    """Whether the embedding counts as a layer where layers are split over stages
    (`--account-for-embedding-in-pipeline-split`): the first stage has one layer less."""
    loss_as_layer: bool = False
    """Whether output layer and loss count as a layer there (`--account-for-loss-in-pipeline-split`)."""
    first_stage_layers: Annotated[int, Field(strict=True, ge=1, le=10**6)] | None = None
    """Layers of the first stage (`--decoder-first-pipeline-num-layers`); the other stages share the rest evenly."""
    last_stage_layers: Annotated[int, Field(strict=True, ge=1, le=10**6)] | None = None
    """Layers of the last stage (`--decoder-last-pipeline-num-layers`); the other stages share the rest evenly."""
    balanced_stages: bool = False
    """Whether stages may differ by a layer: what does not divide goes to the first ones, as DeepSpeed and torchtitan
    split; without it the layers, and what counts as one, must divide."""
    pipeline_layout: Annotated[str, AfterValidator(check_layout)] | None = None
    """Which layers each chunk has, chunk by chunk, as Megatron-LM's `--pipeline-model-parallel-layout` says it, such as
    `Et*4|(t*4|)*14,tmL`: E embedding, t layer, m prediction layer, L loss, `|` between chunks."""
    zero_stage: Annotated[int, Field(strict=True, ge=0, le=3)] = 0
    """What the replicas share out: 1 optimizer states, 2 gradients too, 3 weights too (ZeRO, FSDP)."""
    recomputation: Literal["full", "selective"] = "full"
    """What activation_checkpointing recomputes: whole layers, or the core of attention alone."""
    sequence_parallel: bool = False
    """Whether what tensor parallelism does not split is split along the sequence (Megatron's sequence parallelism)."""
    flash_attention: bool = False
    """Whether attention is computed without keeping its sequence x sequence matrices."""
    dropout: bool = True
    """Whether dropout masks are kept."""
    fused_kernels: bool = True
    """Whether gates, RMSNorm and rotary positions are one kernel each; without it what lies between is kept too."""
    context_gathers: bool = False
    """Whether context parallelism keeps the keys and values of whole samples, and the mask of a rank's tokens."""
    tied_embeddings: bool = True
    """Whether the output layer uses the embedding's weights."""

    @property
    def chunks(self) -> int:
        """Model chunks of each pipeline stage, as its schedule has them."""
        return 1 if self.pipeline_schedule in ("1f1b", "gpipe") else self.chunks_per_stage

    @model_validator(mode="after")
    def _one_rule_of_stages(self) -> Self:
        rules = {
            "embedding_as_layer or loss_as_layer": self.embedding_as_layer or self.loss_as_layer,
            "first_stage_layers or last_stage_layers": self.first_stage_layers or self.last_stage_layers,
            "pipeline_layout": self.pipeline_layout,
        }
        given = [name for name, value in rules.items() if value]
        if len(given) > 1 or (self.balanced_stages and given[:1] not in ([], [next(iter(rules))])):
            others = [*given, "balanced_stages"] if self.balanced_stages else given
            raise ValueError(f"{' and '.join(others)} exclude each other; one of them says how layers are split")
        return self


class MemoryConstants(StrictModel):
    """What a software stack adds to the memory its tensors take; fitted to measured peaks once."""

    process_mib: Annotated[float, Field(ge=0, allow_inf_nan=False)]
    """Memory of a rank before the model is built, in MiB: libraries, communication buffers."""
    allocator_factor: Factor | None = None
    """Memory taken for activations over the bytes of their tensors, with activation checkpointing; else unknown."""
    allocator_factor_without_recomputation: Factor | None = None
    """Memory taken for activations over the bytes of their tensors, without activation checkpointing; else unknown."""

    error_percent: Annotated[float, Field(ge=0, lt=100)] = 5.0
    """How far peaks were off by these constants, in percent; a peak nearer than that to the limit is called tight."""

    @model_validator(mode="after")
    def _says_something(self) -> Self:
        if self.allocator_factor is None and self.allocator_factor_without_recomputation is None:
            raise ValueError(
                "gives no factor; give allocator_factor, or allocator_factor_without_recomputation, or both"
            )
        return self


class Search(StrictModel):
    """Which layout is sought."""

    best: Literal["fastest", "cheapest"] = "fastest"
    """The most tokens per second, or the fewest node-hours per token."""
    for_each: tuple[Annotated[str, OneOfOrParameter(lambda: LAYOUT_NAMES, "field of a layout")], ...] = ()
    """Fields for each of whose values the best is sought, such as [nodes]; the best of all where left out."""
    within: Annotated[float, Field(ge=0, le=0.5)] = 0.02
    """Least predicted improvement over the best measured layout for which another runs (0.02 is 2 %)."""
    jobs_at_once: Annotated[int, Field(strict=True, ge=1)] = 2
    """Jobs queued or running at the same time, unless the profile allows fewer; each learns from those before it."""
