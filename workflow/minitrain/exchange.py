"""Exchanges between ranks in the middle of a layer, each with what its backward pass exchanges in turn.

`Links` says over which: ranks that share a sample (context), hold other experts, or split matrices (tensor).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
import torch.distributed as dist
import torch.nn.functional as F

from minitrain.timers import timed

Group = dist.ProcessGroup
# Torch before 2.13 has other names for these two.
gather_into = getattr(dist, "all_gather_single", None) or dist.all_gather_into_tensor
reduce_scatter_into = getattr(dist, "reduce_scatter_single", None) or dist.reduce_scatter_tensor


@dataclass(frozen=True)
class Links:
    """What the layers of a rank must know of other ranks; a group of None is this rank alone.

    `places`: this rank's tokens by their places in the sample; `rotation`: cosines and sines of rotary positions for
    them, [tokens, half a head]; `masks`: for each of the two pieces of a sample that a rank has under context
    parallelism, which key each query sees.
    """

    context: Group | None = None
    expert: Group | None = None
    tensor: Group | None = None
    places: torch.Tensor | None = None
    rotation: tuple[torch.Tensor, torch.Tensor] | None = None
    masks: tuple[torch.Tensor, ...] = ()


def pieces_of(size: int, index: int) -> tuple[int, int]:
    """The two of 2 x `size` pieces of a sample that a rank has: early and late, so that all have as much to attend to.

    >>> [pieces_of(2, index) for index in (0, 1)]
    [(0, 3), (1, 2)]
    """
    return index, 2 * size - 1 - index


def places_of(length: int, size: int, index: int) -> torch.Tensor:
    """The places in a sample of `length` tokens that the rank `index` of `size` context ranks has: int64."""
    if size == 1:
        return torch.arange(length)
    pieces = torch.arange(length).chunk(2 * size)
    return torch.cat([pieces[number] for number in pieces_of(size, index)])


def in_order(gathered: torch.Tensor, size: int) -> torch.Tensor:
    """Tokens along the first dimension as the sample has them, where they stand rank by rank, two pieces each."""
    pieces = gathered.chunk(2 * size)
    stands = [number for index in range(size) for number in pieces_of(size, index)]
    return torch.cat([pieces[stands.index(number)] for number in range(2 * size)])


def _apply(function: type[torch.autograd.Function], *arguments: object) -> torch.Tensor:
    """The result of a function with a backward pass of its own."""
    result: torch.Tensor = function.apply(*arguments)  # type: ignore[no-untyped-call]
    return result


class _Gather(torch.autograd.Function):
    """All ranks' parts along the first dimension; where each rank uses the whole its own way gradients are summed."""

    @staticmethod
    def forward(context: Any, part: torch.Tensor, group: Group, summed: bool) -> torch.Tensor:
        context.group, context.summed = group, summed
        whole = part.new_empty((group.size() * part.shape[0], *part.shape[1:]))
        with timed("exchange"):
            gather_into(whole, part.contiguous(), group=group)
        return whole

    @staticmethod
    def backward(context: Any, gradient: torch.Tensor) -> tuple[torch.Tensor, None, None]:
        group: Group = context.group
        if not context.summed:
            return gradient.chunk(group.size())[group.rank()], None, None
        part = gradient.new_empty((gradient.shape[0] // group.size(), *gradient.shape[1:]))
        with timed("exchange"):
            reduce_scatter_into(part, gradient.contiguous(), group=group)
        return part, None, None


class _Share(torch.autograd.Function):
    """This rank's share along the first dimension of what all ranks of a group have; the inverse of a gather."""

    @staticmethod
    def forward(context: Any, whole: torch.Tensor, group: Group) -> torch.Tensor:
        context.group = group
        return whole.chunk(group.size())[group.rank()].contiguous()

    @staticmethod
    def backward(context: Any, gradient: torch.Tensor) -> tuple[torch.Tensor, None]:
        return _apply(_Gather, gradient, context.group, False), None


class _Swap(torch.autograd.Function):
    """All-to-all along the first dimension: `sent[i]` rows to rank i, `received[i]` rows from it."""

    @staticmethod
    def forward(
        context: Any, rows: torch.Tensor, sent: Sequence[int], received: Sequence[int], group: Group
    ) -> torch.Tensor:
        context.sizes = sent, received, group
        result = rows.new_empty((sum(received), *rows.shape[1:]))
        with timed("exchange"):
            dist.all_to_all_single(result, rows.contiguous(), list(received), list(sent), group=group)
        return result

    @staticmethod
    def backward(context: Any, gradient: torch.Tensor) -> tuple[torch.Tensor, None, None, None]:
        sent, received, group = context.sizes
        return _apply(_Swap, gradient, received, sent, group), None, None, None


def gather_tokens(key: torch.Tensor, value: torch.Tensor, group: Group) -> tuple[torch.Tensor, torch.Tensor]:
    """Keys and values of the whole sample: [batch, heads, tokens, width] of this rank's tokens to those of all."""
    both = torch.stack([key, value]).permute(3, 0, 1, 2, 4)
    whole = in_order(_apply(_Gather, both, group, True), group.size())
    keys, values = whole.permute(1, 2, 3, 0, 4).unbind(0)
    return keys, values


def share(whole: torch.Tensor, group: Group | None) -> torch.Tensor:
    """This rank's share of rows that all ranks of the group have."""
    return whole if group is None else _apply(_Share, whole, group)


def gather(part: torch.Tensor, group: Group | None) -> torch.Tensor:
    """The rows of all ranks of the group, which all go on with the same work on them."""
    return part if group is None else _apply(_Gather, part, group, False)


def swap(rows: torch.Tensor, sent: Sequence[int], received: Sequence[int], group: Group | None) -> torch.Tensor:
    """Rows that the ranks of the group send each other, in the order of the ranks they come from."""
    return rows if group is None else _apply(_Swap, rows, sent, received, group)


def swap_counts(counts: torch.Tensor, group: Group | None) -> torch.Tensor:
    """How many rows come from each rank for each expert of this rank, [ranks, experts]; given: for each expert of all.

    Row `i` of what is given, shaped alike, says what this rank sends to the experts of rank i.
    """
    if group is None:
        return counts
    received = torch.empty_like(counts)
    with timed("exchange"):
        dist.all_to_all_single(received, counts, group=group)
    return received


def attend(query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, links: Links) -> torch.Tensor:
    """Causal attention of this rank's tokens: [batch, heads, tokens, width]; fewer heads of keys are shared."""
    shared = key.shape[1] != query.shape[1]
    if links.context is None:
        return F.scaled_dot_product_attention(query, key, value, is_causal=True, enable_gqa=shared)
    key, value = gather_tokens(key, value, links.context)
    found = [
        F.scaled_dot_product_attention(
            piece, key[:, :, : mask.shape[1]], value[:, :, : mask.shape[1]], attn_mask=mask, enable_gqa=shared
        )
        for piece, mask in zip(query.chunk(2, dim=2), links.masks, strict=True)
    ]
    return torch.cat(found, dim=2)


def rotate(heads: torch.Tensor, rotation: tuple[torch.Tensor, torch.Tensor]) -> torch.Tensor:
    """Turn the pairs (i, i + half) of each head by its token's angles (Su et al. 2021, arXiv 2104.09864)."""
    cosine, sine = rotation
    first, second = heads.chunk(2, dim=-1)
    return torch.cat([first * cosine - second * sine, second * cosine + first * sine], dim=-1)


def rotations(places: torch.Tensor, width: int, dtype: torch.dtype) -> tuple[torch.Tensor, torch.Tensor]:
    """Cosines and sines by which tokens at these places are turned: [tokens, width / 2]."""
    frequencies = 10000.0 ** (-torch.arange(0, width, 2, device=places.device).double() / width)
    angles = places.double()[:, None] * frequencies
    return angles.cos().to(dtype), angles.sin().to(dtype)


def masks_of(length: int, size: int, index: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Which key each query sees, for the two pieces of a rank: boolean, [queries, keys up to the piece's end]."""
    queries = length // (2 * size)
    first, second = (
        torch.ones(queries, (number + 1) * queries, dtype=torch.bool).tril(number * queries)
        for number in pieces_of(size, index)
    )
    return first, second
