"""What a layout's command says of its trainer, and what of a layout it must say."""

from pathlib import Path
from typing import Any

import pytest
from sweeps import toy, write

from nodesweep.common.errors import ConfigError
from nodesweep.config.trainer_settings import SETTINGS
from nodesweep.config.training import Training
from nodesweep.config.workload import Workload
from nodesweep.performance.dimensions import Dimensions
from nodesweep.sweep.command_checks import contradictions
from nodesweep.sweep.expand import Rejected
from nodesweep.sweep.layout import Layout
from nodesweep.sweep.study import Study
from nodesweep.sweep.template_values import context_of
from nodesweep.sweep.trainer_command import said_by

LLAMA = {
    "name": "small-llama",
    "layers": 8,
    "hidden_size": 64,
    "attention_heads": 8,
    "kv_heads": 4,
    "ffn_hidden_size": 192,
    "gated_ffn": True,
    "vocab_size": 1024,
    "biases": "none",
    "norm": "rmsnorm",
    "positions": "rotary",
    "tied_embeddings": False,
}
PLAIN = ["train", "--tp={{ tensor }}", "--layers={{ model.layers }}"]


def expanded(tmp_path: Path, workload: Any, model: Any = None, **block: Any) -> tuple[list[Layout], list[Rejected]]:
    """The layouts of one block, and its rejected points."""
    sweep = toy(
        model=model or toy()["model"],
        machine={"name": "gpus", "scheduler": "slurm", "ranks_per_node": 8},
        workload=workload,
        layouts=[{"nodes": 2, "global_batch": 128, "sequence_length": 128, **block}],
    )
    expansion = Study.load([write(tmp_path / "sweep.yaml", sweep)]).expansion
    return list(expansion.layouts), list(expansion.rejected)


def layout_of(tmp_path: Path, command: list[str], model: Any = None, **block: Any) -> Layout:
    """The one layout of a block that a command runs."""
    workload = {"name": "own", "command": command, **block.pop("workload", {})}
    ((layout,), rejected) = expanded(tmp_path, workload, model, **block)
    assert not rejected
    return layout


def reason_of(tmp_path: Path, workload: Any, model: Any = None, **block: Any) -> str:
    """Why the one point of a block is rejected."""
    with pytest.raises(ConfigError) as caught:
        expanded(tmp_path, workload, model, **block)
    return str(caught.value)


@pytest.mark.parametrize(
    ("words", "key", "value"),
    [
        (["--use-distributed-optimizer"], "zero_stage", 1),
        (["--zero-stage", "2"], "zero_stage", 2),
        (["--sequence-parallel"], "sequence_parallel", True),
        (["--attention-backend=flash"], "flash_attention", True),
        (["--hidden-dropout=0", "--attention-dropout=0.0"], "dropout", False),
        (["--untie-embeddings-and-output-weights"], "tied_embeddings", False),
        (["--num-virtual-stages-per-pipeline-rank=2"], "chunks_per_stage", 2),
        (["--num-virtual-stages-per-pipeline-rank=2"], "pipeline_schedule", "interleaved"),
        (["--pipeline-schedule=gpipe"], "pipeline_schedule", "gpipe"),
        (["--parallelism.pipeline_parallel_schedule=ZBVZeroBubble"], "pipeline_schedule", "zero-bubble"),
        (["--recompute-granularity=selective"], "recomputation", "selective"),
        (["--microbatch-group-size-per-virtual-pipeline-stage=4"], "micro_batch_group", 4),
        (["--account-for-embedding-in-pipeline-split", "--num-layers=3"], "embedding_as_layer", True),
        (["--account-for-loss-in-pipeline-split", "--num-layers=3"], "loss_as_layer", True),
        (["--decoder-first-pipeline-num-layers=3"], "first_stage_layers", 3),
        (["--decoder-last-pipeline-num-layers=1"], "last_stage_layers", 1),
        (["--pipeline-model-parallel-layout={{ 'Ettt|tL' }}"], "pipeline_layout", "Ettt|tL"),
    ],
)
def test_training_is_read_off_the_command(tmp_path: Path, words: list[str], key: str, value: Any) -> None:
    """Each key of `training` that is left out is what the words of the command say."""
    layers = 3 if "--num-layers=3" in words else 4
    model = {**toy()["model"], "layers": layers}
    recomputes = {"activation_checkpointing": True} if key == "recomputation" else {}
    layout = layout_of(tmp_path, ["train", *words], model, pipeline=2, **recomputes)
    assert getattr(layout.training, key) == value


def test_every_key_of_training_can_be_read() -> None:
    """The keys that no command says are those that a trainer is by nature."""
    read = {"zero_stage", "chunks_per_stage", "recomputation"}
    by_name = {row.field for row in SETTINGS} & Training.model_fields.keys()
    assert Training.model_fields.keys() - by_name - read == {"balanced_stages", "fused_kernels", "context_gathers"}


@pytest.mark.parametrize(
    ("words", "precision"),
    [
        (["--bf16"], "bf16"),
        (["--fp16"], "fp16"),
        (["--bf16", "--fp8-format=hybrid"], "fp8"),
        (["--bf16", "--fp8-format", "e4m3", "--fp8-recipe", "mxfp8"], "mxfp8"),
        (["--bf16", "--fp4-format=e2m1"], "nvfp4"),
        ([], "fp32"),
    ],
)
def test_precision_is_read_off_the_command(tmp_path: Path, words: list[str], precision: str) -> None:
    """The number format that a config leaves out is the command's, and no part of the slug."""
    layout = layout_of(tmp_path, ["train", *words])
    assert layout.precision == precision
    assert layout.slug == layout_of(tmp_path, ["train"]).slug


def test_words_that_others_are_understood_by_are_read(tmp_path: Path) -> None:
    """Layers are recomputed by a method that a word of its own names, and groups split what CP holds too."""
    words = ["--recompute-granularity=full", "--recompute-method=block", "--recompute-num-layers=1"]
    block = {"recomputation": "full", "pipeline": 2, "virtual_pipeline": 2, "recomputed_layers": 2}
    chunks = "--num-virtual-stages-per-pipeline-rank={{ virtual_pipeline }}"
    assert contradictions(layout_of(tmp_path, ["train", "--bf16", chunks, *words], **block)) == []
    groups = ["--num-distributed-optimizer-instances={{ sharding_groups }}", "--context-parallel-size={{ context }}"]
    strategy = "--data-parallel-sharding-strategy=optim_grads_params"
    block = {"sharding": "hsdp", "sharding_group": 8, "context": 2}
    for flag in ("--use-megatron-fsdp", "--use-custom-fsdp"):
        assert layout_of(tmp_path, ["train", flag, strategy, *groups], **block).sharding_group == 8


def test_deepspeed_config_in_the_set_up_is_read(tmp_path: Path) -> None:
    """A JSON object that a set-up line writes counts like the command; it is what DeepSpeed's engine goes by."""
    line = """echo '{"zero_optimization": {"stage": 2}, "fp16": {"enabled": true}}' > {{ directory }}/ds.json"""
    layout = layout_of(tmp_path, ["train"], workload={"setup": [line]})
    assert (layout.sharding, layout.precision) == ("zero2", "fp16")
    assert layout_of(tmp_path, ["train", "--zero-stage=1"], workload={"setup": [line]}).sharding == "zero2"
    assert layout_of(tmp_path, ["train", "--bf16"], workload={"setup": [line]}).precision == "bf16"


@pytest.mark.parametrize(
    ("words", "field", "value"),
    [
        (["--use-distributed-optimizer", "--no-use-distributed-optimizer"], "sharding", "none"),
        (["--training.no-enable-cpu-offload"], "offload", "none"),
        (["--no-sequence-parallel", "--sequence-parallel"], "sequence_parallel", True),
        (["--parallelism.data_parallel_shard_degree", "-1", "--bf16"], "sharding", "zero3"),
        (["--recompute-method=block", "--recompute-num-layers=2"], "recomputed_layers", 2),
    ],
)
def test_options_that_take_back_or_need_others(words: list[str], field: str, value: Any) -> None:
    """An option with no- before its name takes it back, a number below 0 is a value, and a method says what counts."""
    said = said_by(Workload(command=("train", *words)), {})
    assert said[field].value == value


def test_megatron_recomputes_layers_of_each_chunk(tmp_path: Path) -> None:
    """A layout says the layers of a stage, Megatron-LM's option those of each chunk."""
    block = {"pipeline": 2, "recomputation": "full", "recomputed_layers": 4}
    model = {**toy()["model"], "layers": 16}
    ((layout,), _) = expanded(tmp_path, "megatron-lm", model, virtual_pipeline=2, **block)
    said = said_by(layout.workload, context_of(layout.fields(), layout))
    assert (said["recomputed_layers"].value, said["recomputed_layers"].name) == (4, "--recompute-num-layers=2")
    reason = reason_of(tmp_path, "megatron-lm", model, virtual_pipeline=8, **block)
    assert "give a multiple of virtual_pipeline" in reason


def test_words_of_a_shell_and_of_the_environment_are_read(tmp_path: Path) -> None:
    """A command within `bash -c`, and a variable that the config itself sets, are read like plain words."""
    command = ["bash", "-c", "exec train --sequence-parallel --zero-stage ${STAGE}"]
    layout = layout_of(tmp_path, command, workload={"environment": {"STAGE": 3}}, tensor=2)
    assert (layout.training.sequence_parallel, layout.sharding) == (True, "zero3")


def test_an_axis_counts_over_a_typed_setting_and_that_over_the_command(tmp_path: Path) -> None:
    """The order of who says what a setting is: the block, `training`, the command, the default."""
    command = ["train", "--zero-stage={{ 2 if sharding is none else 3 if sharding == 'zero3' else 1 }}"]
    assert layout_of(tmp_path, command).sharding == "zero2"
    assert layout_of(tmp_path, command, workload={"training": {"zero_stage": 1}}).sharding == "zero1"
    layout = layout_of(tmp_path, command, workload={"training": {"zero_stage": 1}}, sharding="zero3")
    assert (layout.sharding, "zero3" in layout.slug) == ("zero3", True)


def test_a_typed_setting_that_the_command_contradicts_is_told(tmp_path: Path) -> None:
    """Both places and both values are named; what is typed counts."""
    command = ["train", "--use-distributed-optimizer", "--hidden-dropout=0", "--attention-dropout=0"]
    layout = layout_of(tmp_path, command, workload={"training": {"zero_stage": 0, "dropout": False}})
    assert layout.training.zero_stage == 0
    (one,) = contradictions(layout)
    assert one.sentence("sweep.yaml:9: workload.training.zero_stage") == (
        "workload.training.zero_stage (sweep.yaml:9) is 0, but the command says zero1: --use-distributed-optimizer; "
        "predictions go by the former: take it out, and they go by the command, or change the command"
    )


def test_recomputation_of_the_command_alone_is_told(tmp_path: Path) -> None:
    """A command that always recomputes is no layout without recomputation."""
    (one,) = contradictions(layout_of(tmp_path, ["train", "--recompute-granularity=full"]))
    assert one.sentence(None).startswith(
        "recomputation is none, but the command says full: --recompute-granularity=full; give recomputation: full"
    )


@pytest.mark.parametrize(
    ("block", "name"),
    [
        ({"context": 2}, "context 2"),
        ({"pipeline": 2, "virtual_pipeline": 2}, "virtual_pipeline 2"),
        ({"sharding": "zero1"}, "sharding zero1"),
        ({"sequence_parallel": True, "tensor": 2}, "sequence_parallel true"),
        ({"recomputation": "selective"}, "recomputation selective"),
        ({"precision": "bf16"}, "precision bf16"),
        ({"offload": "optimizer"}, "offload optimizer"),
    ],
)
def test_an_axis_that_no_template_depends_on_is_rejected(tmp_path: Path, block: dict[str, Any], name: str) -> None:
    """A layout would run as another where its command does not say what its block asks for."""
    reason = reason_of(tmp_path, {"name": "own", "command": PLAIN}, **block)
    assert (
        f"own: {name} does not reach the trainer: no template depends on it; pass it on in workload.command" in reason
    )
    passed = {"name": "own", "command": PLAIN, "passes": [name.split()[0]]}
    assert expanded(tmp_path, passed, **block)[0]


def test_a_word_that_the_command_has_no_form_for_is_rejected(tmp_path: Path) -> None:
    """A value of an axis that the templates render as another value is told with the word that says so."""
    command = [*PLAIN, "{{ '--fp16' if precision == 'fp16' else '--bf16' }}"]
    reason = reason_of(tmp_path, {"name": "own", "command": command}, precision="nvfp4")
    assert "own: precision nvfp4, but its command says bf16 (--bf16)" in reason


@pytest.mark.parametrize("name", ["gated_ffn", "kv_heads", "biases", "norm", "positions"])
def test_a_model_that_the_command_does_not_tell_is_rejected(tmp_path: Path, name: str) -> None:
    """A Llama is not run as a GPT: each of its sizes that no template depends on is told."""
    told = ["gated_ffn", "kv_heads", "biases", "norm", "positions"]
    command = [
        *PLAIN,
        *(f"--{other}={{{{ model.{other} }}}}" for other in told if other != name),
        "--untie={{ model.tied_embeddings }}",
    ]
    reason = reason_of(tmp_path, {"name": "own", "command": command}, LLAMA)
    assert f"own: model.{name} " in reason and "does not reach the trainer" in reason


def test_one_part_of_several_that_is_not_told_is_rejected(tmp_path: Path) -> None:
    """Small parts of a model stand in one list, and each of them must reach the trainer."""
    model = {**toy()["model"], "extras": ["embedding_norm", "output_bias"]}
    command = [*PLAIN, "{{ '--embedding-norm' if 'embedding_norm' in model.extras }}"]
    assert "model.extras output_bias does not" in reason_of(tmp_path, {"name": "own", "command": command}, model)


@pytest.mark.parametrize(
    "command",
    [
        ["true"],
        ["bash", "train.sh", "{{ directory }}"],
        [
            "train",
            "--model={{ model.name }}",
            "--nodes={{ nodes }}",
            "--cp={{ context }}",
            "--{{ sharding }}",
            "{{ precision }}",
        ],
    ],
)
def test_a_command_that_tells_by_other_means_is_taken_at_its_word(tmp_path: Path, command: list[str]) -> None:
    """A script that reads a config, and a trainer that knows the model by its name, run whatever the layout is."""
    block = {"context": 2, "sharding": "zero3", "precision": "bf16"}
    assert expanded(tmp_path, {"name": "own", "command": command}, LLAMA, **block)[0]


def test_a_workload_says_what_it_does_not_take(tmp_path: Path) -> None:
    """Conditions under `refuses` reject layouts with their reason, over all that templates know."""
    refuses = [{"if": "tensor > model.kv_heads", "because": "it copies no heads"}]
    workload = {"name": "own", "command": ["train"], "refuses": refuses}
    layouts, rejected = expanded(tmp_path, workload, {**LLAMA}, tensor=[4, 8])
    assert [layout.tensor for layout in layouts] == [4]
    assert [(one.law, one.reason) for one in rejected] == [
        ("workload", "own does not run layouts with tensor > model.kv_heads; it copies no heads")
    ]


def test_torchtitan_splits_layers_that_do_not_divide(tmp_path: Path) -> None:
    """61 layers over 8 stages are five of 8 and three of 7; over 12 x 2 chunks of at most 3 they would be 21 chunks."""
    model = LLAMA | {"layers": 61}
    block = {"nodes": 3, "global_batch": 144, "pipeline": 8}
    ((layout,), _) = expanded(tmp_path, "torchtitan", model, **block)
    case = Dimensions.of(layout)
    assert [case.stage_layers(stage) for stage in range(8)] == [8, 8, 8, 8, 8, 7, 7, 7]
    reason = reason_of(tmp_path, "torchtitan", model, **{**block, "pipeline": 12, "virtual_pipeline": 2})
    assert "so many leave fewer chunks than PP x VPP" in reason
