"""Configs of public models as Hugging Face has them, cut to the keys that matter, and their parameters.

Parameters as transformers 5.24 counts them when it builds each on torch's meta device; those of the model cards where
these are exact: Gemma 2 9B, OLMo 2 7B, GPT-NeoX 20B, GPT-2.
"""

from typing import Any

_LLAMA_3: dict[str, Any] = {
    "model_type": "llama",
    "architectures": ["LlamaForCausalLM"],
    "attention_bias": False,
    "bos_token_id": 128000,
    "hidden_act": "silu",
    "hidden_size": 4096,
    "intermediate_size": 14336,
    "max_position_embeddings": 8192,
    "num_attention_heads": 32,
    "num_hidden_layers": 32,
    "num_key_value_heads": 8,
    "rms_norm_eps": 1e-05,
    "rope_theta": 500000.0,
    "tie_word_embeddings": False,
    "torch_dtype": "bfloat16",
    "vocab_size": 128256,
}
_QWEN_3: dict[str, Any] = {"head_dim": 128, "vocab_size": 151936, "tie_word_embeddings": False}
_DEEPSEEK: dict[str, Any] = {
    "first_k_dense_replace": 3,
    "kv_lora_rank": 512,
    "moe_layer_freq": 1,
    "n_shared_experts": 1,
    "num_experts_per_tok": 8,
    "q_lora_rank": 1536,
    "qk_nope_head_dim": 128,
    "qk_rope_head_dim": 64,
    "tie_word_embeddings": False,
    "v_head_dim": 128,
}


def _sizes(layers: int, hidden: int, heads: int, kv_heads: int, ffn: int, vocabulary: int) -> dict[str, Any]:
    return {
        "num_hidden_layers": layers,
        "hidden_size": hidden,
        "num_attention_heads": heads,
        "num_key_value_heads": kv_heads,
        "intermediate_size": ffn,
        "vocab_size": vocabulary,
    }


CONFIGS: dict[str, tuple[dict[str, Any], int]] = {
    "Llama 2 7B": ({"model_type": "llama", **_sizes(32, 4096, 32, 32, 11008, 32000)}, 6738415616),
    "Llama 3 8B": (_LLAMA_3, 8030261248),
    "Llama 3 70B": (_LLAMA_3 | _sizes(80, 8192, 64, 8, 28672, 128256), 70553706496),
    "Llama 3.1 405B": (_LLAMA_3 | _sizes(126, 16384, 128, 8, 53248, 128256), 405853388800),
    "Llama 3.2 1B": (_LLAMA_3 | _sizes(16, 2048, 32, 8, 8192, 128256) | {"tie_word_embeddings": True}, 1235814400),
    "Llama with all biases": (_LLAMA_3 | {"attention_bias": True, "mlp_bias": True}, 8031637504),
    "Mistral 7B": (
        {"model_type": "mistral", "sliding_window": 4096, **_sizes(32, 4096, 32, 8, 14336, 32000)},
        7241732096,
    ),
    "Mixtral 8x7B": (
        {"model_type": "mixtral", "num_local_experts": 8, "num_experts_per_tok": 2}
        | _sizes(32, 4096, 32, 8, 14336, 32000),
        46702792704,
    ),
    "Qwen2.5 7B": (
        {"model_type": "qwen2", "tie_word_embeddings": False, "use_sliding_window": False, "sliding_window": 131072}
        | _sizes(28, 3584, 28, 4, 18944, 152064),
        7615616512,
    ),
    "Qwen1.5 MoE A2.7B": (
        {"model_type": "qwen2_moe", "num_experts": 60, "num_experts_per_tok": 4, "moe_intermediate_size": 1408}
        | {"shared_expert_intermediate_size": 5632, "tie_word_embeddings": False}
        | _sizes(24, 2048, 16, 16, 5632, 151936),
        14315784192,
    ),
    "Qwen3 32B": ({"model_type": "qwen3", **_QWEN_3, **_sizes(64, 5120, 64, 8, 25600, 151936)}, 32762123264),
    "Qwen3 30B-A3B": (
        {"model_type": "qwen3_moe", **_QWEN_3, "num_experts": 128, "num_experts_per_tok": 8, "mlp_only_layers": []}
        | {"moe_intermediate_size": 768, "decoder_sparse_step": 1}
        | _sizes(48, 2048, 32, 4, 6144, 151936),
        30532122624,
    ),
    "DeepSeek V3": (
        {"model_type": "deepseek_v3", **_DEEPSEEK, "n_routed_experts": 256, "moe_intermediate_size": 2048}
        | {"num_nextn_predict_layers": 1}
        | _sizes(61, 7168, 128, 128, 18432, 129280),
        671026404352,
    ),
    "DeepSeek V2": (
        {"model_type": "deepseek_v2", **_DEEPSEEK, "n_routed_experts": 160, "moe_intermediate_size": 1536}
        | {"first_k_dense_replace": 1, "n_shared_experts": 2, "num_experts_per_tok": 6}
        | _sizes(60, 5120, 128, 128, 12288, 102400),
        235741434880,
    ),
    "DeepSeek V2 Lite": (
        {"model_type": "deepseek_v2", **_DEEPSEEK, "n_routed_experts": 64, "moe_intermediate_size": 1408}
        | {"first_k_dense_replace": 1, "n_shared_experts": 2, "num_experts_per_tok": 6, "q_lora_rank": None}
        | _sizes(27, 2048, 16, 16, 10944, 102400),
        15706484224,
    ),
    "Gemma 2B": ({"model_type": "gemma", "head_dim": 256, **_sizes(18, 2048, 8, 1, 16384, 256000)}, 2506172416),
    "Gemma 2 9B": (
        {"model_type": "gemma2", "head_dim": 256, "sliding_window": 4096, **_sizes(42, 3584, 16, 8, 14336, 256000)},
        9241705984,
    ),
    "Gemma 3 1B": (
        {"model_type": "gemma3_text", "head_dim": 256, "sliding_window": 512, **_sizes(26, 1152, 4, 1, 6912, 262144)},
        999885952,
    ),
    "GPT-2": (
        {"model_type": "gpt2", "n_embd": 768, "n_head": 12, "n_layer": 12, "n_positions": 1024, "vocab_size": 50257},
        124439808,
    ),
    "GPT-NeoX 20B": ({"model_type": "gpt_neox", **_sizes(44, 6144, 64, 64, 24576, 50432)}, 20554567680),
    "OLMo 2 7B": ({"model_type": "olmo2", **_sizes(32, 4096, 32, 32, 11008, 100352)}, 7298617344),
    "gpt-oss 20B": (
        {"model_type": "gpt_oss", "head_dim": 64, "num_local_experts": 32, "num_experts_per_tok": 4}
        | {"attention_bias": True, "sliding_window": 128, "layer_types": ["sliding_attention", "full_attention"] * 12}
        | _sizes(24, 2880, 64, 8, 2880, 201088),
        20914757184,
    ),
    "BLOOM 176B": (
        {"model_type": "bloom", "hidden_size": 14336, "n_layer": 70, "n_head": 112, "vocab_size": 250880},
        176247271424,
    ),
    "Phi-2": ({"model_type": "phi", **_sizes(32, 2560, 32, 32, 10240, 51200)}, 2779683840),
    "StarCoder2 7B": ({"model_type": "starcoder2", **_sizes(32, 4608, 36, 4, 18432, 49152)}, 7173923840),
    "Llama 4 Maverick": (
        {"model_type": "llama4_text", "num_local_experts": 128, "num_experts_per_tok": 1, "head_dim": 128}
        | {"interleave_moe_layer_step": 2, "intermediate_size_mlp": 16384, "tie_word_embeddings": False}
        | _sizes(48, 5120, 40, 8, 8192, 202048),
        400711848960,
    ),
}
