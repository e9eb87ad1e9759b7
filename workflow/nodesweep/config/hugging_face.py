"""A Hugging Face config.json -> the keys of a model, and what of it was not understood."""

import json
import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nodesweep.common.errors import ConfigError, DamagedFileError
from nodesweep.common.files import read_regular
from nodesweep.common.text import did_you_mean

from .hugging_face_families import FAMILIES, HYBRIDS, LLAMA, MIXTURES, NAMES, Family
from .model_fields import places_of_experts

_MOST_BYTES = 4 * 2**20
_MOST_LAYERS = 1000
"""Layers by which the places of experts are worked out where the config does not say how many there are."""
_REQUIRED = ("layers", "hidden_size", "attention_heads", "vocab_size")
_YES_NO = ("tied_embeddings",)
_MORE_PARTS = ("add_cross_attention",)
"""Keys that bring parts no formula is known for, in whatever family, where they are true."""
_OF_LATENT = ("q_lora_rank", "kv_lora_rank", "rope_head_width", "value_head_width")
_FULL_LAYERS = {"full_attention", "sliding_attention", "chunked_attention", "attention"}
_BEGINNINGS = "attn_ auto_ bos classifier_ eos initializer_ no_rope_ output_ pad quantization rope_ rotary_ scale_attn "
_BEGINNINGS += "skip_bias summary_ swiglu_ torch_ topk_ use_cache _attn _name"
_ENDINGS = "_act _activation _coef _dropout _epsilon _eps _jitter_noise _multiplier _pdrop _softcapping _token_id"
_ENDINGS += " _token_index activation_function"
_WHOLE = (
    "_sliding_window_pattern experts_per_token floor_scale original_max_position_embeddings qk_head_dim "
    "architectures aux_loss_alpha cache_implementation chunk_size_feed_forward clip_qkv "
    "cross_attention_hidden_size dtype ep_size finetuning_task id2label initial_context_length is_decoder "
    "is_encoder_decoder label2id layer_types logit_scale logits_scaling max_window_layers model_type n_ctx "
    "n_group norm_topk_prob offset_alibi partial_rotary_factor pretraining_tp problem_type query_pre_attn_scalar "
    "reorder_and_upcast_attn return_dict rope routed_scaling_factor scoring_func seq_aux sliding_window_pattern "
    "slow_but_exact task_specific_params tie_encoder_decoder tokenizer_class transformers_version unk_token_id "
    "use_bidirectional_attention use_parallel_residual vocab_file "
)
_PATTERNS = (*(f"{one}.*" for one in _BEGINNINGS.split()), *(f".*{one}" for one in _ENDINGS.split()), *_WHOLE.split())
_NO_BEARING = re.compile("|".join(_PATTERNS))
"""Keys that change neither parameters nor FLOPs."""


@dataclass(frozen=True)
class HuggingFaceModel:
    """The keys of a model by a config.json, and in words what of it was not understood or does not count."""

    values: dict[str, Any]
    not_understood: tuple[str, ...]


def read_hugging_face(path: Path, shown: str, beside: Collection[str] = ()) -> HuggingFaceModel:
    """The keys of a model in a config.json; `beside`: keys that are given elsewhere.

    Raises ConfigError, which calls the file as it is `shown`.
    """
    try:
        config = json.loads(read_regular(path, _MOST_BYTES))  # Infinity is written by families of Mamba
    except FileNotFoundError:
        raise ConfigError(f"{shown}: there is no such file; the path is relative to the file that names it") from None
    except (DamagedFileError, ValueError, RecursionError) as error:
        raise ConfigError(f"{shown}: is no config of Hugging Face: {error!s:.200}") from None
    if not isinstance(config, dict):
        raise ConfigError(f"{shown}: is no config of Hugging Face: it holds no mapping of keys")
    remarks = []
    if isinstance(text := config.get("text_config"), dict):
        others = [key for key in config if key.endswith("_config") and key != "text_config"]
        remarks += [f"{key}: the part that works on text is described alone" for key in others]
        outer = {key: config[key] for key in ("model_type", "tie_word_embeddings") if key in config}
        config = {**outer, **text}
    return _Reader(config, shown).model(remarks, beside)


class _Reader:
    """Reads one config by the row of its family."""

    def __init__(self, config: Mapping[str, Any], shown: str) -> None:
        self.shown = shown
        self.model_type = str(config.get("model_type") or "")
        self.is_known = self.model_type in FAMILIES
        self.family = FAMILIES.get(self.model_type, Family())
        self.named = frozenset(config)
        given = {key: value for key, value in config.items() if value is not None}
        defaults = {key: value for key, value in self.family.defaults.items() if key not in config}
        self.config = {**defaults, **given}
        self.used: set[str] = set()
        self.other_parts: list[str] = []

    def model(self, remarks: list[str], beside: Collection[str]) -> HuggingFaceModel:
        """The keys, after what was remarked already."""
        values = {**LLAMA, **self.family.parts, **self._sizes(), **self._biases()}
        self._require(_REQUIRED, {*values, *beside})
        for key, norm in self.family.norms.items():
            if self._yes_no(key):
                values["qk_norm"] = norm
        if values["positions"] != "learned":
            values.pop("max_positions", None)
        if not self.is_known:
            self.other_parts.append(self._unknown_family())
            remarks += self._known_families()
            _leave_out_fragments(values)
        elif "experts" in values and self.model_type not in MIXTURES:
            self.other_parts.append(f"experts, which {self.model_type} does not have")
            _drop(values, ["experts"])
        if "experts" in values:
            self._experts(values)
            self._require(("expert_ffn_hidden_size",), {*values, *beside})
        elif self.model_type in MIXTURES and self.named.isdisjoint(NAMES["experts"]):
            self._require(("experts",), {*values, *beside})
        if "experts" not in values:
            _drop(values, [name for name in values if "expert" in name or name == "first_dense_layers"])
        values.setdefault("tied_embeddings", False)
        self.other_parts += [f"what {key} brings" for key in (*self.family.unknown, *_MORE_PARTS) if self._yes_no(key)]
        remarks += self._layer_kinds()
        self.other_parts = [re.sub(r"[^\w ().,=+:\[\]-]", "", part) for part in self.other_parts]
        remarks += [f"{part}: no formula is known for it" for part in self.other_parts]
        remarks += self._not_counted()
        if self.other_parts:
            values["other_parts"] = self.other_parts
        return HuggingFaceModel(values, tuple(remarks))

    def _sizes(self) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for name, usual in NAMES.items():
            for key in self.family.names.get(name, usual):
                if key in self.config and (self.is_known or isinstance(self.config[key], int)):
                    self.used.add(key)
                    found[name] = self._yes_no(key) if name in _YES_NO else self._count(key)
                    break
        return {name: value for name, value in found.items() if value or name in _YES_NO}

    def _require(self, names: tuple[str, ...], known: set[str]) -> None:
        missing = next((name for name in names if name not in known), None)
        if missing and (self.is_known or missing in _REQUIRED):
            family = "" if self.is_known else f"{self._unknown_family()}; "
            keys = self.family.names.get(missing, NAMES[missing])
            given = next((key for key in keys if key in self.config), None)
            says = f"no {' or '.join(keys)}" if given is None else f"{given} {self.config[given]}, but a model has some"
            way_out = f"write it there, or give the model's {missing} beside `from`"
            raise ConfigError(f"{self.shown}: {family}says {says}; {way_out}")

    def _count(self, key: str) -> int:
        value = self.config[key]
        if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= 10**9:
            raise ConfigError(f"{self.shown}: {key} {value!r:.60} is no number that a model can have")
        return value

    def _yes_no(self, key: str) -> bool:
        self.used.add(key)
        value = self.config.get(key, False)
        if not isinstance(value, bool):
            raise ConfigError(f"{self.shown}: {key} {value!r:.60} is neither true nor false")
        return value

    def _biases(self) -> dict[str, str]:
        """Which matrices have biases, where the config says so."""
        found = str(self.family.parts.get("biases", "none"))
        for key, biases in self.family.biases.items():
            if key in self.config and (self._yes_no(key) or found == biases):
                found = biases if self.config[key] else "none"
        if self._yes_no("mlp_bias"):
            found = {"none": "feed_forward", "attention": "all"}.get(found, found)
            if found == "qkv":
                self.other_parts.append("biases of q, k, v and of the feed-forward block alone")
        return {"biases": found}

    def _experts(self, values: dict[str, Any]) -> None:
        """What of the experts takes more than one key."""
        shared = self.config.get("n_shared_experts")
        if shared is not None:
            self.used.add("n_shared_experts")
            values["shared_expert_ffn_hidden_size"] = self._count("n_shared_experts") * values.get(
                "expert_ffn_hidden_size", 0
            )
            if not values["shared_expert_ffn_hidden_size"]:
                del values["shared_expert_ffn_hidden_size"]
        if "moe_layer_freq" in self.used and values.get("expert_layer_interval", 1) > 1:
            freq = self.config["moe_layer_freq"]  # DeepSeek's own code counts layers from 0, transformers not at all
            self.other_parts.append(f"experts in layers of its own choice (moe_layer_freq {freq})")
        else:
            self._place_experts(values)

    def _place_experts(self, values: dict[str, Any]) -> None:
        """Which layers have experts, where a list names them or those without."""
        named, dense = self._layer_numbers("moe_layers"), self._layer_numbers("mlp_only_layers")
        if named is None and not dense:
            return
        first, step = values.get("first_dense_layers", 0), values.get("expert_layer_interval", 1)
        layers = values.get("layers", _MOST_LAYERS)
        usual = range(first + step - 1, layers, step)
        found = sorted({*(usual if named is None else named)} - {*(dense or ())})
        if not found:
            del values["experts"]
            return
        if (places := places_of_experts(found, layers)) is None:
            key = "mlp_only_layers" if named is None else "moe_layers"
            self.other_parts.append(f"experts in layers of its own choice ({key} {self.config[key]!s:.60})")
            return
        values["first_dense_layers"], values["expert_layer_interval"] = places

    def _layer_numbers(self, key: str) -> list[int] | None:
        """Numbers of layers at a key; None where it is left out."""
        self.used.add(key)
        numbers = self.config.get(key)
        if numbers is None:
            return None
        if not isinstance(numbers, list) or not all(type(number) is int for number in numbers):
            raise ConfigError(f"{self.shown}: {key} {numbers!r:.60} is no list of layers by their numbers")
        return numbers

    def _layer_kinds(self) -> list[str]:
        """What is to be said of layers that are not of full attention."""
        kinds = self.config.get("layer_types")
        other = sorted({str(kind) for kind in kinds} - _FULL_LAYERS) if isinstance(kinds, list) else []
        if self.model_type not in HYBRIDS:
            self.other_parts += [f"layers of {kind}" for kind in other]
        windows = [key for key in ("sliding_window", "attention_chunk_size") if self.config.get(key)]
        self.used |= {"sliding_window", "attention_chunk_size", "use_sliding_window"}
        if self.config.get("use_sliding_window") is False:
            return []
        return [f"{key} {self.config[key]}: FLOPs count attention without windows" for key in windows]

    def _not_counted(self) -> Iterator[str]:
        """Keys that were read for nothing."""
        for key in ("num_nextn_predict_layers", "num_mtp_layers"):
            if self.config.get(key):
                yield f"{key} {self.config[key]}: not counted; prediction_layers of the model counts them"
                self.used.add(key)
        known = {key for keys in NAMES.values() for key in keys} | self.used
        for key, value in self.config.items():
            if key not in known and not _NO_BEARING.fullmatch(key) and value not in (False, [], {}, ""):
                yield f"{key}: {str(value)!r:.60} was not understood"

    def _known_families(self) -> list[str]:
        """What to write where the family is not known."""
        if not self.model_type:
            return ['model_type is missing: add the line of its family, such as "model_type": "llama"']
        meant = did_you_mean(self.model_type, FAMILIES) if self.model_type not in HYBRIDS else ""
        return [f"model_type {self.model_type!r:.40}: {meant.strip()}"] if meant else []

    def _unknown_family(self) -> str:
        if self.model_type in HYBRIDS:
            return HYBRIDS[self.model_type]
        if not self.model_type:
            return "a model of no model_type"
        return f"{self.model_type!r:.40}, a model_type whose parts are not known here"


def _leave_out_fragments(values: dict[str, Any]) -> None:
    """Leave out sizes that mean nothing by themselves, as a family that is not known has names of its own."""
    fragments = list(_OF_LATENT)
    if values.get("attention_heads", 0) % values.get("kv_heads", 1):
        fragments.append("kv_heads")
    if not 1 < values.get("experts", 0) >= values.get("experts_per_token", 10**9):
        fragments.append("experts")
    if "ffn_hidden_size" not in values:
        fragments.append("gated_ffn")
    _drop(values, fragments)


def _drop(values: dict[str, Any], names: list[str]) -> None:
    for name in names:
        values.pop(name, None)
