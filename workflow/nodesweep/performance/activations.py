"""Bytes that the backward pass of a layer needs of a micro batch.

Symbols: h hidden size, f feed-forward width, a heads, s sequence, t = MP, b micro batch; q and k widths of all heads
of q, and of k or v; D bytes of an element (4 in fp32, else 2), M bytes of one of a dropout mask (4 in fp32 on CPUs,
where masks are numbers; 1 in mixed precision).

Korthikanti et al. 2022, arXiv 2205.05198, section 4, with D and M in place of 2 and 1 and f in place of 4 h:
  s b h (4 D + 2 M) + s b (2 q + 2 k + 2 f) D / t + b a s^2 (2 D + M) / t
A gate keeps one f more; a norm of q and k keeps these, q + k; one of four norms a layer keeps one h more, and where one
norm serves attention and feed-forward both are spared. Context parallelism divides s. What a mixture of experts or
latent attention keeps depends on how tokens are sent and padded: no formula here knows it.
Sequence parallelism divides the first term by t too; flash attention does without the third; without dropout M = 0
and one D is left in the third.

Without fused kernels (training.fused_kernels) each of torch's operations keeps what it reads: a gate f more (gate, its
activation, up, their product); RMSNorm on CPUs the normalised states in fp32, and in 16 bits its input in fp32 in place
of that in 16 bits: (8 - D) h a norm; rotary positions q + k turned, since v keeps q, k and v as they were, and the
output of attention q once more, since it is put in another order.
Where context parallelism over c ranks gathers keys and values (training.context_gathers) the core of attention keeps
these of all c ranks, 2 c k, its output q once more, and a mask over the keys up to the ends of the two pieces of a
sample that a rank has, D s^2 (2 c + 1) / (4 c^2) a micro batch. What q, k and v were turned from is not kept then,
unless selective recomputation starts from it.
"""

from .dimensions import Dimensions
from .model_parts import attention_widths

WIDE = ("fp32", "tf32")
"""Formats of four bytes."""
FP32_BYTES = 4


def element_bytes(case: Dimensions) -> int:
    """Bytes of a number."""
    return 4 if case.precision in WIDE else 2


def _mask_bytes(case: Dimensions) -> int:
    return (4 if case.precision in WIDE else 1) if case.training.dropout else 0


def tokens_of_rank(case: Dimensions) -> float:
    """Tokens of a micro batch on a rank."""
    return case.sequence_length * case.micro_batch / case.degree("context")


def hidden_bytes(case: Dimensions) -> float:
    """Bytes of one micro batch of hidden states."""
    return tokens_of_rank(case) * case.hidden_size * element_bytes(case)


def score_bytes(case: Dimensions) -> float:
    """Bytes of one sequence x sequence matrix of each head of a rank; none with flash attention."""
    if case.training.flash_attention:
        return 0.0
    scores = case.sequence_length**2 / case.degree("context")
    return case.micro_batch * case.attention_heads / case.tensor * scores * element_bytes(case)


def layer_bytes(case: Dimensions) -> tuple[float, float]:
    """Bytes that the backward pass of a layer needs: outside the core of attention, and of the core."""
    size, mask, norms, plain = element_bytes(case), _mask_bytes(case), case.norms_per_layer, is_plain(case)
    tokens, tensor = tokens_of_rank(case), case.tensor
    inputs = norms + (1 if norms == 1 else 2)
    normalised = norms * (2 * FP32_BYTES - size) if plain and case.norm == "rmsnorm" else 0
    unsplit = tokens * case.hidden_size * (inputs * size + 2 * mask + normalised)
    blocks = ((3 if case.gated_ffn else 2) + (plain and case.gated_ffn)) * case.ffn_hidden_size
    attention, core = _attention_elements(case)
    split = tokens * (attention + blocks) * size
    scores = score_bytes(case) * ((2 * size + mask) / size if case.training.dropout else 1)
    around = unsplit / (tensor if case.training.sequence_parallel else 1) + split / tensor
    return around, tokens * core * size / tensor + _context_mask_bytes(case) + scores


def is_plain(case: Dimensions) -> bool:
    """Whether a layer is made of torch's plain operations, each of which keeps what it needs by itself."""
    return not case.training.fused_kernels


def _attention_elements(case: Dimensions) -> tuple[float, float]:
    """Elements a token that attention keeps beside its scores: outside its core, and of the core."""
    q, kv = attention_widths(case)
    attention = 2 * (q + kv) + (0 if case.qk_norm == "none" else q + kv)
    turned = is_plain(case) and case.positions == "rotary"
    if turned:
        attention += q + kv
    if case.degree("context") == 1 or not case.training.context_gathers:
        return attention, q if turned else 0
    if not (case.activation_checkpointing and case.training.recomputation == "selective"):
        attention -= q + 3 * kv if turned else 0
    return attention, q + 2 * kv * case.degree("context")


def _context_mask_bytes(case: Dimensions) -> float:
    """Bytes of the mask over the keys that the two pieces of a rank's sample see, where these are gathered."""
    ranks = case.degree("context")
    if ranks == 1 or not case.training.context_gathers:
        return 0.0
    return case.sequence_length**2 * (2 * ranks + 1) / (4 * ranks**2) * element_bytes(case)
