"""Hugging Face configs as models: parameters to the last one, what is not understood, where mistakes are told."""

import json
from pathlib import Path
from typing import Any

import pytest
from hugging_face_configs import CONFIGS
from sweeps import toy, write

from nodesweep.common.errors import ConfigError
from nodesweep.config.loader import load_sweep
from nodesweep.config.model_files import NamedModel, read_model
from nodesweep.performance.dimensions import Dimensions

SIZES = '"num_hidden_layers": 2, "hidden_size": 64, "num_attention_heads": 4, "vocab_size": 8}'


def model_of(folder: Path, config: dict[str, Any]) -> NamedModel:
    """The model in a config.json that holds this."""
    (folder / "config.json").write_text(json.dumps(config))
    return read_model(str(folder / "config.json"))


@pytest.mark.parametrize("name", CONFIGS)
def test_parameters_to_the_last_one(tmp_path: Path, name: str) -> None:
    """Each public model has the parameters that transformers builds."""
    config, parameters = CONFIGS[name]
    assert Dimensions(**model_of(tmp_path, config).model.sizes).parts.parameters == parameters


def test_a_sweep_reads_it_beside_its_file_and_keys_override_it(tmp_path: Path) -> None:
    """`from` is relative to the file that names it, other keys win, and the config is one of the sweep's files."""
    (tmp_path / "hf").mkdir()
    (tmp_path / "hf" / "config.json").write_text(json.dumps(CONFIGS["Qwen3 30B-A3B"][0]))
    model = {"from": "hf/config.json", "name": "cut-down", "layers": 4}
    sweep, files = load_sweep([write(tmp_path / "sweep.yaml", toy(model=model))])
    assert (sweep.model.layers, sweep.model.experts, sweep.model.kv_heads, sweep.model.qk_norm) == (4, 128, 4, "head")
    assert tmp_path / "hf" / "config.json" in files


def test_what_was_read_for_nothing_is_told(tmp_path: Path) -> None:
    """Windows, prediction layers and unknown keys are listed; keys without bearing are not."""
    config = CONFIGS["DeepSeek V3"][0] | {"sliding_window": 512, "frobnication": 3, "rope_scaling": {"type": "yarn"}}
    assert model_of(tmp_path, config).not_understood == (
        "sliding_window 512: FLOPs count attention without windows",
        "num_nextn_predict_layers 1: not counted; prediction_layers of the model counts them",
        "frobnication: '3' was not understood",
    )


@pytest.mark.parametrize(
    ("changes", "part"),
    [
        ({"model_type": "qwen3_next"}, "layers of linear attention"),
        ({"model_type": "nemotron_h"}, "Mamba layers among those of attention"),
        ({"model_type": "unheard_of"}, "unheard_of, a model_type whose parts are not known here"),
        ({"model_type": None}, "a model of no model_type"),
        ({"layer_types": ["full_attention", "mamba"]}, "layers of mamba"),
        ({"model_type": 'a"b;c'}, "abc, a model_type whose parts are not known here"),
        (
            {"model_type": "gemma3n_text", "intermediate_size": [64, 128]},
            "gemma3n_text, a model_type whose parts are not known here",
        ),
        ({"model_type": "nemotron_h", "time_step_limit": [0.0, float("inf")]}, "Mamba layers among those of attention"),
        ({"num_local_experts": 8}, "experts, which llama does not have"),
        ({"add_cross_attention": True}, "what add_cross_attention brings"),
    ],
)
def test_unknown_mathematics_is_an_other_part(tmp_path: Path, changes: dict[str, Any], part: str) -> None:
    """Where a config says more than the formulas know, the model has a part that none is known for."""
    model = model_of(tmp_path, CONFIGS["Llama 3 8B"][0] | changes).model
    assert model.other_parts == (part,)
    assert Dimensions(**model.sizes, sequence_length=4096, global_batch=1).maybe("model_flops") is None


@pytest.mark.parametrize(
    ("model_type", "changes"),
    [
        ("falcon", {"intermediate_size": None, "num_attention_heads": 71, "num_kv_heads": 8}),
        ("deepseek_v32", {"kv_lora_rank": 512, "q_lora_rank": 1536, "qk_nope_head_dim": 128, "qk_rope_head_dim": 64}),
        ("deepseek_v4", {"q_lora_rank": 1024, "n_routed_experts": 256, "n_shared_experts": 1}),
        ("kimi_linear", {"num_experts": 256, "num_experts_per_token": 8, "moe_intermediate_size": 1024}),
        ("hunyuan_v1_moe", {"num_experts": 64, "moe_topk": [8, 8], "moe_intermediate_size": [3072, 3072]}),
        ("glm4_moe_lite", {"num_attention_heads": 20, "head_dim": None}),
    ],
)
def test_a_family_with_names_of_its_own_is_read_as_far_as_it_goes(
    tmp_path: Path, model_type: str, changes: dict[str, Any]
) -> None:
    """Sizes that fit no model which is known are left out, as the family has others by other names: no mistake."""
    named = model_of(tmp_path, CONFIGS["Llama 3 8B"][0] | {"model_type": model_type} | changes)
    assert (named.model.layers, named.model.hidden_size, len(named.model.other_parts)) == (32, 4096, 1)
    assert named.model.kv_lora_rank is None and any("no formula is known" in text for text in named.not_understood)


def test_the_part_of_a_model_of_pictures_that_works_on_text(tmp_path: Path) -> None:
    """A config with a `text_config` describes that, with what its class has where it says less (Gemma 3 4B)."""
    text = {"model_type": "gemma3_text", "hidden_size": 2560, "intermediate_size": 10240, "num_hidden_layers": 34}
    named = model_of(tmp_path, {"model_type": "gemma3", "text_config": text, "vision_config": {"hidden_size": 1152}})
    assert Dimensions(**named.model.sizes).parts.parameters == 3880263168
    assert named.not_understood[0] == "vision_config: the part that works on text is described alone"


@pytest.mark.parametrize(
    ("config", "complaint"),
    [
        ('{"model_type": "llama", "hidden_size": 64}', "says no num_hidden_layers or n_layer"),
        ('{"model_type": "llama", "num_hidden_layers": "many"}', "num_hidden_layers 'many' is no number"),
        ('{"model_type": "llama", "tie_word_embeddings": 3}', "tie_word_embeddings 3 is neither true nor false"),
        ('{"model_type": "deepseek_v3", ' + SIZES, "says no num_experts or num_local_experts or n_routed_experts"),
        ('{"model_type": "qwen3_moe", "num_experts": 8, ' + SIZES, "says no moe_intermediate_size"),
        (
            '{"model_type": "qwen3_moe", "num_experts": 8, "moe_intermediate_size": 8, "mlp_only_layers": 3, ' + SIZES,
            "mlp_only_layers 3 is no list of layers",
        ),
        ("[]", "holds no mapping of keys"),
        ("{", "is no config of Hugging Face"),
        (None, "there is no such file"),
    ],
)
def test_mistakes_are_told_with_both_files(tmp_path: Path, config: str | None, complaint: str) -> None:
    """What cannot be used is told with the line that names the config, and with the config."""
    if config is not None:
        (tmp_path / "config.json").write_text(config)
    path = write(tmp_path / "sweep.yaml", toy(model={"from": "config.json"}))
    with pytest.raises(ConfigError, match=complaint) as raised:
        load_sweep([path])
    assert "sweep.yaml:4: model.from: " in str(raised.value) and "config.json: " in str(raised.value)


def test_when_reads_no_config(tmp_path: Path) -> None:
    """A condition changes keys by name: a second config would have to replace all that the first one says."""
    when = [{"if": "tensor == 2", "model": {"from": "config.json"}}]
    with pytest.raises(ConfigError, match=r"model\.from is read once"):
        load_sweep([write(tmp_path / "sweep.yaml", toy(when=when))])


@pytest.mark.parametrize(
    ("changes", "first_and_interval"),
    [
        ({"mlp_only_layers": [1, 0]}, (2, 1)),
        ({"mlp_only_layers": [0], "decoder_sparse_step": 2}, (0, 2)),  # layers 1, 3, ... have experts anyway
        ({"mlp_only_layers": [1], "decoder_sparse_step": 2}, (2, 2)),
        ({"mlp_only_layers": [3]}, None),
    ],
)
def test_layers_that_have_experts(
    tmp_path: Path, changes: dict[str, Any], first_and_interval: tuple[int, int] | None
) -> None:
    """Layers without experts are counted as the family has them, or the model has a part that is not known."""
    model = model_of(tmp_path, CONFIGS["Qwen3 30B-A3B"][0] | changes).model
    if first_and_interval is None:
        assert "mlp_only_layers [3]" in model.other_parts[0]
    else:
        assert (model.first_dense_layers, model.expert_layer_interval) == first_and_interval
        assert not model.other_parts


def test_a_frequency_of_deepseek_is_not_counted(tmp_path: Path) -> None:
    """DeepSeek's own code counts layers from 0, transformers not at all."""
    model = model_of(tmp_path, CONFIGS["DeepSeek V3"][0] | {"moe_layer_freq": 2}).model
    assert model.other_parts == ("experts in layers of its own choice (moe_layer_freq 2)",)


def test_null_is_no_default_of_the_family(tmp_path: Path) -> None:
    """Mistral has 8 heads of k and v where the key is left out, and as many as of q where it is null."""
    config = CONFIGS["Llama 3 8B"][0] | {"model_type": "mistral"}
    del config["num_key_value_heads"]
    assert model_of(tmp_path, config).model.values["kv_heads"] == 8
    assert model_of(tmp_path, config | {"num_key_value_heads": None}).model.values["kv_heads"] == 32


def test_bloom_by_its_own_keys(tmp_path: Path) -> None:
    """BLOOM calls its width n_embed; it has 176,247,271,424 parameters."""
    config = {"model_type": "bloom", "n_embed": 14336, "n_layer": 70, "num_attention_heads": 112, "vocab_size": 250880}
    assert Dimensions(**model_of(tmp_path, config).model.sizes).parts.parameters == 176_247_271_424
