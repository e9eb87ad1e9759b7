"""What a user may say about how a trainer uses memory and time, and what is sought, as checked types."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from .expressions import LAYOUT_NAMES
from .types import OneOfOrParameter, StrictModel

FACTORS = (0.5, 5.0)
Factor = Annotated[float, Field(ge=FACTORS[0], le=FACTORS[1])]
Schedule = Literal["1f1b", "gpipe", "interleaved"]


class Training(StrictModel):
    """What of a trainer's settings its memory and time depend on, beside the layout; the command must agree with it."""

    pipeline_schedule: Schedule = "1f1b"
    """Order of forward and backward passes in the pipeline."""
    chunks_per_stage: Annotated[int, Field(strict=True, ge=1, le=1000)] = 1
    """Model chunks of each pipeline stage (virtual stages) of the interleaved schedule."""
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
    tied_embeddings: bool = True
    """Whether the output layer uses the embedding's weights."""


class MemoryConstants(StrictModel):
    """What a software stack adds to the memory its tensors take; fitted to measured peaks once."""

    process_mib: Annotated[float, Field(ge=0, allow_inf_nan=False)]
    """Memory of a rank before the model is built, in MiB: libraries, communication buffers."""
    allocator_factor: Factor | None = None
    """Memory taken for activations over the bytes of their tensors, with activation checkpointing; else unknown."""
    allocator_factor_without_recomputation: Factor | None = None
    """Memory taken for activations over the bytes of their tensors, without activation checkpointing; else unknown."""

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
