"""A GPT-2 style decoder, cut into pipeline stages, with weights that depend on their names alone."""

import hashlib
import math

import torch
import torch.nn.functional as F
from torch import nn

from minitrain.arguments import Arguments
from minitrain.distributed_tensors import is_distributed

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

    The rows of `qkv` are ordered head by head (query, key, value of head 0, then of head 1, ...): an even
    split of the rows is a split by heads, and the rows of this rank give its number of heads.
    """

    def __init__(self, hidden_size: int, heads: int) -> None:
        super().__init__()
        self.head_size = hidden_size // heads
        self.qkv = Linear(hidden_size, 3 * hidden_size)
        self.projection = Linear(hidden_size, hidden_size)

    def forward(self, hidden: torch.Tensor) -> torch.Tensor:
        heads = self.qkv(hidden).unflatten(-1, (-1, 3, self.head_size)).transpose(1, 3)
        query, key, value = heads.unbind(1)
        mixed = F.scaled_dot_product_attention(query, key, value, is_causal=True)
        output: torch.Tensor = self.projection(mixed.transpose(1, 2).flatten(2))
        return output


class Mlp(nn.Module):
    """The two linear layers of a block, with GELU between."""

    def __init__(self, hidden_size: int, ffn_hidden_size: int) -> None:
        super().__init__()
        self.up = Linear(hidden_size, ffn_hidden_size)
        self.down = Linear(ffn_hidden_size, hidden_size)

    def forward(self, hidden: torch.Tensor) -> torch.Tensor:
        output: torch.Tensor = self.down(F.gelu(self.up(hidden)))
        return output


class Block(nn.Module):
    """One transformer layer, layer norm before each half."""

    def __init__(self, given: Arguments) -> None:
        super().__init__()
        self.attention_norm = nn.LayerNorm(given.hidden_size)
        self.attention = Attention(given.hidden_size, given.num_attention_heads)
        self.mlp_norm = nn.LayerNorm(given.hidden_size)
        self.mlp = Mlp(given.hidden_size, given.ffn_hidden_size)

    def forward(self, hidden: torch.Tensor) -> torch.Tensor:
        hidden = hidden + self.attention(self.attention_norm(hidden))
        output: torch.Tensor = hidden + self.mlp(self.mlp_norm(hidden))
        return output


class Embedding(nn.Module):
    """Token and learned position embeddings: int64 [batch, sequence] to [batch, sequence, hidden]."""

    def __init__(self, given: Arguments) -> None:
        super().__init__()
        self.tokens = TokenTable(given.vocab_size, given.hidden_size)
        self.positions = nn.Parameter(torch.empty(given.seq_length, given.hidden_size))

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        embedded: torch.Tensor = self.tokens(tokens) + self.positions
        return embedded


class Head(nn.Module):
    """Final norm, logits and cross-entropy in fp32: the mean loss over all tokens of a micro batch."""

    def __init__(self, given: Arguments) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(given.hidden_size)
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

    def __init__(self, given: Arguments, index: int) -> None:
        super().__init__()
        per_stage = given.num_layers // given.stages
        self.bf16 = given.bf16
        self.embedding = Embedding(given) if index == 0 else None
        self.layers = nn.ModuleDict(
            {str(layer): Block(given) for layer in range(index * per_stage, (index + 1) * per_stage)}
        )
        self.head = Head(given) if index == given.stages - 1 else None

    def forward(self, inputs: torch.Tensor, targets: torch.Tensor | None = None) -> torch.Tensor:
        """Tokens (first stage) or hidden states in; hidden states or (last stage, with targets) loss out."""
        with torch.autocast(inputs.device.type, torch.bfloat16, enabled=self.bf16):
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
