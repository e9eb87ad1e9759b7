"""What settings of trainers say of the model: one row a size that a dump of arguments does not give as plain number.

Names are those that Megatron-LM, Megatron-DeepSpeed, BigScience's fork and GPT-NeoX print in their dumps. To read one
more setting, add a row; where several rows give the same size a value, the later one counts. Numbers that need no
more than their name stand in `logged_as` of config/model_fields.py.
"""

import ast
import re
from collections.abc import Callable, Mapping
from typing import Any

from .model_fields import places_of_experts

Settings = Mapping[str, str]
"""Values of a trainer's settings, as its dump prints them, by name."""
_YES, _NO, _NOTHING = ("true", "1"), ("false", "0"), ("", "none", "null")
_ROTARY = ("rope", "rotary", "yarn", "mrope", "positionembeddingtype.rotary")
_NO_TABLE = ("none", "alibi", "positionembeddingtype.alibi", "sinusoidal")
_LEARNED = ("learned", "learned_absolute", "absolute", "positionembeddingtype.absolute")
_BIASES = {(True, True): "all", (True, False): "attention", (False, True): "feed_forward", (False, False): "none"}
"""Which matrices have biases, by whether those of attention and those of the feed-forward block have."""
_OF_EXPERTS = (
    "experts_per_token",
    "expert_ffn_hidden_size",
    "shared_expert_ffn_hidden_size",
    "first_dense_layers",
    "expert_layer_interval",
)
_NUMBERS_OF_EXPERTS = ("num_experts", "num_moe_experts", "moe_num_experts")
_OF_LATENT = ("q_lora_rank", "kv_lora_rank", "rope_head_width", "value_head_width")
_MOST_LISTED = 10_000


def is_on(settings: Settings, name: str) -> bool:
    """Whether a flag is set."""
    return _plain(settings.get(name, "")) in _YES


def model_said(settings: Settings) -> dict[str, tuple[Any, str]]:
    """The sizes that settings speak of: the value of each, and the setting that says so; None for one it has not.

    >>> said = model_said({"num_query_groups": "1", "group_query_attention": "False", "num_attention_heads": "16"})
    >>> said["kv_heads"], said["kv_lora_rank"]
    ((16, 'num_query_groups'), (None, 'multi_latent_attention'))
    """
    found: dict[str, tuple[Any, str]] = {}
    for size, name, value in _ROWS:
        if name in settings and (one := value(_plain(settings[name]), settings)) is not None:
            found[size] = one, name
    if not is_on(settings, "multi_latent_attention"):
        found |= dict.fromkeys(_OF_LATENT, (None, "multi_latent_attention"))
    else:  # norms of q and k are those of what is compressed then, which latent attention always has
        found |= {"kv_heads": (None, "multi_latent_attention"), "qk_norm": (None, "multi_latent_attention")}
    if "experts" not in found and (name := next((one for one in _NUMBERS_OF_EXPERTS if one in settings), "")):
        found |= dict.fromkeys(("experts", *_OF_EXPERTS, "extras"), (None, name))
    if (positions := found.get("positions")) and positions[0] != "learned":
        found["max_positions"] = (None, positions[1])
    return found


def parts_unknown(settings: Settings) -> list[str]:
    """Parts of the model that settings name and no formula is known for, each with its setting.

    >>> parts_unknown({"hybrid_override_pattern": "M-M*-", "num_experts": "[32, 64]"})
    ['Mamba layers (hybrid_override_pattern M-M*-)', 'layers of different numbers of experts (num_experts [32, 64])']
    """
    found = []
    for name, (words, is_one) in _UNKNOWN_PARTS.items():
        if name in settings and is_one(_plain(settings[name]), settings):
            found.append(f"{words} ({name} {settings[name]:.40})")
    return found


def _plain(text: str) -> str:
    return text.strip("\"' ").casefold()


_Value = Callable[[str, Settings], Any]


def _flag(on: Any, off: Any = None) -> _Value:
    return lambda text, settings: on if text in _YES else off if text in _NO else None


def _words(values: Mapping[str, Any]) -> _Value:
    return lambda text, settings: values.get(text)


def count_of(text: str) -> int | None:
    """A whole number above 0, maybe as the one entry of a list; None for anything else."""
    text = text.strip("[]() ,")
    return int(text) if text.isascii() and text.isdecimal() and 0 < len(text) < 10 and int(text) else None


def _count(text: str, settings: Settings) -> int | None:
    return count_of(text)


def _where(flag: str, value: _Value) -> _Value:
    """What a setting means where a flag is set: elsewhere it has a default that means nothing."""
    return lambda text, settings: value(text, settings) if is_on(settings, flag) else None


def _is_gated(text: str, settings: Settings) -> bool | None:
    """Whether an activation is a gated one, by its name; `silu` and `gelu` may be either."""
    return True if text.endswith("glu") and text not in _NOTHING else None


def _groups(text: str, settings: Settings) -> int | None:
    """Heads of k and v; Megatron-LM prints 1 for models that share none."""
    if _plain(settings.get("group_query_attention", "true")) in _NO:
        return count_of(settings.get("num_attention_heads", ""))
    return count_of(text)


def _experts(text: str, settings: Settings) -> int | None:
    number = count_of(text)
    return number if number and number > 1 else None


def _linear_biases(text: str, settings: Settings) -> str | None:
    if text in _YES:
        return "all"
    return ("qkv" if is_on(settings, "add_qkv_bias") else "none") if text in _NO else None


def _neox_biases(text: str, settings: Settings) -> str | None:
    of = [_plain(settings.get(name, "true")) in _YES for name in ("use_bias_in_attn_linear", "use_bias_in_mlp")]
    return _BIASES[of[0], of[1]]


def _table(text: str, settings: Settings) -> str | None:
    return "learned" if text in _LEARNED else "rotary" if text in _ROTARY else "none" if text in _NO_TABLE else None


def _no_table(text: str, settings: Settings) -> str | None:
    """Megatron-DeepSpeed's way to leave out the table of positions; Megatron-LM prints `True` beside rotary ones."""
    return "none" if text in _NO else None


def _pattern(text: str) -> list[int] | None:
    """Which layers have experts, by a list of 0 and 1, as printed or as an expression such as `([0]*3+[1]*58)`."""
    try:
        if re.fullmatch(r"[\[\]01, ]+", text):
            listed = ast.literal_eval(text)
        else:
            pieces = re.findall(r"\[([01](?:, ?[01])*)\](?: ?\* ?(\d{1,4}))?", text)
            if re.sub(r"\[[01](?:, ?[01])*\](?: ?\* ?\d{1,4})?|[()+ ]", "", text) or not pieces:
                return None
            listed = [int(one) for ones, times in pieces for one in ones.split(",") * int(times or 1)]
    except (SyntaxError, ValueError):
        return None
    return listed if isinstance(listed, list) and 0 < len(listed) < _MOST_LISTED else None


def _places(text: str) -> tuple[int, int] | None:
    """First layers without experts, and every how manyth of the others has some, by a list of all layers."""
    pattern = _pattern(text) or []
    return places_of_experts([layer for layer, has_experts in enumerate(pattern) if has_experts], len(pattern))


def _dense_first(text: str, settings: Settings) -> int | None:
    return (_places(text) or (None,))[0] or None


def _interval(text: str, settings: Settings) -> int | None:
    return (_places(text) or (1, None))[1] if text[:1] in "[(" else count_of(text)


def _is_uneven(text: str, settings: Settings) -> bool:
    """Whether layers with experts stand as no size of ours says: every n-th counts from the first in Megatron-LM."""
    if text in _NOTHING or not _experts(settings.get("num_experts", ""), settings):
        return False
    every, layers = count_of(text), count_of(settings.get("num_layers", ""))
    if every and not text.startswith("["):
        return every > 1 and (layers is None or layers % every > 0)
    return _places(text) is None


def _several(text: str, settings: Settings) -> bool:
    """Whether a list has entries that differ."""
    return len({word for word in re.split(r"[\[\], ]+", text) if word}) > 1


def _named(text: str, settings: Settings) -> bool:
    return text not in (*_NOTHING, *_NO)


_ROWS: tuple[tuple[str, str, _Value], ...] = (
    ("gated_ffn", "activation", _words({"gelu": False, "relu": False})),
    ("gated_ffn", "activation", _is_gated),
    ("gated_ffn", "mlp_type", _words({"llama": True})),
    ("gated_ffn", "gated_linear_unit", _flag(True, False)),
    ("gated_ffn", "swiglu", _flag(True, False)),
    ("gated_ffn", "quick_geglu", _flag(True)),
    ("gated_ffn", "glu_activation", _is_gated),
    ("kv_heads", "num_kv_heads", _count),
    ("kv_heads", "num_key_value_heads", _count),
    ("kv_heads", "num_query_groups", _groups),
    ("head_width", "kv_channels", _count),
    ("head_width", "qk_head_dim", _where("multi_latent_attention", _count)),
    ("q_lora_rank", "q_lora_rank", _count),
    ("kv_lora_rank", "kv_lora_rank", _count),
    ("rope_head_width", "qk_pos_emb_head_dim", _count),
    ("value_head_width", "v_head_dim", _count),
    ("norm", "norm", _words({"layernorm": "layernorm", "rmsnorm": "rmsnorm"})),
    ("norm", "normalization", _words({"layernorm": "layernorm", "rmsnorm": "rmsnorm"})),
    ("biases", "use_bias_in_attn_linear", _neox_biases),
    ("biases", "add_bias_linear", _linear_biases),
    ("qk_norm", "qk_layernorm", _flag("head", "none")),
    ("positions", "pos_emb", _table),
    ("positions", "position_embedding_type", _table),
    ("positions", "add_position_embedding", _no_table),
    ("positions", "use_rotary_position_embeddings", _flag("rotary")),
    ("tied_embeddings", "no_weight_tying", _flag(False, True)),
    ("tied_embeddings", "untie_embeddings_and_output_weights", _flag(False, True)),
    ("experts", "moe_num_experts", _experts),
    ("experts", "num_moe_experts", _experts),
    ("experts", "num_experts", _experts),
    ("experts_per_token", "topk", _count),
    ("experts_per_token", "moe_top_k", _count),
    ("experts_per_token", "moe_router_topk", _count),
    ("first_dense_layers", "moe_layer_freq", _dense_first),
    ("expert_layer_interval", "expert_interval", _count),
    ("expert_layer_interval", "moe_layer_freq", _interval),
    ("extras", "moe_router_enable_expert_bias", _flag("router_bias")),
    ("extras", "embed_layernorm", _flag("embedding_norm")),
    ("prediction_layers", "mtp_num_layers", _count),
)
"""A size of config/model_fields.py, a setting that says it, and what its text means; None where it says nothing."""
_UNKNOWN_PARTS: dict[str, tuple[str, Callable[[str, Settings], bool]]] = {
    "hybrid_override_pattern": ("Mamba layers", _named),
    "hybrid_layer_pattern": ("Mamba layers", _named),
    "is_hybrid_model": ("Mamba layers", _named),
    "experimental_attention_variant": ("another form of attention", _named),
    "heterogeneous_layers_config_path": ("layers of different sizes", _named),
    "decoder_num_layers": ("a decoder beside an encoder", _named),
    "attention_output_gate": ("a gate of the attention's output", _named),
    "num_experts": ("layers of different numbers of experts", _several),
    "moe_layer_freq": ("experts in layers at no even distance", _is_uneven),
    "moe_latent_size": ("experts of a compressed stream", _named),
    "mlp_type": ("a dense block beside each expert", lambda text, settings: text == "residual"),
}
"""Settings that say that the model has parts without a formula: in words, and by which values."""
