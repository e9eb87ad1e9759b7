"""What settings of trainers mean for the fields of a layout and of `training`."""

from typing import Any

import pytest

from nodesweep.config.layout_fields import LAYOUT_FIELDS
from nodesweep.config.trainer_settings import ALSO_READ, SETTINGS, fields_said
from nodesweep.config.training import Training

_GROUPS = {
    "use_megatron_fsdp": "true",
    "num_distributed_optimizer_instances": "2",
    "data_parallel_size": "8",
    "context_parallel_size": "4",
}
"""Two groups of replicas and the ranks that share their samples, 16 ranks each."""
MEANINGS: list[tuple[str, str, str, Any]] = [
    # a setting and its text, the field that it speaks of, and what it makes of it
    ("use_distributed_optimizer", "true", "sharding", "zero1"),
    ("use_distributed_optimizer", "False", "sharding", "none"),
    ("zero_stage", "2", "sharding", "zero2"),
    ("zero_optimization.stage", "3", "sharding", "zero3"),
    ("use_torch_fsdp2", "True", "sharding", "zero3"),
    ("use_megatron_fsdp", "True", "sharding", "zero3"),
    ("parallelism.data_parallel_shard_degree", "-1", "sharding", "zero3"),
    ("parallelism.data_parallel_shard_degree", "1", "sharding", "none"),
    ("parallelism.data_parallel_replicate_degree", "4", "sharding", "hsdp"),
    ("parallelism.fsdp_reshard_after_forward", "never", "sharding", "zero2"),
    ("num_virtual_stages_per_pipeline_rank", "4", "virtual_pipeline", 4),
    ("virtual_pipeline_model_parallel_size", "2", "virtual_pipeline", 2),
    ("pipeline_model_parallel_layout", "Et|t|t|tL", "virtual_pipeline", 4),
    ("pipeline_model_parallel_layout", "Et*2|(t|)*2,L", "pipeline_layout", "Et*2|(t|)*2,L"),
    ("microbatch_group_size_per_virtual_pipeline_stage", "8", "micro_batch_group", 8),
    ("pipeline_schedule", "1f1b", "pipeline_schedule", "1f1b"),
    ("pipeline_schedule", "zero-bubble", "pipeline_schedule", "zero-bubble"),
    ("parallelism.pipeline_parallel_schedule", "1F1B", "pipeline_schedule", "1f1b"),
    ("parallelism.pipeline_parallel_schedule", "GPipe", "pipeline_schedule", "gpipe"),
    ("parallelism.pipeline_parallel_schedule", "Interleaved1F1B", "pipeline_schedule", "interleaved"),
    ("parallelism.pipeline_parallel_schedule", "InterleavedZeroBubble", "pipeline_schedule", "zero-bubble"),
    ("parallelism.pipeline_parallel_schedule", "ZBVZeroBubble", "pipeline_schedule", "zero-bubble"),
    ("parallelism.pipeline_parallel_schedule", "DualPipeV", "pipeline_schedule", "zero-bubble"),
    ("parallelism.pipeline_parallel_schedule", "LoopedBFS", "pipeline_schedule", "other"),
    ("parallelism.pipeline_parallel_schedule_csv", "own.csv", "pipeline_schedule", "other"),
    ("account_for_embedding_in_pipeline_split", "true", "embedding_as_layer", True),
    ("account_for_loss_in_pipeline_split", "true", "loss_as_layer", True),
    ("decoder_first_pipeline_num_layers", "3", "first_stage_layers", 3),
    ("decoder_last_pipeline_num_layers", "2", "last_stage_layers", 2),
    ("sequence_parallel", "True", "sequence_parallel", True),
    ("sequence_parallel", "False", "sequence_parallel", False),
    ("recompute_granularity", "selective", "recomputation", "selective"),
    ("recompute_activations", "true", "recomputation", "selective"),
    ("checkpoint_activations", "true", "recomputation", "full"),
    ("activations_checkpoint_method", "uniform", "recomputation", "full"),
    ("activation_checkpoint.mode", "none", "recomputation", "none"),
    ("bf16", "True", "precision", "bf16"),
    ("fp16.enabled", "true", "precision", "fp16"),
    ("precision", "bf16-mixed", "precision", "bf16"),
    ("training.mixed_precision_param", "float32", "precision", "fp32"),
    ("fp8_format", "hybrid", "precision", "fp8"),
    ("fp4_format", "e2m1", "precision", "nvfp4"),
    ("quantize.linear.mx.recipe_name", "mxfp8_cublas", "precision", "mxfp8"),
    ("optimizer_cpu_offload", "true", "offload", "optimizer"),
    ("zero_optimization.offload_param.device", "cpu", "offload", "parameters"),
    ("cpu_offloading_num_layers", "4", "offload", "activations"),
    ("use_flash_attn", "true", "flash_attention", True),
    ("attention_backend", "AttnBackend.fused", "flash_attention", True),
    ("attention_backend", "unfused", "flash_attention", False),
    ("untie_embeddings_and_output_weights", "True", "tied_embeddings", False),
    ("hidden_dropout", "0.1", "dropout", True),
]


@pytest.mark.parametrize(("name", "text", "field", "value"), MEANINGS)
def test_a_setting_means_a_value_of_a_field(name: str, text: str, field: str, value: Any) -> None:
    """Each setting, alone, gives its field the value that the trainer then has."""
    assert fields_said({name: text})[field].value == value


@pytest.mark.parametrize(
    ("settings", "field", "value"),
    [
        ({"bf16": "True", "fp8": "hybrid", "fp8_recipe": "mxfp8"}, "precision", "mxfp8"),
        ({"bf16": "True", "fp8_recipe": "mxfp8"}, "precision", "bf16"),
        ({"hidden_dropout": "0.0", "attention_dropout": "0"}, "dropout", False),
        ({"hidden_dropout": "0.0"}, "dropout", True),
        (
            {
                "use_distributed_optimizer": "true",
                "use_custom_fsdp": "true",
                "data_parallel_sharding_strategy": "optim_grads",
            },
            "sharding",
            "zero2",
        ),
        ({"use_distributed_optimizer": "true", "data_parallel_sharding_strategy": "optim_grads"}, "sharding", "zero1"),
        ({"recompute_method": "block", "recompute_num_layers": "3"}, "recomputed_layers", 3),
        (
            {
                "recompute_granularity": "full",
                "recompute_method": "block",
                "recompute_num_layers": "2",
                "num_virtual_stages_per_pipeline_rank": "3",
            },
            "recomputed_layers",
            6,
        ),
        (_GROUPS | {"data_parallel_sharding_strategy": "optim_grads_params"}, "sharding", "hsdp"),
        (_GROUPS | {"data_parallel_sharding_strategy": "optim_grads"}, "sharding", "zero2"),
        (_GROUPS, "sharding_group", 16),
        (
            {
                "use_distributed_optimizer": "true",
                "data_parallel_size": "8",
                "num_distributed_optimizer_instances": "2",
            },
            "sharding_group",
            4,
        ),
        (
            {"num_layers": "48", "pipeline_model_parallel_size": "8", "num_layers_per_virtual_pipeline_stage": "3"},
            "virtual_pipeline",
            2,
        ),
        (
            {
                "num_layers": "126",
                "pipeline_model_parallel_size": "8",
                "num_layers_per_virtual_pipeline_stage": "2",
                "account_for_embedding_in_pipeline_split": "true",
                "account_for_loss_in_pipeline_split": "true",
            },
            "virtual_pipeline",
            8,
        ),
    ],
)
def test_settings_count_together(settings: dict[str, str], field: str, value: Any) -> None:
    """What a setting means may depend on others; where several speak of one field, the finer one counts."""
    assert fields_said(settings)[field].value == value


@pytest.mark.parametrize(
    ("settings", "field"),
    [
        (_GROUPS | {"data_parallel_sharding_strategy": "no_shard"}, "sharding_group"),
        (
            {"recompute_granularity": "selective", "recompute_method": "block", "recompute_num_layers": "2"},
            "recomputed_layers",
        ),
    ],
)
def test_settings_that_are_not_in_force_say_nothing(settings: dict[str, str], field: str) -> None:
    """Groups that share out nothing, and layers of a recomputation that is not asked for, are not told of."""
    assert field not in fields_said(settings)


def test_every_setting_that_is_looked_at_is_named() -> None:
    """What the value of a setting depends on is a row itself, or one of those that are read for others."""
    looked_at = set[str]()

    class Watched(dict[str, str]):
        def get(self, name: str, default: Any = None) -> Any:
            looked_at.add(name)
            return super().get(name, default)

    full = {"pipeline_model_parallel_layout": "Et|tL", "recompute_granularity": "full"}
    for text in ("true", "false", "2", "block"):
        shown = dict.fromkeys([*(row.name for row in SETTINGS), *ALSO_READ], text) | full
        for row in SETTINGS:
            row.value("true" if text == "false" else text, Watched(shown))
    assert {"recompute_method", "use_custom_fsdp", "context_parallel_size"} <= looked_at
    assert looked_at <= {row.name for row in SETTINGS} | set(ALSO_READ)


@pytest.mark.parametrize("text", ["None", "", "no such thing", "0.1.2", "1" * 4000])
def test_a_text_that_is_no_value_says_nothing(text: str) -> None:
    """A setting that a dump leaves empty, or whose text is none of its values, tells of no field but what it is not."""
    for row in SETTINGS:
        said = fields_said({row.name: text}).get(row.field)
        assert said is None or isinstance(said.value, bool | str)


def test_each_setting_is_of_a_field_that_exists() -> None:
    """A row speaks of a field of layouts or of a key of `training`."""
    assert {row.field for row in SETTINGS} <= {*LAYOUT_FIELDS, *Training.model_fields}
