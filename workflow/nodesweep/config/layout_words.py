"""The words that fields of a layout have as values, each with what else people and trainers call it."""

import re
from collections.abc import Mapping
from typing import Literal

import yaml

Precision = Literal["fp32", "tf32", "bf16", "fp16", "fp8", "mxfp8", "nvfp4"]
"""Number formats of matrix products: tf32 is stored as fp32; mxfp8 and nvfp4 scale small blocks of numbers."""
Sharding = Literal["none", "zero1", "zero2", "zero3", "hsdp"]
"""What data-parallel replicas share out: optimizer states, gradients too, weights too, or that within groups."""
Recomputation = Literal["none", "selective", "full"]
"""What is recomputed in the backward pass: nothing, the core of attention, or whole layers."""
Offload = Literal["none", "optimizer", "parameters", "activations", "all"]
"""What is kept in the memory of the host: optimizer states, these with weights and gradients, activations, or all."""

PRECISION_WORDS: Mapping[str, tuple[str, ...]] = {
    "fp32": ("float32", "float", "single"),
    "tf32": ("tensorfloat32",),
    "bf16": ("bfloat16", "bf16-mixed"),
    "fp16": ("float16", "half", "fp16-mixed", "16-mixed"),
    "fp8": ("float8", "e4m3", "hybrid", "fp8-cs", "fp8-ds", "fp8-sc", "fp8-delayed", "fp8-tensorwise"),
    "mxfp8": ("fp8-mx",),
    "nvfp4": ("fp4",),
}
SHARDING_WORDS: Mapping[str, tuple[str, ...]] = {
    "none": ("ddp", "zero0", "0"),
    "zero1": ("1",),
    "zero2": ("2",),
    "zero3": ("fsdp", "fsdp2", "full-shard", "3"),
    "hsdp": ("hybrid-shard",),
}
RECOMPUTATION_WORDS: Mapping[str, tuple[str, ...]] = {
    "none": ("off", "no", "false", "disabled"),
    "selective": ("attention", "core"),
    "full": ("on", "yes", "true", "all"),
}
OFFLOAD_WORDS: Mapping[str, tuple[str, ...]] = {
    "none": ("off", "no", "false"),
    "optimizer": ("optimizer-states",),
    "parameters": ("weights",),
    "activations": (),
    "all": (),
}


def word_of(words: Mapping[str, tuple[str, ...]], text: str) -> str | None:
    """The word that a text stands for, whatever its spelling; None for one that is none of them.

    >>> word_of(PRECISION_WORDS, "MXFP8"), word_of(PRECISION_WORDS, "BF16"), word_of(SHARDING_WORDS, "ZeRO-3")
    ('mxfp8', 'bf16', 'zero3')
    >>> word_of(SHARDING_WORDS, "FSDP"), word_of(PRECISION_WORDS, "int8")
    ('zero3', None)
    """
    wanted = _squeezed(text)
    return next((word for word, others in words.items() if wanted in map(_squeezed, (word, *others))), None)


def other_spellings(words: Mapping[str, tuple[str, ...]]) -> list[str | int | bool]:
    """What else stands for one of the words, as YAML reads it.

    >>> other_spellings({"none": ("off", "ddp"), "zero3": ("fsdp", "3")})
    [False, 'ddp', 'fsdp', 3]
    """
    read = [yaml.safe_load(other) for others in words.values() for other in others]
    return list({repr(value): value for value in read}.values())


def _squeezed(text: str) -> str:
    return re.sub(r"[\s_-]", "", text.casefold())
