"""What dumps of arguments tell of a model and of its axes: as trainers print them, defaults that mean nothing too."""

from pathlib import Path
from typing import Any

import pytest

from nodesweep.cli.main import main
from nodesweep.config.model_files import read_model
from nodesweep.config.trainer_model import model_said, parts_unknown
from nodesweep.importers.job_logs import IngestOptions, find_logs, ingest, values_of_settings
from nodesweep.importers.job_logs.job import IngestedLog
from nodesweep.performance.dimensions import Dimensions

MEANINGLESS = {
    "add_bias_linear": True,
    "add_qkv_bias": False,
    "expert_model_parallel_size": 1,
    "expert_tensor_parallel_size": 4,
    "group_query_attention": False,
    "kv_channels": 64,
    "kv_lora_rank": 512,
    "max_position_embeddings": 4096,
    "moe_ffn_hidden_size": None,
    "moe_layer_freq": 1,
    "moe_router_topk": 2,
    "mtp_num_layers": None,
    "multi_latent_attention": False,
    "normalization": "LayerNorm",
    "num_experts": None,
    "num_query_groups": 1,
    "position_embedding_type": "learned_absolute",
    "q_lora_rank": None,
    "qk_head_dim": 128,
    "qk_layernorm": False,
    "qk_pos_emb_head_dim": 64,
    "swiglu": False,
    "untie_embeddings_and_output_weights": False,
    "v_head_dim": 128,
}
"""What Megatron-LM (core 0.13) prints for a GPT with heads of 64: sizes of parts that it does not have among it."""
RUN = {
    "bf16": True,
    "data_parallel_size": 4,
    "fp16": False,
    "global_batch_size": 64,
    "micro_batch_size": 1,
    "pipeline_model_parallel_size": 2,
    "recompute_granularity": None,
    "seq_length": 4096,
    "tensor_model_parallel_size": 4,
    "world_size": 32,
}
GPT = {"ffn_hidden_size": 4096, "hidden_size": 1024, "num_attention_heads": 16, "num_layers": 24, "vocab_size": 50304}
LLAMA_LIKE = {
    "add_bias_linear": False,
    "normalization": "RMSNorm",
    "position_embedding_type": "rope",
    "swiglu": True,
    "untie_embeddings_and_output_weights": True,
}
QWEN3_30B_A3B = LLAMA_LIKE | {
    "ffn_hidden_size": 6144,
    "group_query_attention": True,
    "hidden_size": 2048,
    "kv_channels": 128,
    "moe_ffn_hidden_size": 768,
    "moe_router_topk": 8,
    "num_attention_heads": 32,
    "num_experts": 128,
    "num_layers": 48,
    "num_query_groups": 4,
    "qk_layernorm": True,
    "vocab_size": 151936,
}
DEEPSEEK_V3 = LLAMA_LIKE | {
    "ffn_hidden_size": 18432,
    "hidden_size": 7168,
    "kv_channels": 128,
    "kv_lora_rank": 512,
    "moe_ffn_hidden_size": 2048,
    "moe_layer_freq": [0] * 3 + [1] * 58,
    "moe_router_topk": 8,
    "moe_shared_expert_intermediate_size": 2048,
    "multi_latent_attention": True,
    "num_attention_heads": 128,
    "num_experts": 256,
    "num_layers": 61,
    "q_lora_rank": 1536,
    "qk_layernorm": True,
    "vocab_size": 129280,
}
"""What the three models add to that, by their public configs."""


def dump_of(settings: dict[str, Any]) -> list[str]:
    """The lines of a dump."""
    lines = [f"  {name} {'.' * max(48 - len(name), 3)} {settings[name]}" for name in sorted(settings)]
    return [f"{'-' * 24} arguments {'-' * 24}", *lines, f"{'-' * 20} end of arguments {'-' * 21}"]


def ingested(folder: Path, lines: list[str], *given: str) -> IngestedLog:
    """A log with these lines and three iterations of ten seconds, and what a user sets beside it."""
    records = [
        f" iteration {number:8}/       3 | consumed samples: {64 * number} | "
        "elapsed time per iteration (ms): 10000.0 | learning rate: 3.0E-04 | "
        "global batch size:    64 | lm loss: 1.0E+01 | loss scale: 1.0 |"
        for number in (1, 2, 3)
    ]
    (folder / "run.log").write_text("\n".join((*lines, *records)) + "\n")
    logs = find_logs([folder / "run.log"])
    readings = ((job, job.readings((None,))) for job in logs.jobs)
    (log,) = ingest("old", logs, readings, IngestOptions(values_of_settings(list(given)))).logs
    return log


@pytest.mark.parametrize(
    ("name", "settings", "label"),
    [("qwen3-30b-a3b", QWEN3_30B_A3B, "30.5B"), ("deepseek-v3", DEEPSEEK_V3, "671B")],
)
def test_rates_of_mixtures_are_those_of_their_model(
    tmp_path: Path, name: str, settings: dict[str, Any], label: str
) -> None:
    """A whole dump tells a mixture of experts so that parameters and FLOPs are those of the model of that name."""
    log = ingested(tmp_path, dump_of(MEANINGLESS | RUN | settings))
    sizes = {size: value for size, value in read_model(name).model.sizes.items() if size != "prediction_layers"}
    case = Dimensions(**sizes, sequence_length=4096, global_batch=64)
    assert log.model is not None and log.figures()["model_size"] == label
    assert Dimensions(**log.model.sizes).parts.products == case.parts.products
    assert log.figures()["model_tflops_per_node"] == pytest.approx(case.model_flops / (10 * 32 * 1e12))


def test_defaults_of_what_a_gpt_has_not_are_no_sizes(tmp_path: Path) -> None:
    """Megatron-LM prints heads, ranks and experts of parts that a GPT lacks: the row names its five sizes alone."""
    log = ingested(tmp_path, dump_of(MEANINGLESS | RUN | GPT))
    row = log.figures()
    sizes = ("kv_heads", "head_width", "gated_ffn", "experts_per_token", "kv_lora_rank", "ffn_hidden_size", "biases")
    assert [row.get(name) for name in sizes] == [None] * 7
    assert (row["expert"], row["expert_tensor"], row["precision"], row["layers"]) == (1, 1, "bf16", 24)
    case = Dimensions(
        layers=24,
        hidden_size=1024,
        attention_heads=16,
        vocab_size=50304,
        sequence_length=4096,
        global_batch=64,
        tensor=4,
    )
    assert row["model_tflops_per_node"] == pytest.approx(case.model_flops / (10 * 32 * 1e12))


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({"num_layers_per_virtual_pipeline_stage": 3}, {"virtual_pipeline": 4}),
        (
            {"use_distributed_optimizer": True, "sequence_parallel": True},
            {"sharding": "zero1", "sequence_parallel": True},
        ),
        ({"deepspeed": True, "zero_stage": 3}, {"sharding": "zero3"}),
        ({"deepspeed": False, "zero_stage": 1}, {"sharding": None}),
        ({"fp8": "hybrid", "fp8_recipe": "mxfp8"}, {"precision": "mxfp8"}),
        ({"context_parallel_size": 2, "data_parallel_size": 2}, {"context": 2}),
        ({"recompute_granularity": "full"}, {"activation_checkpointing": True, "recomputation": None}),
        ({"recompute_granularity": "selective"}, {"activation_checkpointing": True, "recomputation": "selective"}),
        (
            {"recompute_granularity": "selective", "recompute_modules": ["moe_act"]},
            {"activation_checkpointing": None, "recomputation": None},
        ),
        (
            {"recompute_granularity": "full", "recompute_method": "block", "recompute_num_layers": 2},
            {"activation_checkpointing": True, "recomputed_layers": 2},
        ),
    ],
)
def test_axes_of_a_dump(tmp_path: Path, settings: dict[str, Any], expected: dict[str, Any]) -> None:
    """24 layers in chunks of 3 over 2 stages are 4 chunks a stage; flags say what is sharded, split or recomputed."""
    log = ingested(tmp_path, dump_of(MEANINGLESS | RUN | GPT | settings))
    assert {name: log.layout[name] for name in expected} == expected
    assert log.findings == ()


def test_selective_recomputation_repeats_the_core_alone(tmp_path: Path) -> None:
    """Scores and values take 4 s h of a token and layer, a third of that again being what recomputation adds."""
    row = ingested(tmp_path, dump_of(MEANINGLESS | RUN | GPT | {"recompute_granularity": "selective"})).figures()
    core = 64 * 4096 * 24 * 4 * 4096 * 1024
    both = [float(str(row[name])) for name in ("tflops_per_node", "model_tflops_per_node")]
    assert both[0] - both[1] == pytest.approx(core / (10 * 32 * 1e12))


@pytest.mark.parametrize(
    ("settings", "word"),
    [
        ({"hybrid_override_pattern": "M-M*-"}, "Mamba layers (hybrid_override_pattern M-M*-)"),
        ({"num_experts": 8, "moe_layer_freq": [1, 0] * 12}, "experts in layers at no even distance"),
        ({"topk": 2, "num_experts": "", "moe_router_topk": 2}, "nothing tells experts of the model"),
        ({"num_experts": "[8, 16]"}, "layers of different numbers of experts"),
    ],
)
def test_no_rate_of_parts_without_a_formula(tmp_path: Path, settings: dict[str, Any], word: str) -> None:
    """A dump that names parts no formula is known for leaves rates empty, and the row says which setting names them.

    So does one that is cut so that it names how many experts work on a token and not how many there are.
    """
    given = {name: value for name, value in (MEANINGLESS | RUN | GPT | settings).items() if value != ""}
    row = ingested(tmp_path, dump_of(given)).figures()
    assert (row["tflops_per_node"], row["model_size"]) == (None, None)
    assert word in str(row["flags"]) and "no TFLOPs by the formula" in str(row["flags"])


def test_what_a_cut_dump_does_not_tell_is_asked_for(tmp_path: Path) -> None:
    """Sizes without the end of their dump may be of any decoder; heads of k and v and the gate say which it is.

    No formula holds for heads that cannot be shared evenly.

    24 layers of 2 x 1024^2 + 2 x 1024 x 256 + 3 x 1024 x 4096 + 2 x 1024 and twice 50304 x 1024 are 468M.
    """
    cut = dump_of(RUN | GPT)[:-1]
    row = ingested(tmp_path, cut).figures()
    assert row["tflops_per_node"] is None and row["model_size"] is None
    assert "nothing tells kv_heads and gated_ffn of the model: no TFLOPs by the formula; --set kv_heads=..." in str(
        row["flags"]
    )
    told = ingested(tmp_path, cut, "kv_heads=4", "gated_ffn=yes").figures()
    assert float(str(told["tflops_per_node"])) > 0 and told["model_size"] == "468M"
    wrong = ingested(tmp_path, cut, "kv_heads=7", "gated_ffn=yes").figures()
    assert (wrong["tflops_per_node"], wrong["model_size"]) == (None, None)
    assert "kv_heads 7 does not divide attention_heads 16" in str(wrong["flags"])


def test_sets_of_all_sizes(tmp_path: Path) -> None:
    """`--set` takes every size of a model: numbers, yes or no, words, and 0 of what a model may have none of."""
    given = (
        "norm=rmsnorm",
        "biases=QKV",
        "qk_norm=head",
        "first_dense_layers=0",
        "extras=router_bias",
        "kv_lora_rank=8",
    )
    expected = {"norm": "rmsnorm", "biases": "qkv", "qk_norm": "head", "first_dense_layers": 0, "kv_lora_rank": 8}
    assert values_of_settings([*given, "extras=router_bias"]) == expected | {"extras": "router_bias"}
    with pytest.raises(Exception, match="norm 'batch' is not one of layernorm, rmsnorm, layernorm_without_bias, none"):
        values_of_settings(["norm=batch"])


def test_settings_of_other_trainers() -> None:
    """GPT-NeoX, Megatron-DeepSpeed and BigScience's fork have words of their own for the same sizes."""
    neox = {"pos_emb": "rotary", "norm": "rmsnorm", "no_weight_tying": "True", "mlp_type": "llama", "num_kv_heads": "4"}
    assert {name: value for name, (value, _) in model_said(neox).items() if value is not None} == {
        "positions": "rotary",
        "norm": "rmsnorm",
        "tied_embeddings": False,
        "gated_ffn": True,
        "kv_heads": 4,
    }
    deepspeed = model_said({"num_experts": "[64]", "expert_interval": "2", "topk": "1", "mlp_type": "standard"})
    assert [deepspeed[name][0] for name in ("experts", "expert_layer_interval", "experts_per_token")] == [64, 2, 1]
    bloom = {
        "position_embedding_type": "PositionEmbeddingType.alibi",
        "embed_layernorm": "True",
        "glu_activation": "None",
    }
    said = model_said(bloom)
    assert (said["positions"][0], said["extras"][0], "gated_ffn" in said) == ("none", "embedding_norm", False)
    assert parts_unknown({"num_experts": "[64]", "mlp_type": "residual"}) == [
        "a dense block beside each expert (mlp_type residual)"
    ]


def test_tables_of_a_dump_without_heads(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A dump that tells the width of a head and not how many there are has tables, without rates."""
    cut = {"hidden_size": 1024, "kv_channels": 64, "num_layers": 24, "vocab_size": 50304}
    ingested(tmp_path, dump_of(RUN | cut))
    monkeypatch.chdir(tmp_path)
    assert main(["ingest", "run.log"]) == 0
    assert "attention_heads of the model is not told" in capsys.readouterr().out


def test_a_list_of_every_second_layer_is_read(tmp_path: Path) -> None:
    """The list that Megatron-LM prints says the same as the distance that stands for it."""
    experts = {"num_experts": 8, "moe_router_topk": 2, "moe_ffn_hidden_size": 1024}
    found = [
        ingested(tmp_path, dump_of(MEANINGLESS | RUN | GPT | experts | {"moe_layer_freq": freq})).figures()
        for freq in (2, [0, 1] * 12, "([0,1]*12)")
    ]
    assert found[0]["tflops_per_node"] and found[0]["tflops_per_node"] == found[1]["tflops_per_node"]
    assert found[1]["tflops_per_node"] == found[2]["tflops_per_node"]
