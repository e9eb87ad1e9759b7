"""Parameters and FLOPs of decoders: small ones counted by hand, public ones as others count them."""

from typing import Any

import pytest

from nodesweep.config.model_files import read_model
from nodesweep.performance.dimensions import Dimensions, NoFormulaError, UnknownSizeError
from nodesweep.performance.memory import parameters
from nodesweep.results.rows import size_label

# Two layers, h 8, 4 heads of 2, V 16, f 12.
SMALL: dict[str, Any] = {"layers": 2, "hidden_size": 8, "attention_heads": 4, "vocab_size": 16, "ffn_hidden_size": 12}
LLAMA: dict[str, Any] = {
    **SMALL,
    "kv_heads": 2,
    "gated_ffn": True,
    "biases": "none",
    "norm": "rmsnorm",
    "positions": "rotary",
    "tied_embeddings": False,
}
EXPERTS = {"experts": 4, "experts_per_token": 2, "expert_ffn_hidden_size": 6, "first_dense_layers": 1}
LATENT = {"kv_lora_rank": 3, "q_lora_rank": 5, "head_width": 2, "rope_head_width": 1, "value_head_width": 2}


@pytest.mark.parametrize(
    ("sizes", "expected"),
    [
        # q and output 8 x 8, k and v 8 x 4; 3 x 8 x 12; norms of 8, two a layer and a last one; two tables of 16 x 8
        (LLAMA, {"embedding": 128, "attention": 2 * 192, "feed-forward": 2 * 288, "norms": 2 * 16 + 8, "output": 128}),
        # biases of 24, 8, 12 and 8 a layer; layer norms of 16; one table
        (SMALL, {"embedding": 128, "attention": 2 * 288, "feed-forward": 2 * 212, "norms": 2 * 32 + 16}),
        (LLAMA | {"biases": "qkv"}, {"attention": 2 * (192 + 16)}),
        (LLAMA | {"biases": "attention"}, {"attention": 2 * (192 + 16 + 8)}),
        (LLAMA | {"qk_norm": "head"}, {"norms": 2 * (16 + 4) + 8}),
        (LLAMA | {"qk_norm": "whole", "norms_per_layer": 4}, {"norms": 2 * (32 + 12) + 8}),
        (SMALL | {"max_positions": 10, "norm": "none"}, {"positions": 80, "norms": 0}),
        (LLAMA | {"extras": "output_bias; attention_sinks"}, {"output": 144, "attention": 2 * 196}),
        # one layer of experts: 4 x 3 x 8 x 6 and a router of 4 x 8; the shared one is 3 x 8 x 10
        (
            LLAMA | EXPERTS | {"shared_expert_ffn_hidden_size": 10, "extras": "router_bias"},
            {"experts": 576, "router": 36, "shared experts": 240, "feed-forward": 288},
        ),
        # q 8 x 5 and 5 x 12, kv 8 x 4 and 3 x 16, output 8 x 8; norms of 5 and 3
        (LLAMA | LATENT | {"kv_heads": None}, {"attention": 2 * 244, "norms": 2 * (16 + 8) + 8}),
        # a third layer, 16 x 8 of its projection, three norms
        (LLAMA | {"prediction_layers": 1}, {"attention": 3 * 192, "prediction": 128 + 24}),
    ],
)
def test_parameters_by_hand(sizes: dict[str, Any], expected: dict[str, int]) -> None:
    """Parameters of each part as a reader can count them."""
    found = Dimensions(**sizes).parts.by_group
    assert {group: found.get(group, 0) for group in expected} == expected


def test_experts_that_do_not_work_on_a_token_are_not_active() -> None:
    """Two of four experts of 3 x 8 x 6 do not work: 288 parameters of all are not active."""
    parts = Dimensions(**LLAMA, **EXPERTS).parts
    assert parts.parameters - parts.active_parameters == 2 * 3 * 8 * 6


@pytest.mark.parametrize(
    ("layers", "first", "interval", "with_experts"),
    [(6, 0, 1, 6), (6, 2, 1, 4), (6, 0, 2, 3), (7, 0, 2, 3), (7, 1, 3, 2)],
)
def test_which_layers_have_experts(layers: int, first: int, interval: int, with_experts: int) -> None:
    """Every n-th layer after the first dense ones."""
    sizes = LLAMA | EXPERTS | {"layers": layers, "first_dense_layers": first, "expert_layer_interval": interval}
    assert Dimensions(**sizes).parts.copies["expert layers"] == with_experts


def test_flops_by_hand() -> None:
    """Of 4 tokens: 2 x 2 x (192 + 288) of layers, 2 x 2 x (8 + 8) a pair, halved in causal, 2 x 128 of the output."""
    case = Dimensions(**LLAMA, sequence_length=4, global_batch=3, activation_checkpointing=True, tensor=1)
    layers, core, output = 4 * 2 * 2 * 480, 4 * 4 * 2 * 2 * 16, 4 * 2 * 128
    assert case.flops_convention == "whole"
    assert case.model_flops == 3 * 3 * (layers + core + output)
    assert case.hardware_flops == 3 * (3 * (layers + core + output) + layers + core)
    causal = case.changed(flops_convention="causal")
    assert causal.model_flops == 3 * 3 * (layers + core // 2 + output)


def test_recomputation_of_some_layers() -> None:
    """One layer of each of two stages of two is half of one more forward pass."""
    case = Dimensions(**(LLAMA | {"layers": 4}), sequence_length=4, global_batch=1, activation_checkpointing=True)
    half = case.changed(pipeline=2, recomputed_layers=1)
    assert half.hardware_flops - half.model_flops == (case.hardware_flops - case.model_flops) // 2


def test_the_width_of_the_block_counts_in_a_plain_gpt() -> None:
    """Eq. 3 with 24 L h^2 as 8 h^2 + 4 h f: a block of 12 instead of 32 saves 4 x 8 x 20 a token, layer and pass."""
    case = Dimensions(**SMALL, sequence_length=4, global_batch=1, tensor=1)
    usual = case.changed(ffn_hidden_size=None)
    assert (case.flops_convention, usual.flops_convention) == ("narayanan", "narayanan")
    assert usual.model_flops - case.model_flops == 3 * 4 * 2 * 4 * 8 * 20


@pytest.mark.parametrize(
    ("name", "parameters_of_it", "at_4096", "at_8192"),
    [
        ("gpt-175b", 174604259328, 4408825570394112, 9055145652387840),
        ("llama3-8b", 8030261248, 197628625158144, 421645529382912),
        ("llama3-70b", 70553706496, 1774044831547392, 3680031058427904),
        ("mixtral-8x7b", 46702792704, 326477644038144, 679343567142912),
        ("qwen3-30b-a3b", 30532122624, 94233729957888, 228049878515712),
        ("deepseek-v3", 671026404352, 1023230173249536, 2297973631352832),
    ],
)
def test_as_megatron_counts(name: str, parameters_of_it: int, at_4096: int, at_8192: int) -> None:
    """FLOPs of a sample by Megatron-LM core 0.17.1's num_floating_point_operations, parameters by transformers 5.24."""
    case = Dimensions(**(read_model(name).model.sizes | {"flops_convention": "causal"}), global_batch=1)
    assert case.parts.parameters == parameters_of_it
    assert [case.changed(sequence_length=length).model_flops for length in (4096, 8192)] == [at_4096, at_8192]


def test_no_formula_on_a_model_it_does_not_hold_for() -> None:
    """Unknown parts leave parameters and FLOPs unknown, and so does a size that has no usual value."""
    with pytest.raises(NoFormulaError, match="no formula is known for: Mamba layers"):
        _ = Dimensions(**SMALL, other_parts="Mamba layers").parts
    for sizes in ({"gated_ffn": True, "ffn_hidden_size": None}, {"experts": 4}):
        with pytest.raises(UnknownSizeError):
            _ = Dimensions(**(SMALL | sizes)).parts


@pytest.mark.parametrize(
    ("name", "layers", "split", "expected"),
    [
        # 12 layers of 70B over TP 2: 12 (2 h^2 + 2 h k) / 2 and so on, two tables of 128256 + 128 h, norms whole
        ("llama3-70b", 12, {"tensor": 2}, 12 * ((18 * 1024 + 3 * 28672) * 8192 // 2 + 2 * 8192) + 128256 * 8192 + 8192),
        # one of four layers dense, an eighth of the experts of the others
        (
            "deepseek-v3",
            4,
            {"expert": 8},
            4 * (187107328 + 2 * 7168)
            + 3 * 7168 * 18432
            + 3 * (256 // 8 * 3 * 7168 * 2048 + 3 * 7168 * 2048 + 256 * 7168)
            + 2 * 129280 * 7168
            + 7168,
        ),
    ],
)
def test_parameters_of_a_rank(name: str, layers: int, split: dict[str, int], expected: int) -> None:
    """Tensor parallelism splits matrices, not norms; expert parallelism splits the experts alone."""
    sizes = read_model(name).model.sizes | {"layers": layers}
    if sizes.get("experts"):
        sizes["first_dense_layers"] = 1
    case = Dimensions(**sizes, **({"tensor": 1, "pipeline": 1} | split), sequence_length=4096)
    assert parameters(case, 0) == expected


@pytest.mark.parametrize(("name", "label"), [("gpt-2.7b", "2.7B"), ("llama3-8b", "8.03B"), ("deepseek-v3", "671B")])
def test_size_labels(name: str, label: str) -> None:
    """A plain GPT has two figures, as in the study's tables; other models have three, as hubs show them."""
    assert size_label(read_model(name).model) == label
