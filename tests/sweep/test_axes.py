"""Axes of today's training: virtual stages, context, experts, sharding, recomputation, precision, and their laws."""

import csv
import hashlib
import io
from pathlib import Path
from typing import Any

import pytest
from paths import REPOSITORY
from sweeps import toy, write

from nodesweep.common.errors import ConfigError
from nodesweep.config.sweep import Sweep
from nodesweep.config.training import Training
from nodesweep.reports.plan import plan_csv
from nodesweep.sweep.broken_law import BrokenLaw
from nodesweep.sweep.expand import Expansion, conditions, expand
from nodesweep.sweep.layout import Layout
from nodesweep.sweep.pipeline_split import chunk_layers, stage_layers
from nodesweep.sweep.study import Study

DENSE = {"layers": 24, "hidden_size": 512, "attention_heads": 8, "kv_heads": 2, "vocab_size": 1024}
EXPERTS = {**DENSE, "experts": 8, "experts_per_token": 2, "expert_ffn_hidden_size": 768}


def sweep(training: dict[str, Any] | None = None, precision: str = "fp32", **changes: Any) -> Sweep:
    """The toy sweep on nodes of 8 ranks, with a trainer's settings."""
    workload = toy()["workload"] | {"training": training or {}, "precision": precision}
    machine = toy()["machine"] | {"ranks_per_node": 8}
    return Sweep.model_validate(toy(**{"machine": machine, "workload": workload, "model": DENSE} | changes))


def block(**axes: Any) -> dict[str, Any]:
    """One block of layouts: 2 nodes of 8 ranks, 64 samples of 512 tokens."""
    return {"nodes": 2, "global_batch": 64, "sequence_length": 512, **axes}


def only(found: Expansion) -> Layout:
    """The one layout of an expansion."""
    assert (len(found.layouts), found.rejected) == (1, ())
    return found.layouts[0]


def slug_of(layout: Layout) -> str:
    """A slug without its hash, and without what every slug of these tests has."""
    return layout.slug.rpartition("-")[0].replace("-s512", "").replace("-gbs64", "").removeprefix("n2-")


@pytest.mark.parametrize(
    ("axes", "slug"),
    [
        ({}, "dp16-mp1-pp1-mbs1"),
        ({"pipeline": 2, "virtual_pipeline": 4}, "dp8-mp1-pp2-vpp4-mbs1"),
        ({"context": 4}, "dp4-mp1-pp1-cp4-mbs1"),
        ({"sharding": "fsdp"}, "dp16-mp1-pp1-zero3-mbs1"),
        ({"sharding": "hsdp", "sharding_group": 8}, "dp16-mp1-pp1-hsdp-group8-mbs1"),
        ({"tensor": 2, "sequence_parallel": True}, "dp8-mp2-pp1-sp-mbs1"),
        ({"recomputation": "full"}, "dp16-mp1-pp1-mbs1-ac"),
        ({"recomputation": "selective"}, "dp16-mp1-pp1-mbs1-ac-selective"),
        ({"recomputation": "full", "recomputed_layers": 6}, "dp16-mp1-pp1-mbs1-ac-of6"),
        ({"precision": "BF16"}, "dp16-mp1-pp1-mbs1-bf16"),
        ({"precision": "FP8-MX", "offload": "optimizer"}, "dp16-mp1-pp1-mbs1-mxfp8-offload-optimizer"),
    ],
)
def test_a_slug_names_what_is_not_usual(axes: dict[str, Any], slug: str) -> None:
    """Each axis has its short word in the slug, whatever spelling of a word the config has; defaults have none."""
    assert slug_of(only(expand(sweep(layouts=[block(**axes)])))) == slug


def test_experts_in_a_slug() -> None:
    """Expert parallel and expert tensor parallel size stand beside the others."""
    axes = block(pipeline=2, tensor=2, expert=4, expert_tensor=2)
    assert slug_of(only(expand(sweep(model=EXPERTS, layouts=[axes])))) == "dp4-mp2-pp2-ep4-etp2-mbs1"


def test_what_a_block_leaves_out_is_as_the_workload_says() -> None:
    """The settings of a workload are the fields of its layouts, and of no slug; a block may say otherwise."""
    said = {"zero_stage": 1, "sequence_parallel": True, "recomputation": "selective"}
    interleaved = {"pipeline_schedule": "interleaved", "chunks_per_stage": 3}
    axes = block(pipeline=2, tensor=2, activation_checkpointing=True)
    usual = only(expand(sweep(said | interleaved, "bf16", layouts=[axes])))
    fields = ("virtual_pipeline", "sharding", "sequence_parallel", "recomputation", "precision")
    assert [usual.fields()[name] for name in fields] == [3, "zero1", True, "selective", "bf16"]
    assert (slug_of(usual), usual.training) == ("dp4-mp2-pp2-mbs1-ac", usual.workload.training)
    axes |= {"virtual_pipeline": 1, "sharding": "none", "sequence_parallel": False, "recomputation": "full"}
    other = only(expand(sweep(said | interleaved, "bf16", layouts=[axes | {"precision": "fp8"}])))
    assert slug_of(other) == "dp4-mp2-pp2-vpp1-no-sharding-no-sp-mbs1-ac-full-fp8"
    assert other.training == Training(chunks_per_stage=1)


def test_a_layout_that_was_run_keeps_its_name() -> None:
    """To give a field the value that the workload says, or its default, changes no slug."""
    said, plain = {"zero_stage": 1}, block(activation_checkpointing=True)
    before = only(expand(sweep(said, "bf16", layouts=[plain])))
    more = {"sharding": "zero1", "precision": "bf16", "recomputation": "full", "context": 1, "offload": False}
    assert only(expand(sweep(said, "bf16", layouts=[plain | more]))).slug == before.slug


def test_two_fields_of_recomputation_agree() -> None:
    """AC follows from recomputation and the other way round; a point in which they differ is rejected."""
    found = expand(sweep(layouts=[block(recomputation=["none", "full"], activation_checkpointing=[False, True])]))
    assert [(one.activation_checkpointing, one.recomputation) for one in found.layouts] == [
        (False, "none"),
        (True, "full"),
    ]
    assert {(one.law, one.reason.partition(";")[2]) for one in found.rejected} == {
        ("recomputation", " leave one of them out")
    }


def test_conditions_and_templates_know_the_settings() -> None:
    """A condition sees what the workload says where a block says nothing; a condition may change that."""
    whole = sweep({"zero_stage": 1}, "bf16", layouts=[block(), block(precision="fp8")])
    when = {"if": "precision == 'bf16' and sharding == 'zero1'", "workload": {"precision": "fp16"}}
    found = expand(whole.model_copy(update={"when": Sweep.model_validate(toy(when=[when])).when}))
    assert [layout.precision for layout in found.layouts] == ["fp16", "fp8"]
    assert [conditions(whole, layout) for layout in found.layouts] == [(), ()]


def test_a_plan_has_a_column_where_a_point_says_something(tmp_path: Any) -> None:
    """plan.csv is as it was for a sweep without these axes, and has a column for each that some point gives."""
    config = {"machine": toy()["machine"] | {"ranks_per_node": 8}, "model": EXPERTS}
    written = toy(**config, layouts=[block(context=[1, 2], expert=3)])
    text = plan_csv(Study.load([write(tmp_path / "a.yaml", toy())]), [])
    assert "context" not in text and "precision" not in text and "sharding" not in text
    study = Study.load([write(tmp_path / "b.yaml", written | {"layouts": [block(), block(context=3)]})])
    rows = list(csv.DictReader(io.StringIO(plan_csv(study, []))))
    assert [(row["context"], row["law"]) for row in rows] == [("3", "world size")]
    assert "expert" not in rows[0] and "precision" not in rows[0]


@pytest.mark.parametrize(
    ("model", "axes", "law", "says"),
    [
        (DENSE, {"nodes": 3, "context": 16}, "world size", "replicas of MP 1 x PP 1 x CP 16 = 16; nearest nodes: 2 or"),
        (
            DENSE,
            {"pipeline": 2, "virtual_pipeline": 5},
            "virtual stages",
            "12 layers of a stage do not split over VPP 5",
        ),
        (DENSE, {"pipeline": 2, "virtual_pipeline": 5}, "virtual stages", "nearest VPP: 4 or 6"),
        (DENSE, {"virtual_pipeline": 2}, "virtual stages", "VPP 2, but PP 1"),
        (DENSE, {"pipeline": 8, "virtual_pipeline": 3, "micro_batch": 8}, "micro batches", "nearest GBS: 128"),
        (DENSE, {"pipeline": 4, "virtual_pipeline": 3, "global_batch": 40}, "micro batches", "10 micro batches do not"),
        (DENSE, {"pipeline": 4, "virtual_pipeline": 3, "global_batch": 40}, "micro batches", "micro_batch_group: 10"),
        (
            {**DENSE, "attention_heads": 12, "kv_heads": 3, "hidden_size": 384},
            {"tensor": 2},
            "kv heads",
            "MP 2; nearest MP: 1",
        ),
        (DENSE, {"expert": 2}, "experts", "EP 2, but the model has no experts; nearest EP: 1"),
        (EXPERTS, {"expert": 16}, "experts", "8 experts do not split over EP 16; nearest EP: 8"),
        ({**EXPERTS, "experts": 48}, {"pipeline": 2, "expert": 16}, "expert grid", "16 ranks / PP 2 = 8 do not split"),
        ({**EXPERTS, "experts": 48}, {"pipeline": 2, "expert": 16}, "expert grid", "nearest EP: 8"),
        (EXPERTS, {"expert": 8, "expert_tensor": 4}, "expert grid", "EP 8 x ETP 4 = 32; nearest EP: 4"),
        ({**EXPERTS, "expert_ffn_hidden_size": 12}, {"expert_tensor": 8}, "expert width", "over ETP 8; nearest ETP: 4"),
        (
            DENSE,
            {"context": 4, "sequence_length": 516},
            "sequence",
            "CP 4 = 8 pieces; nearest sequence: 512 or 520",
        ),
        (
            DENSE,
            {"context": 4, "tensor": 4, "sequence_length": 516, "sequence_parallel": True},
            "sequence",
            "CP 4 = 8 pieces; nearest sequence: 512 or 544",
        ),
        (
            DENSE,
            {"tensor": 8, "sequence_length": 500, "sequence_parallel": True},
            "sequence",
            "500 does not split over MP 8 by sequence parallelism; nearest sequence: 496 or 504",
        ),
        (DENSE, {"pipeline": 4, "recomputation": "full", "recomputed_layers": 7}, "recomputed layers", "layers: 6"),
        (DENSE, {"recomputed_layers": 7}, "recomputed layers", "but nothing is recomputed; set recomputation: full"),
        (DENSE, {"sharding": "hsdp"}, "sharding", "hsdp without sharding_group; give the ranks"),
        (DENSE, {"sharding": "hsdp", "sharding_group": 3}, "sharding", "groups of 3; nearest sharding_group: 2 or 4"),
        (DENSE, {"sharding_group": 4}, "sharding", "sharding_group 4, but sharding none"),
    ],
)
def test_each_law_of_a_split(model: dict[str, Any], axes: dict[str, Any], law: str, says: str) -> None:
    """A rejected point says the law, its numbers and the nearest value that would do."""
    found = expand(sweep(model=model, layouts=[block(**axes), block(note="lawful")]))
    assert [one.law for one in found.rejected] == [law]
    assert says in found.rejected[0].reason


@pytest.mark.parametrize(
    ("model", "axes"),
    [
        (DENSE, {"tensor": 8}),  # 2 heads of k and v are copied
        (DENSE, {"pipeline": 4, "sharding": "zero3"}),
        (DENSE, {"pipeline": 2, "sharding": "zero1", "sharding_group": 4}),
        ({**DENSE, "other_parts": ["Mamba layers"]}, {"expert": 16}),
        ({**DENSE, "other_parts": ["Mamba layers"], "layers": 9}, {"pipeline": 2}),
        (EXPERTS, {"tensor": 2, "expert": 8}),  # experts are not split by TP
        (EXPERTS, {"context": 2, "tensor": 4, "expert": 4, "expert_tensor": 4}),
    ],
)
def test_what_some_trainer_runs_is_lawful(model: dict[str, Any], axes: dict[str, Any]) -> None:
    """Copied heads, ZeRO 3 beside a pipeline, experts of their own grid, and models of parts no law knows."""
    assert only(expand(sweep(model=model, layouts=[block(**axes)])))


@pytest.mark.parametrize(
    ("training", "pipeline", "chunks", "found"),
    [
        ({"embedding_as_layer": True, "loss_as_layer": True}, 4, 2, [5, 6, 6, 5]),
        ({"embedding_as_layer": True, "loss_as_layer": True}, 8, 3, [2, 3, 3, 3, 3, 3, 3, 2]),
        ({"loss_as_layer": True}, 4, 1, "22 layers with loss, 23, do not split over PP 4; nearest PP: 1 or 23"),
        ({"first_stage_layers": 4, "last_stage_layers": 6}, 4, 2, [4, 6, 6, 6]),
        ({"first_stage_layers": 5, "last_stage_layers": 5}, 4, 2, "the 5 layers of a stage do not split over VPP 2"),
        ({"first_stage_layers": 12, "last_stage_layers": 10}, 4, 1, "the 0 others do not split over 2 stages"),
        ({"last_stage_layers": 1}, 4, 1, [7, 7, 7, 1]),
        ({"last_stage_layers": 3}, 4, 1, "last_stage_layers 3: the 19 others do not split over 3 stages"),
        ({"balanced_stages": True}, 4, 1, [6, 6, 5, 5]),
        ({"balanced_stages": True, "embedding_as_layer": True, "loss_as_layer": True}, 4, 1, [5, 6, 6, 5]),
        ({"balanced_stages": True}, 32, 1, "22 layers are fewer than PP 32 x VPP 1 = 32"),
        ({"pipeline_layout": "Et*4|(t*6|)*3L"}, 4, 1, "has 5 chunks, but PP 4 x VPP 1 = 4"),
        ({"pipeline_layout": "Et*4|(t*6|)*2,t*7L"}, 4, 1, "has 23 layers, the model 22"),
        ({"pipeline_layout": "Et*4|(t*6|)*2,t*6L"}, 4, 1, [4, 6, 6, 6]),
        ({"pipeline_layout": "E|(t*4|)*5tt|L"}, 4, 2, [4, 8, 6, 4]),
        ({}, 4, 1, "22 layers do not split over PP 4; nearest PP: 2 or 11; or count two more: embedding_as_layer"),
    ],
)
def test_uneven_stages(training: dict[str, Any], pipeline: int, chunks: int, found: list[int] | str) -> None:
    """22 layers over stages as the workload says; what does not fit breaks a law."""
    split = chunk_layers(22, pipeline, chunks, Training(**training))
    if isinstance(split, BrokenLaw):
        assert isinstance(found, str) and found in split.sentence
    else:
        assert list(stage_layers(split, pipeline)) == found


def test_prediction_layers_have_their_place() -> None:
    """A layout of the pipeline places as many prediction layers as the model has."""
    model = {**DENSE, "prediction_layers": 1}
    plain, placed = ({"pipeline_layout": layout} for layout in ("Et*12|t*12L", "Et*12|t*12mL"))
    assert only(expand(sweep(placed, model=model, layouts=[block(pipeline=2)])))
    assert only(expand(sweep(plain, layouts=[block(pipeline=2)])))
    with pytest.raises(ConfigError, match=r"has 0 prediction layers \(m\), the model 1; write an m for each"):
        expand(sweep(plain, model=model, layouts=[block(pipeline=2)]))


def test_one_rule_splits_the_layers() -> None:
    """Rules of uneven stages exclude each other, by name."""
    with pytest.raises(ValueError, match="first_stage_layers or last_stage_layers and pipeline_layout exclude"):
        Training(first_stage_layers=2, pipeline_layout="Et|tL")
    with pytest.raises(ValueError, match="is no layout of a pipeline"):
        Training(pipeline_layout="Et|t(L")


QUICKSTART_OF_VERSION_0_1 = """
sweep: quickstart
title: GPT on this machine
model: gpt-tiny
machine: workstation
workload: minitrain
iterations: {total: 6, warmup: 2}
prune: never
layouts:
  - nodes: [1, 2, 4, 8]
    tensor: [1, 2]
    pipeline: [1, 2]
    micro_batch: 2
    global_batch: 16
    sequence_length: 256
    activation_checkpointing: true
  - {nodes: 1, micro_batch: 64, global_batch: 64, sequence_length: 256, activation_checkpointing: false,
     note: recompute off}
exclude:
  - nodes == 4 and tensor == 2
  - nodes == 8 and tensor == 2 and pipeline == 1
"""


def test_slugs_of_version_0_1(tmp_path: Path) -> None:
    """Sweeps that name none of these axes have the slugs they always had: what has run does not run again."""
    (tmp_path / "quickstart.yaml").write_text(QUICKSTART_OF_VERSION_0_1)
    for config, slugs, digest in (
        (REPOSITORY / "config" / "fugaku-30b.yaml", 16, "158790d05e1abd10"),
        (tmp_path / "quickstart.yaml", 10, "d5204a8728bbba7f"),
    ):
        layouts = Study.load([config]).layouts
        assert len(layouts) == slugs
        assert hashlib.sha256("\n".join(layouts).encode()).hexdigest()[:16] == digest


# Layouts NVIDIA measured: Megatron-Bridge, docs/performance-summary.md and its archive, commit 067f987d, Apache-2.0.
# One row each: model, GPUs, GPUs of a node, precision, GBS, MBS, sequence, TP, PP, CP, VP, EP, ranks of an FSDP group.
PUBLISHED = [
    ("llama-8b", 8, 8, "FP8-CS", 128, 1, 8192, 1, 1, 1, None, None, 8),
    ("llama-70b", 64, 8, "FP8", 256, 1, 8192, 4, 8, 1, 5, None, None),
    ("llama-70b", 64, 4, "FP8", 256, 2, 8192, 1, 1, 1, None, None, 64),
    ("llama-405b", 256, 4, "MXFP8", 1536, 1, 8192, 2, 8, 2, 4, None, None),
    ("llama-405b", 256, 4, "FP8", 1536, 1, 8192, 4, 16, 1, 4, None, None),
    ("llama-405b", 1024, 8, "FP8", 1536, 1, 8192, 8, 8, 2, 8, None, None),
    ("qwen3-235b", 256, 4, "MXFP8", 8192, 2, 4096, 1, 4, 1, 12, 32, None),
    ("qwen3-235b", 256, 8, "FP8", 8192, 1, 4096, 2, 8, 1, 4, 32, None),
    ("qwen3-30b", 16, 8, "BF16", 512, 2, 4096, 1, 2, 1, 24, 8, None),
    ("deepseek-v3", 256, 4, "MXFP8", 4096, 1, 4096, 1, 2, 1, 8, 32, None),
    ("deepseek-v3", 256, 8, "MXFP8", 4096, 1, 4096, 1, 16, 1, None, 8, None),
    ("hybrid", 64, 4, "NVFP4", 512, 1, 8192, 2, 1, 1, None, 64, None),
]
MODELS: dict[str, dict[str, Any]] = {
    "llama-8b": {"layers": 32, "hidden_size": 4096, "attention_heads": 32, "kv_heads": 8, "ffn_hidden_size": 14336},
    "llama-70b": {"layers": 80, "hidden_size": 8192, "attention_heads": 64, "kv_heads": 8, "ffn_hidden_size": 28672},
    "llama-405b": {
        "layers": 126,
        "hidden_size": 16384,
        "attention_heads": 128,
        "kv_heads": 8,
        "ffn_hidden_size": 53248,
    },
    "qwen3-235b": {"layers": 94, "hidden_size": 4096, "attention_heads": 64, "kv_heads": 4, "ffn_hidden_size": 12288},
    "qwen3-30b": {"layers": 48, "hidden_size": 2048, "attention_heads": 32, "kv_heads": 4, "ffn_hidden_size": 6144},
    "deepseek-v3": {"layers": 61, "hidden_size": 7168, "attention_heads": 128, "ffn_hidden_size": 18432},
    "hybrid": {"layers": 88, "hidden_size": 4096, "attention_heads": 32, "other_parts": ["Mamba layers"]},
}
MIXTURES = {
    "qwen3-235b": {"experts": 128, "experts_per_token": 8, "expert_ffn_hidden_size": 1536},
    "qwen3-30b": {"experts": 128, "experts_per_token": 8, "expert_ffn_hidden_size": 768},
    "deepseek-v3": {"experts": 256, "experts_per_token": 8, "expert_ffn_hidden_size": 2048, "first_dense_layers": 3},
}
ENDS_COUNT = {"embedding_as_layer": True, "loss_as_layer": True}
STAGES = {
    "llama-405b": ENDS_COUNT,
    "qwen3-235b": ENDS_COUNT,
    "deepseek-v3": {"pipeline_layout": "Et*4|(t*4|)*14,tL"},
}


@pytest.mark.parametrize("row", PUBLISHED, ids=lambda row: "-".join(str(cell) for cell in row if cell is not None))
def test_published_layouts_are_lawful(row: tuple[Any, ...]) -> None:
    """What ran elsewhere is a layout here, with the micro batches that its sizes make."""
    model, gpus, of_node, precision, batch, micro_batch, sequence, tensor, pipeline, context, chunks, expert, group = (
        row
    )
    axes = {"precision": precision, "tensor": tensor, "pipeline": pipeline, "context": context}
    axes |= {name: value for name, value in (("virtual_pipeline", chunks), ("expert", expert)) if value}
    axes |= {"sharding": "hsdp", "sharding_group": group} if group else {}
    axes |= {"global_batch": batch, "micro_batch": micro_batch, "sequence_length": sequence}
    layout = only(
        expand(
            sweep(
                {"sequence_parallel": True, **STAGES.get(model, {})},
                "bf16",
                model={**MODELS[model], **MIXTURES.get(model, {}), "vocab_size": 128256},
                machine=toy()["machine"] | {"ranks_per_node": of_node},
                layouts=[{"nodes": gpus // of_node, **axes}],
            )
        )
    )
    data = gpus // (tensor * pipeline * context)
    assert (layout.data, layout.micro_batches) == (data, batch // (data * micro_batch))


def test_a_grid_that_no_trainer_can_build_is_named() -> None:
    """256 GPUs have no room for PP 8 beside EP 64: one of two columns of a published row has this by mistake."""
    model = {**MODELS["deepseek-v3"], **MIXTURES["deepseek-v3"], "vocab_size": 129280}
    axes = {"nodes": 64, "pipeline": 8, "virtual_pipeline": 2, "expert": [32, 64]}
    found = expand(
        sweep(
            STAGES["deepseek-v3"],
            model=model,
            machine=toy()["machine"] | {"ranks_per_node": 4},
            layouts=[{**axes, "global_batch": 2048, "sequence_length": 4096}],
        )
    )
    assert [one.reason for one in found.rejected] == ["256 ranks / PP 8 = 32 do not split over EP 64; nearest EP: 32"]
