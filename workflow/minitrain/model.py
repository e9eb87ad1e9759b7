"""A decoder such as GPT-2, Llama or Mixtral, in pipeline stages, with weights that depend on their names alone."""

import hashlib
import math
from collections.abc import Callable
from functools import partial

import torch
import torch.nn.functional as F
from torch import nn

from minitrain.arguments import Arguments
from minitrain.distributed_tensors import is_distributed
from minitrain.exchange import Links, attend, gather, rotate, share, swap, swap_counts

INITIAL_DEVIATION = 0.02


class Linear(nn.Linear):
    """A linear layer without random numbers at first: `initial_value` gives them."""

    def reset_parameters(self) -> None:
        """Leave the weights as they are: on the meta device torch's own method loads the compiler (torch._dynamo)."""


class TokenTable(nn.Embedding):
    """An embedding without random numbers at first: `initial_value` gives them."""

    def reset_parameters(self) -> None:
        """Leave the weights as they are, for the reason given in `Linear`."""


class Attention(nn.Module):
    """Causal self-attention over [batch, sequence, hidden].

    The rows of `qkv` are ordered group by group (the queries that share a key, the key, the value of group 0, then
    of group 1, ...): an even split of the rows is a split by groups, and the rows of this rank give its number of them.
    """

    def __init__(self, given: Arguments, links: Links) -> None:
        super().__init__()
        self.links, self.width = links, given.kv_channels
        self.queries = given.num_attention_heads // given.num_query_groups
        self.core = checkpointed(attend) if given.recompute_granularity == "selective" else attend
        rows = (given.num_attention_heads + 2 * given.num_query_groups) * self.width
        self.qkv = Linear(given.hidden_size, rows, bias=given.add_bias_linear or given.add_qkv_bias)
        self.projection = Linear(given.num_attention_heads * self.width, given.hidden_size, bias=given.add_bias_linear)

    def forward(self, hidden: torch.Tensor) -> torch.Tensor:
        groups = self.qkv(hidden).unflatten(-1, (-1, self.queries + 2, self.width)).transpose(1, 2)
        query = groups[:, :, :, :-2].transpose(2, 3).flatten(1, 2) if self.queries > 1 else groups[:, :, :, 0]
        key, value = groups[:, :, :, -2], groups[:, :, :, -1]
        if self.links.rotation is not None:
            query, key = rotate(query, self.links.rotation), rotate(key, self.links.rotation)
        mixed = self.core(query, key, value, self.links)
        output: torch.Tensor = self.projection(mixed.transpose(1, 2).flatten(2))
        return output


def checkpointed(function: Callable[..., torch.Tensor]) -> Callable[..., torch.Tensor]:
    """A function whose inputs alone are kept for the backward pass."""
    from torch.utils.checkpoint import checkpoint

    return partial(checkpoint, function, use_reentrant=False, preserve_rng_state=False)


class Mlp(nn.Module):
    """The linear layers of a block: two with GELU between, or three where SiLU of one gates the other (SwiGLU)."""

    def __init__(self, given: Arguments, inner_size: int) -> None:
        super().__init__()
        bias = given.add_bias_linear
        self.gate = Linear(given.hidden_size, inner_size, bias=bias) if given.swiglu else None
        self.up = Linear(given.hidden_size, inner_size, bias=bias)
        self.down = Linear(inner_size, given.hidden_size, bias=bias)

    def forward(self, hidden: torch.Tensor) -> torch.Tensor:
        inner = F.gelu(self.up(hidden)) if self.gate is None else F.silu(self.gate(hidden)) * self.up(hidden)
        output: torch.Tensor = self.down(inner)
        return output


class Experts(nn.Module):
    """This rank's experts; parameters carry their numbers among all experts of the layer."""

    def __init__(self, given: Arguments, links: Links) -> None:
        super().__init__()
        count = (given.num_experts or 0) // given.expert_model_parallel_size
        first = count * (links.expert.rank() if links.expert else 0)
        self.each = nn.ModuleDict({str(n): Mlp(given, given.moe_ffn_hidden_size) for n in range(first, first + count)})

    def forward(self, rows: torch.Tensor, counts: list[int]) -> torch.Tensor:
        """Each expert's rows, which stand one expert after the other; one without rows has gradients of zero."""
        pieces = torch.split(rows, counts)
        return torch.cat([expert(piece) for expert, piece in zip(self.each.values(), pieces, strict=True)])


class Mixture(nn.Module):
    """A mixture of experts: each token goes to the `topk` that the router prefers, none is dropped.

    There is no loss for balance beside that of the model: it would depend on how the batch is cut.
    """

    def __init__(self, given: Arguments, links: Links) -> None:
        super().__init__()
        self.links, self.chosen, self.ranks = links, given.moe_router_topk, given.expert_model_parallel_size
        self.router = Linear(given.hidden_size, given.num_experts or 0, bias=False)
        self.experts = Experts(given, links)

    def forward(self, hidden: torch.Tensor) -> torch.Tensor:
        rows = hidden.flatten(0, 1)
        scores = F.linear(rows.float(), self.router.weight.float()).softmax(-1)
        weights, experts = scores.topk(self.chosen)
        if self.chosen > 1:
            weights = weights / weights.sum(-1, keepdim=True)
        tensor = self.links.tensor  # ranks that have the same tokens: each sends its share of them
        mixed = self._mix(share(rows, tensor), share(weights, tensor), share(experts, tensor))
        return gather(mixed, tensor).view_as(hidden)

    def _mix(self, rows: torch.Tensor, weights: torch.Tensor, experts: torch.Tensor) -> torch.Tensor:
        """Send rows to their experts, and add up what comes back, by the weights."""
        order = experts.flatten().argsort(stable=True)
        counts = experts.flatten().bincount(minlength=self.router.weight.shape[0]).view(self.ranks, -1)
        arriving = swap_counts(counts, self.links.expert)
        sent, received = counts.sum(1).tolist(), arriving.sum(1).tolist()
        there = swap(rows[order // self.chosen], sent, received, self.links.expert)
        numbers = torch.arange(arriving.shape[1], device=rows.device).repeat(self.ranks)
        by_expert = numbers.repeat_interleave(arriving.flatten()).argsort(stable=True)
        done = self.experts(there[by_expert], arriving.sum(0).tolist())
        back = swap(done[by_expert.argsort()], received, sent, self.links.expert)
        weighted = back * weights.flatten()[order, None].to(back.dtype)
        return torch.zeros_like(rows).index_add(0, order // self.chosen, weighted)


class Block(nn.Module):
    """One transformer layer, a norm before each half."""

    def __init__(self, given: Arguments, links: Links) -> None:
        super().__init__()
        self.attention_norm = norm(given)
        self.attention = Attention(given, links)
        self.mlp_norm = norm(given)
        self.mlp = Mixture(given, links) if given.num_experts else Mlp(given, given.ffn_hidden_size)

    def forward(self, hidden: torch.Tensor) -> torch.Tensor:
        hidden = hidden + self.attention(self.attention_norm(hidden))
        output: torch.Tensor = hidden + self.mlp(self.mlp_norm(hidden))
        return output


def norm(given: Arguments) -> nn.Module:
    """A norm of the hidden states."""
    if given.normalization == "RMSNorm":
        return nn.RMSNorm(given.hidden_size, eps=1e-5)
    return nn.LayerNorm(given.hidden_size)


class Embedding(nn.Module):
    """Token embeddings, and learned ones of positions: int64 [batch, sequence] to [batch, sequence, hidden]."""

    def __init__(self, given: Arguments, links: Links) -> None:
        super().__init__()
        self.places = links.places
        self.tokens = TokenTable(given.vocab_size, given.hidden_size)
        learned = given.position_embedding_type == "learned_absolute"
        self.positions = nn.Parameter(torch.empty(given.seq_length, given.hidden_size)) if learned else None

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        embedded: torch.Tensor = self.tokens(tokens)
        if self.positions is None:
            return embedded
        return embedded + (self.positions if self.places is None else self.positions[self.places])


class Head(nn.Module):
    """Final norm, logits and cross-entropy in fp32: the mean loss over all tokens of a micro batch."""

    def __init__(self, given: Arguments) -> None:
        super().__init__()
        self.norm = norm(given)
        self.output = Linear(given.hidden_size, given.vocab_size, bias=False)

    def forward(self, hidden: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        logits = self.output(self.norm(hidden)).flatten(0, 1)
        loss = F.cross_entropy(logits.float(), targets.flatten())
        # The loss is a DTensor where the vocabulary is split; cloned, because FSDP2 warns of modules that return views.
        return loss.to_local().clone() if is_distributed(loss) else loss


class Stage(nn.Module):
    """A run of layers, with the embedding before the first and the head after the last.

    Parameters carry the names they have in the whole model, e.g. `layers.3.attention.qkv.weight`.
    """

    def __init__(self, given: Arguments, index: int, links: Links) -> None:
        super().__init__()
        per_stage = given.num_layers // given.stages
        self.embedding = Embedding(given, links) if index == 0 else None
        self.layers = nn.ModuleDict(
            {str(layer): Block(given, links) for layer in range(index * per_stage, (index + 1) * per_stage)}
        )
        self.head = Head(given) if index == given.stages - 1 else None

    def forward(self, inputs: torch.Tensor, targets: torch.Tensor | None = None) -> torch.Tensor:
        """Tokens (first stage) or hidden states in; hidden states or (last stage, with targets) loss out."""
        hidden = inputs if self.embedding is None else self.embedding(inputs)
        for layer in self.layers.values():
            hidden = layer(hidden)
        return hidden if self.head is None else self.head(hidden, targets)


def initial_value(name: str, shape: torch.Size, given: Arguments) -> torch.Tensor:
    """The whole of one parameter before training: a function of the seed and its name, fp32 on the CPU."""
    if name.endswith("bias"):
        return torch.zeros(shape)
    if "norm" in name:
        return torch.ones(shape)
    digest = hashlib.sha256(f"{given.seed}:{name}".encode()).digest()
    generator = torch.Generator().manual_seed(int.from_bytes(digest[:7], "little"))
    into_residual = name.endswith(("projection.weight", "down.weight"))
    deviation = INITIAL_DEVIATION / (math.sqrt(2 * given.num_layers) if into_residual else 1)
    return torch.empty(shape).normal_(0, deviation, generator=generator)
