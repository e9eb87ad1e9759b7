"""Keys of a model: what they come to where they are left out, and what does not fit together."""

from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError
from sweeps import toy, write

from nodesweep.config.loader import REPOSITORY
from nodesweep.config.model import Model
from nodesweep.config.model_files import read_model
from nodesweep.performance.dimensions import Dimensions
from nodesweep.sweep.study import Study

GPT: dict[str, Any] = {"layers": 4, "hidden_size": 64, "attention_heads": 4, "vocab_size": 1024}
EXPERTS = {"experts": 8, "experts_per_token": 2}
LATENT = {"kv_lora_rank": 16, "head_width": 16, "rope_head_width": 8}


def test_what_is_left_out_is_as_in_a_gpt() -> None:
    """Templates see what each key comes to."""
    values = Model(**GPT).values
    assert (values["kv_heads"], values["head_width"]) == (4, 16)
    assert (values["ffn_hidden_size"], values["ffn_width"]) == (256, 256)
    assert (values["gated_ffn"], values["biases"], values["norm"], values["positions"]) == (
        False,
        "all",
        "layernorm",
        "learned",
    )
    assert (values["experts"], values["flops_convention"]) == (0, "narayanan")


def test_sizes_are_those_that_are_not_left_to_their_defaults() -> None:
    """Columns of results.csv of sizes that a model does not use stay empty."""
    given = {name for name, value in Model(**GPT).sizes.items() if value is not None}
    assert given == set(GPT)
    assert Model(**GPT, extras=["router_bias", "output_bias"]).sizes["extras"] == "router_bias; output_bias"


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"kv_heads": 3}, "kv_heads 3 does not divide attention_heads 4"),
        ({"gated_ffn": True}, "gated_ffn needs ffn_hidden_size"),
        ({"experts": 8}, "experts needs experts_per_token"),
        ({"experts": 1, "experts_per_token": 1}, "greater than or equal to 2"),
        ({**EXPERTS, "experts_per_token": 9}, "experts_per_token 9 is more than there are"),
        ({**EXPERTS, "first_dense_layers": 4}, "no layer has experts"),
        ({**EXPERTS, "gated_ffn": True, "first_dense_layers": 1, "expert_ffn_hidden_size": 8}, "ffn_hidden_size"),
        ({"shared_expert_ffn_hidden_size": 8}, "is a size of a mixture of experts; give experts"),
        ({"rope_head_width": 8}, "rope_head_width is a size of latent attention"),
        ({"kv_lora_rank": 16}, "give head_width and rope_head_width"),
        ({**LATENT, "kv_heads": 2}, "exclude each other"),
        ({**LATENT, "qk_norm": "head"}, "qk_norm is not counted under latent attention"),
        ({**LATENT, "extras": ["attention_sinks"]}, "attention_sinks is not counted under latent attention"),
        ({**EXPERTS, "flops_convention": "narayanan"}, "holds for a plain GPT alone"),
        ({"kv_heads": 2, "flops_convention": "narayanan"}, "holds for a plain GPT alone"),
        ({"extras": ["router_bias", "frills"]}, "router_bias"),
    ],
)
def test_what_does_not_fit_together_is_refused(changes: dict[str, Any], complaint: str) -> None:
    """A complaint says which key does not fit, and what would."""
    with pytest.raises(ValidationError, match=complaint):
        Model(**GPT, **changes)


@pytest.mark.parametrize("changes", [{**EXPERTS}, LATENT, {**EXPERTS, **LATENT, "prediction_layers": 1}])
def test_what_fits_together(changes: dict[str, Any]) -> None:
    """Experts, latent attention and both need no more than their own keys."""
    assert Model(**GPT, **changes).values["flops_convention"] == "whole"


def test_new_keys_leave_the_slugs_of_old_sweeps(tmp_path: Path) -> None:
    """A convention of FLOPs renames no layout, another model does; the slugs are those of version 0.1."""
    slugs = []
    for changes in ({}, {"flops_convention": "causal"}, {"kv_heads": 2}):
        sweep = toy(model=toy()["model"] | changes)
        slugs.append(next(iter(Study.load([write(tmp_path / "sweep.yaml", sweep)]).layouts)))
    assert slugs[0] == slugs[1] == "n1-dp1-mp1-pp1-mbs1-gbs16-s128-4613c4"
    assert slugs[2] != slugs[0]


@pytest.mark.parametrize("path", sorted((REPOSITORY / "config" / "models").glob("*.yaml")), ids=lambda path: path.stem)
def test_shipped_models_have_the_size_in_their_name(path: Path) -> None:
    """A shipped model is near the number of parameters that its name says."""
    model = read_model(str(path)).model
    words = [word for word in path.stem.split("-") if word[:1].isdigit() and word.endswith("b") and "x" not in word]
    if words:
        parameters = Dimensions(**model.sizes).parts.parameters
        assert parameters / 1e9 == pytest.approx(float(words[0].removesuffix("b")), rel=0.04)
