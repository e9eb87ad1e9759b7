"""Families of models as Hugging Face configs name them: one row a family, with what it has unlike Llama.

Sources: the configuration and modeling files of transformers 4.57 and 5.24, by `model_type`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

NAMES: dict[str, tuple[str, ...]] = {
    "layers": ("num_hidden_layers", "n_layer", "num_layers", "n_layers"),
    "hidden_size": ("hidden_size", "n_embd", "d_model"),
    "attention_heads": ("num_attention_heads", "n_head", "n_heads"),
    "kv_heads": ("num_key_value_heads",),
    "head_width": ("head_dim",),
    "ffn_hidden_size": ("intermediate_size", "n_inner", "ffn_dim"),
    "vocab_size": ("vocab_size",),
    "tied_embeddings": ("tie_word_embeddings",),
    "max_positions": ("max_position_embeddings", "n_positions"),
    "experts": ("num_experts", "num_local_experts", "n_routed_experts"),
    "experts_per_token": ("num_experts_per_tok",),
    "expert_ffn_hidden_size": ("moe_intermediate_size",),
    "shared_expert_ffn_hidden_size": ("shared_expert_intermediate_size",),
    "first_dense_layers": ("first_k_dense_replace",),
    "expert_layer_interval": ("decoder_sparse_step", "moe_layer_freq"),
    "q_lora_rank": ("q_lora_rank",),
    "kv_lora_rank": ("kv_lora_rank",),
    "rope_head_width": ("qk_rope_head_dim",),
    "value_head_width": ("v_head_dim",),
}
"""Keys of a model, and those of configs that hold them, the usual one first."""


@dataclass(frozen=True)
class Family:
    """What a family has unlike Llama.

    `parts`: keys of a model that no config of the family says. `names`: keys of a model that a config has under another
    name than NAMES says. `defaults`: values of keys that a config may leave out, as the class of the family has them.
    `biases` and `norms`: which biases and norms of q and k there are where the config says true, by its key.
    `unknown`: keys that bring parts that no formula here knows where they are true.
    """

    parts: Mapping[str, Any] = field(default_factory=dict)
    names: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    defaults: Mapping[str, Any] = field(default_factory=dict)
    biases: Mapping[str, str] = field(default_factory=lambda: {"attention_bias": "attention"})
    norms: Mapping[str, str] = field(default_factory=dict)
    unknown: tuple[str, ...] = ()


LLAMA = {"gated_ffn": True, "biases": "none", "norm": "rmsnorm", "positions": "rotary"}
"""What Llama has, and every family that does not say otherwise."""
_GPT: dict[str, Any] = {"gated_ffn": False, "biases": "all", "norm": "layernorm"}
_TIED = {"tie_word_embeddings": True}
_BIASED = {"attention_bias": True}
_QKV_BIASES = {"attention_bias": "qkv"}
_LATENT = {"head_width": ("qk_nope_head_dim",), "kv_heads": ()}
_EXPERTS_AS_WIDE = {"expert_ffn_hidden_size": ("intermediate_size",)}
_GEMMA_3 = Family(
    {"norms_per_layer": 4, "qk_norm": "head"},
    defaults={
        "hidden_size": 2304,
        "intermediate_size": 9216,
        "num_hidden_layers": 26,
        "num_attention_heads": 8,
        "num_key_value_heads": 4,
        "head_dim": 256,
        "vocab_size": 262208,
        **_TIED,
    },
)
_DEEPSEEK_V3 = Family(names=_LATENT, defaults={"n_shared_experts": 1, "first_k_dense_replace": 3})
_LLAMA_4 = Family(
    names={
        **_EXPERTS_AS_WIDE,
        "ffn_hidden_size": ("intermediate_size_mlp",),
        "shared_expert_ffn_hidden_size": ("intermediate_size",),
        "expert_layer_interval": ("interleave_moe_layer_step",),
    },
    norms={"use_qk_norm": "none"},
)

FAMILIES: dict[str, Family] = {
    "llama": Family(),
    "mistral": Family(defaults={"num_key_value_heads": 8}),
    "mistral3": Family(),
    "ministral": Family(),
    "mixtral": Family(
        names=_EXPERTS_AS_WIDE, defaults={"num_key_value_heads": 8, "num_local_experts": 8, "num_experts_per_tok": 2}
    ),
    "qwen2": Family({"biases": "qkv"}),
    "qwen2_moe": Family({"biases": "qkv", "extras": ["shared_expert_gate"]}, biases={"qkv_bias": "qkv"}),
    "qwen3": Family({"qk_norm": "head"}, defaults={"head_dim": 128}),
    "qwen3_moe": Family({"qk_norm": "head"}, norms={"use_qk_norm": "head"}),
    "deepseek_v2": Family(names=_LATENT, defaults={"n_shared_experts": 2}, unknown=("mlp_bias",)),
    "deepseek_v3": _DEEPSEEK_V3,
    "kimi_k2": _DEEPSEEK_V3,
    "gemma": Family(defaults={"head_dim": 256, **_TIED}),
    "gemma2": Family({"norms_per_layer": 4}, defaults={"head_dim": 256, **_TIED}),
    "gemma3": _GEMMA_3,
    "gemma3_text": _GEMMA_3,
    "gpt2": Family({**_GPT, "positions": "learned"}, defaults=_TIED),
    "gpt_neox": Family({**_GPT, "biases": "feed_forward"}, biases={"attention_bias": "all"}, defaults=_BIASED),
    "gptj": Family({**_GPT, "biases": "feed_forward", "norms_per_layer": 1, "extras": ["output_bias"]}),
    "olmo": Family({"norm": "none"}),
    "olmo2": Family({"qk_norm": "whole"}),
    "olmo3": Family({"qk_norm": "whole"}),
    "olmoe": Family({"qk_norm": "whole"}, names=_EXPERTS_AS_WIDE),
    "gpt_oss": Family(
        {"biases": "feed_forward", "extras": ["router_bias", "attention_sinks"]},
        names=_EXPERTS_AS_WIDE,
        biases={"attention_bias": "all"},
        defaults={"head_dim": 64, **_BIASED},
    ),
    "phi3": Family(),
    "smollm3": Family(defaults=_TIED),
    "granite": Family(),
    "starcoder2": Family(_GPT, biases={"use_bias": "all"}, defaults={"use_bias": True, **_TIED}),
    "phi": Family({**_GPT, "norms_per_layer": 1, "extras": ["output_bias"]}, unknown=("qk_layernorm",)),
    "bloom": Family(
        {**_GPT, "positions": "none", "extras": ["embedding_norm"]},
        names={"hidden_size": ("n_embed", "hidden_size")},
        defaults=_TIED,
    ),
    "cohere": Family(
        {"norm": "layernorm_without_bias", "norms_per_layer": 1}, norms={"use_qk_norm": "whole"}, defaults=_TIED
    ),
    "cohere2": Family({"norm": "layernorm_without_bias", "norms_per_layer": 1}, defaults=_TIED),
    "glm": Family(biases=_QKV_BIASES, defaults=_BIASED),
    "glm4": Family({"norms_per_layer": 4}, biases=_QKV_BIASES, defaults=_BIASED),
    "glm4_moe": Family(biases=_QKV_BIASES, norms={"use_qk_norm": "head"}),
    "dots1": Family({"qk_norm": "head"}),
    "ernie4_5": Family(biases={"use_bias": "all"}, defaults=_TIED),
    "seed_oss": Family(biases=_QKV_BIASES, defaults=_BIASED, unknown=("attention_out_bias",)),
    "stablelm": Family(
        {"norm": "layernorm"}, biases={"use_qkv_bias": "qkv"}, unknown=("use_parallel_residual", "qk_layernorm")
    ),
    "hunyuan_v1_dense": Family({"qk_norm": "head"}, defaults=_TIED),
    "granitemoe": Family(names=_EXPERTS_AS_WIDE),
    "arcee": Family({"gated_ffn": False}),
    "exaone4": Family({"qk_norm": "head"}),
    "minimax_m2": Family({"qk_norm": "whole"}, names=_EXPERTS_AS_WIDE),
    "llama4": _LLAMA_4,
    "llama4_text": _LLAMA_4,
    "nemotron": Family({"gated_ffn": False, "norm": "layernorm"}),
}
"""Families by `model_type`."""
_MIXTURES = (
    "mixtral qwen2_moe qwen3_moe deepseek_v2 deepseek_v3 kimi_k2 olmoe gpt_oss glm4_moe dots1 granitemoe minimax_m2"
)
MIXTURES = frozenset(f"{_MIXTURES} llama4 llama4_text".split())
"""Families, by `model_type`, that may have experts."""

_MAMBA = "Mamba layers among those of attention"
_LINEAR = "layers of linear attention"
HYBRIDS: dict[str, str] = {
    **dict.fromkeys(("nemotron_h", "jamba", "bamba", "falcon_h1", "zamba", "zamba2", "granitemoehybrid"), _MAMBA),
    **dict.fromkeys(("mamba", "mamba2", "falcon_mamba"), "Mamba layers"),
    **dict.fromkeys(("qwen3_next", "qwen3_5", "qwen3_5_moe", "minimax", "kimi_linear", "olmo_hybrid"), _LINEAR),
    **dict.fromkeys(("deepseek_v32", "deepseek_v4", "glm_moe_dsa"), "sparse attention with an indexer"),
    "recurrent_gemma": "recurrent layers among those of attention",
    "lfm2": "convolutions among the layers of attention",
}
"""Families, by `model_type`, with parts that no formula here is known for."""
