"""The commands that the workloads of config/workloads make of today's models, word by word."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from paths import REPOSITORY
from sweeps import write

from minitrain.arguments import read_arguments
from nodesweep.common.errors import ConfigError
from nodesweep.schedulers.job_script import render
from nodesweep.sweep.command_checks import contradictions
from nodesweep.sweep.layout import Layout
from nodesweep.sweep.study import Study
from nodesweep.sweep.template_values import context_of, environment_of
from nodesweep.sweep.trainer_command import rendered

WORKLOADS = [path.stem for path in sorted((REPOSITORY / "config" / "workloads").glob("*.yaml"))]
CASES: dict[str, tuple[str, str, dict[str, Any]]] = {
    "megatron-lm.gpt-1.3b": ("megatron-lm", "gpt-1.3b", {"tensor": 2, "sequence_length": 2048}),
    "megatron-lm.llama3-8b": (
        "megatron-lm",
        "llama3-8b",
        {
            "tensor": 2,
            "pipeline": 4,
            "virtual_pipeline": 2,
            "context": 2,
            "precision": "fp8",
            "recomputation": "selective",
        },
    ),
    "megatron-lm.qwen3-30b-a3b": (
        "megatron-lm",
        "qwen3-30b-a3b",
        {"tensor": 2, "expert": 8, "recomputation": "full", "recomputed_layers": 4, "sharding": "zero1"},
    ),
    "megatron-lm.deepseek-v3": (
        "megatron-lm",
        "deepseek-v3",
        {"pipeline": 3, "expert": 8, "nodes": 12, "global_batch": 96, "precision": "mxfp8"},
    ),
    "megatron-lm.llama3-70b": (
        "megatron-lm",
        "llama3-70b",
        {"sharding": "hsdp", "sharding_group": 8, "offload": "optimizer"},
    ),
    "megatron-deepspeed.llama3-8b": (
        "megatron-deepspeed",
        "llama3-8b",
        {"tensor": 2, "pipeline": 2, "precision": "fp16"},
    ),
    "torchtitan.llama3-8b": ("torchtitan", "llama3-8b", {"tensor": 2, "pipeline": 4, "virtual_pipeline": 2}),
    "torchtitan.deepseek-v3": ("torchtitan", "deepseek-v3", {"expert": 8, "sharding": "hsdp", "sharding_group": 32}),
}

GPT = {"name": "gpt", "layers": 24, "hidden_size": 2048, "attention_heads": 16, "vocab_size": 50304}
GPT_OF_EXPERTS = {**GPT, "experts": 8, "experts_per_token": 2}
GATED_SHARED_EXPERT = {
    **GPT_OF_EXPERTS,
    "biases": "qkv",
    "shared_expert_ffn_hidden_size": 4096,
    "extras": ["shared_expert_gate"],
}
HSDP_OF_EXPERTS = {"sharding": "hsdp", "sharding_group": 8, "expert": 8}
"""64 ranks in eight groups; each of the experts, spread over eight ranks, has eight replicas."""


def layouts_of(folder: Path, workload: Any, model: Any, **block: Any) -> list[Layout]:
    """The layouts of a sweep of one block on eight nodes of eight ranks."""
    sweep = {
        "sweep": "commands",
        "model": model,
        "machine": {"name": "h100", "scheduler": "slurm", "ranks_per_node": 8, "launcher": ["srun"]},
        "workload": workload,
        "iterations": {"total": 10, "warmup": 2},
        "layouts": [{"nodes": 8, "global_batch": 128, "sequence_length": 4096, **block}],
    }
    return list(Study.load([write(folder / "sweep.yaml", sweep)]).expansion.layouts)


def written(layout: Layout) -> str:
    """Environment, set-up lines and words of a layout's command, a line each."""
    context = context_of(layout.fields(), layout)
    environment = [f"{name}={rendered(value, context)}" for name, value in sorted(environment_of(layout).items())]
    setup = [rendered(line, context) for line in layout.workload.setup]
    words = [word for word in (rendered(word, context) for word in layout.workload.command) if word]
    return "\n".join([*environment, "", *setup, "", *words]) + "\n"


@pytest.mark.parametrize("case", CASES)
def test_the_command_of_a_model(tmp_path: Path, golden: Callable[[str, str], None], case: str) -> None:
    """Each model and layout is passed on in the trainer's own words, and what they say is what predictions go by."""
    workload, model, block = CASES[case]
    (layout,) = layouts_of(tmp_path, workload, model, **block)
    golden(f"command.{case}.txt", written(layout))
    assert contradictions(layout) == []
    script = render(layout, "commands", tmp_path)
    assert all(
        word in script for word in ("srun", "pretrain_gpt.py" if workload != "torchtitan" else "torchtitan.train")
    )


def test_what_memory_depends_on_is_typed_in_no_workload_whose_command_says_it() -> None:
    """The workloads type only what their trainers are by nature, and no option sets."""
    typed = {
        name: yaml.safe_load((REPOSITORY / "config" / "workloads" / f"{name}.yaml").read_text()).get("training", {})
        for name in WORKLOADS
    }
    assert {name: list(keys) for name, keys in typed.items() if keys} == {
        "minitrain": ["flash_attention", "dropout", "tied_embeddings", "fused_kernels", "context_gathers"],
        "torchtitan": ["sequence_parallel", "flash_attention", "dropout", "tied_embeddings", "balanced_stages"],
    }


def test_the_distributed_optimizer_is_reckoned_with(tmp_path: Path) -> None:
    """Megatron-LM's layouts share out optimizer states by default, and split sequences where there is TP."""
    one, two = layouts_of(tmp_path, "megatron-lm", "llama3-8b", tensor=[1, 2])
    assert (one.training.zero_stage, one.training.sequence_parallel, one.precision) == (1, False, "bf16")
    assert (two.training.sequence_parallel, two.training.flash_attention, two.training.dropout) == (True, True, False)
    assert not two.training.tied_embeddings
    assert "bf16" not in two.slug


def test_layers_that_do_not_divide_count_embedding_and_loss(tmp_path: Path) -> None:
    """Llama 3.1 405B has 126 layers: with two more they divide over eight stages of eight chunks."""
    block = {"nodes": 16, "tensor": 8, "pipeline": 8, "virtual_pipeline": [1, 7, 8]}
    layouts = layouts_of(tmp_path, "megatron-lm", "llama3.1-405b", **block)
    assert [layout.virtual_pipeline for layout in layouts] == [1, 8]
    assert all(layout.training.embedding_as_layer and layout.training.loss_as_layer for layout in layouts)


@pytest.mark.parametrize(
    ("workload", "model", "block", "reason"),
    [
        (
            "megatron-deepspeed",
            "deepseek-v3",
            {},
            "model.head_width 128 does not reach the trainer",
        ),
        ("megatron-deepspeed", "mixtral-8x7b", {}, "megatron-deepspeed: model.experts 8 does not reach the trainer"),
        ("megatron-deepspeed", "llama3-8b", {"context": 2}, "megatron-deepspeed: context 2 does not reach the trainer"),
        ("megatron-deepspeed", "llama3-8b", {"sharding": "zero3", "pipeline": 2}, "takes ZeRO 0 and 1"),
        ("megatron-deepspeed", "llama3-8b", {"precision": "fp8"}, "precision fp8, but its command says bf16 (--bf16)"),
        ("megatron-deepspeed", "llama3-8b", {"tensor": 16}, "it copies none"),
        ("torchtitan", "llama3-8b", {"tensor": 16}, "it copies none"),
        ("megatron-deepspeed-fugaku", "llama3-8b", {}, "does not reach the trainer"),
        ("minitrain", "llama3-8b", {"tensor": 16}, "it copies none"),
        ("minitrain", "qwen3-30b-a3b", {}, "minitrain: model.qk_norm head does not reach the trainer"),
        ("minitrain", "gpt-tiny", {"sequence_parallel": True}, "minitrain: sequence_parallel true does not reach"),
        ("minitrain", "gpt-tiny", {"precision": "fp8"}, "minitrain computes in fp32 or bf16"),
        ("minitrain", "llama-tiny", {"sharding": "hsdp", "sharding_group": 64}, "one group of all replicas is zero3"),
        ("minitrain", "llama-tiny", {"sharding": "hsdp", "sharding_group": 1, "context": 2}, "groups of replicas"),
        (
            "minitrain",
            "llama-tiny",
            {"pipeline": 2, "recomputation": "full", "parameters": {"pipeline_schedule": "zero-bubble"}},
            "zero-bubble goes with zero1 and selective recomputation alone",
        ),
        ("torchtitan", "gpt-1.3b", {"sequence_length": 2048}, "torchtitan has decoders with RMSNorm"),
        ("torchtitan", "qwen3-32b", {"pipeline": 2}, "Qwen 3 of torchtitan has no pipeline parallelism"),
        ("torchtitan", "llama3-8b", {"sharding": "zero1"}, "sharding zero1, but its command says zero3"),
        ("torchtitan", "qwen3-30b-a3b", HSDP_OF_EXPERTS | {"expert": 16}, "give a lower expert"),
        ("torchtitan", "qwen3-30b-a3b", {"expert_tensor": 2}, "an expert_tensor of 1 or of the tensor parallelism"),
        ("megatron-lm", "gpt-1.3b", {}, "sequence 4096 is longer than the model's 2048 learned positions"),
        ("megatron-lm", "llama3-8b", {"precision": "tf32"}, "precision tf32, but its command says bf16 (--bf16)"),
        ("megatron-lm", "llama3-8b", {"offload": "all"}, "megatron-lm: offload all does not reach the trainer"),
        ("megatron-lm", "llama3-8b", {"offload": "optimizer", "sharding": "none"}, "only where replicas share them"),
        ("megatron-lm", "llama3-8b", {"sharding": "hsdp", "sharding_group": 64}, "one group of all replicas is zero3"),
        (
            "megatron-lm",
            "llama3-8b",
            {"pipeline": 4, "virtual_pipeline": 2, "recomputation": "full", "recomputed_layers": 3},
            "give a multiple of virtual_pipeline",
        ),
        ("megatron-lm", GPT_OF_EXPERTS, {}, "give the model biases: none"),
        ("megatron-lm", {**GPT, "prediction_layers": 1}, {}, "prediction layers with rotary or no positions alone"),
    ],
)
def test_what_a_workload_cannot_run_is_rejected(
    tmp_path: Path, workload: str, model: Any, block: dict[str, Any], reason: str
) -> None:
    """A model or axis that the trainer would leave out is rejected in the plan, with the reason."""
    with pytest.raises(ConfigError) as caught:
        layouts_of(tmp_path, workload, model, **block)
    assert reason in str(caught.value)


@pytest.mark.parametrize(
    ("release", "model", "block", "reason"),
    [
        ("0.14", "llama3-8b", {"precision": "nvfp4"}, "NVFP4 wants core 0.15"),
        ("0.15", "llama3-8b", {"tensor": 16}, "more tensor parallelism than heads of k and v wants core 0.16"),
        ("0.19", "llama3-8b", {"tensor": 16, "precision": "nvfp4"}, None),
        ("0.12", "llama3-8b", {"sharding": "hsdp", "sharding_group": 8}, "hsdp wants core 0.13"),
        ("0.16", "qwen3-30b-a3b", HSDP_OF_EXPERTS, "hsdp with expert parallelism wants core 0.17"),
        ("0.17", "qwen3-30b-a3b", HSDP_OF_EXPERTS, None),
        ("0.17", "qwen3-30b-a3b", HSDP_OF_EXPERTS | {"expert": 16}, "the replicas of each expert"),
        ("0.15", "qwen3-30b-a3b", {"expert": 8, "precision": "fp16"}, "fp16 with expert parallelism wants core 0.16"),
        ("0.15", GATED_SHARED_EXPERT, {}, "a gate of the shared expert wants core 0.16"),
        ("0.16", GATED_SHARED_EXPERT, {}, None),
    ],
)
def test_older_releases_of_megatron_take_less(
    tmp_path: Path, release: str, model: Any, block: dict[str, Any], reason: str | None
) -> None:
    """What a release does not take is rejected by the variable that names the release."""
    workload = yaml.safe_load((REPOSITORY / "config" / "workloads" / "megatron-lm.yaml").read_text())
    workload["environment"]["MEGATRON_CORE"] = release
    if reason is None:
        assert layouts_of(tmp_path, workload, model, **block)
        return
    with pytest.raises(ConfigError, match=reason):
        layouts_of(tmp_path, workload, model, **block)


def test_older_releases_of_megatron_have_other_words(tmp_path: Path) -> None:
    """Fully sharded replicas have another flag before core 0.14, and no form of checkpoints of their own."""
    workload = yaml.safe_load((REPOSITORY / "config" / "workloads" / "megatron-lm.yaml").read_text())
    workload["environment"]["MEGATRON_CORE"] = 0.13
    (layout,) = layouts_of(tmp_path, workload, "llama3-8b", sharding="zero3")
    text = written(layout)
    assert "--use-custom-fsdp\n" in text
    assert "fsdp_dtensor" not in text
    assert layout.sharding == "zero3"


def test_megatron_lm_is_told_how_many_layers_of_a_chunk_are_recomputed(tmp_path: Path) -> None:
    """A stage of two chunks that recomputes four layers recomputes two of each, and groups of HSDP count CP."""
    block = {"pipeline": 4, "virtual_pipeline": 2, "recomputation": "full", "recomputed_layers": 4}
    (layout,) = layouts_of(tmp_path, "megatron-lm", "llama3-8b", **block)
    assert "--recompute-num-layers=2\n" in written(layout)
    assert contradictions(layout) == []
    (hybrid,) = layouts_of(tmp_path, "megatron-lm", "llama3-8b", sharding="hsdp", sharding_group=16, context=2)
    assert "--num-distributed-optimizer-instances=4\n" in written(hybrid)
    assert contradictions(hybrid) == []


@pytest.mark.parametrize(
    ("model", "block"),
    [
        ("gpt-tiny", {"tensor": 2, "pipeline": 2, "activation_checkpointing": True}),
        ("llama-tiny", {"context": 2, "sharding": ["zero1", "zero2", "zero3"], "precision": ["fp32", "bf16"]}),
        ("llama-tiny", {"context": 2, "sharding": "hsdp", "sharding_group": 8}),
        ("llama-tiny", {"pipeline": 2, "virtual_pipeline": 2, "recomputation": ["none", "selective", "full"]}),
        ("llama-tiny", {"pipeline": 2, "recomputation": "full", "recomputed_layers": 1, "sharding": "zero3"}),
        ("llama-tiny", {"pipeline": 2, "parameters": {"pipeline_schedule": ["gpipe", "zero-bubble"]}}),
        ("mixture-tiny", {"tensor": 2, "expert": [1, 4], "context": 2, "sharding": ["none", "zero1", "zero3"]}),
    ],
)
def test_minitrain_takes_what_it_is_told(tmp_path: Path, model: str, block: dict[str, Any]) -> None:
    """The embedded trainer's own laws take each layout that the plan takes, and split it as the plan says."""
    for layout in layouts_of(tmp_path, "minitrain", model, sequence_length=256, **{"global_batch": 128, **block}):
        words = [word for word in written(layout).splitlines() if word.startswith("--")]
        given = read_arguments(words, layout.ranks)
        assert contradictions(layout) == []
        assert (given.sharding, given.data_parallel_size) == (layout.sharding, layout.data)
        assert given.stages == layout.pipeline * layout.virtual_pipeline
        assert given.bf16 == (layout.precision == "bf16")
        assert (given.recompute_granularity or "none") == layout.recomputation


def test_a_model_without_learned_positions_is_given_none(tmp_path: Path) -> None:
    """Megatron-DeepSpeed has learned positions unless it is told, whether there are others or none."""
    (layout,) = layouts_of(tmp_path, "megatron-deepspeed", {**GPT, "positions": "none"})
    assert "--no-position-embedding\n" in written(layout)


def test_parameters_that_megatron_lm_knows_are_passed_on(tmp_path: Path) -> None:
    """A sweep may vary the backend of attention, and what the command then says is what predictions go by."""
    parameters = {"attention_backend": ["flash", "unfused"], "tp_comm_overlap": True}
    flash, unfused = layouts_of(tmp_path, "megatron-lm", "llama3-8b", tensor=2, parameters=parameters)
    assert "--attention-backend=flash\n" in written(flash)
    assert "--tp-comm-overlap\n" in written(flash)
    assert (flash.training.flash_attention, unfused.training.flash_attention) == (True, False)
