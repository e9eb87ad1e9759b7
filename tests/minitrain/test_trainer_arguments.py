"""Wrong combinations are refused in one line, quickly, before torch is loaded."""

import subprocess
import sys

import pytest
from trainer_runs import environment, options, train

from minitrain.arguments import ArgumentError, read_arguments

WRONG = {
    "ranks": (6, {"tensor_model_parallel_size": 4}, "6 ranks do not split into tensor 4 x pipeline 1"),
    "one rank": (1, {"tensor_model_parallel_size": 2}, "start a multiple of 2 ranks (torchrun"),
    "batch": (
        4,
        {"global_batch_size": 18},
        "does not split over data-parallel 4 x --micro-batch-size 2; nearest: 16 or 24",
    ),
    "head size": (
        1,
        {"hidden_size": 30},
        "--hidden-size 30 does not split over --num-attention-heads 4; nearest: 28 or 32",
    ),
    "heads": (
        8,
        {"tensor_model_parallel_size": 8, "hidden_size": 64},
        "--num-attention-heads 4 does not split",
    ),
    "vocabulary": (2, {"tensor_model_parallel_size": 2, "vocab_size": 65}, "nearest: 64 or 66"),
    "ffn": (
        2,
        {"tensor_model_parallel_size": 2, "ffn_hidden_size": 65},
        "--ffn-hidden-size 65 does not split",
    ),
    "layers": (
        3,
        {"pipeline_model_parallel_size": 3, "global_batch_size": 18},
        "--num-layers 4 does not split over",
    ),
    "bubbles": (
        4,
        {"pipeline_model_parallel_size": 4, "global_batch_size": 4},
        "2 micro batches do not fill 4 pipeline stages; --global-batch-size 8 or more",
    ),
    "chunks missing": (
        2,
        {"pipeline_model_parallel_size": 2, "pipeline_schedule": "interleaved"},
        "needs --num-layers-per-virtual",
    ),
    "chunks alone": (
        2,
        {"pipeline_model_parallel_size": 2, "num_layers_per_virtual_pipeline_stage": 1},
        "means nothing",
    ),
    "chunks uneven": (
        2,
        {
            "pipeline_model_parallel_size": 2,
            "pipeline_schedule": "interleaved",
            "num_layers_per_virtual_pipeline_stage": 3,
        },
        "nearest: 6",
    ),
    "interleaved alone": (
        1,
        {"pipeline_schedule": "interleaved", "num_layers_per_virtual_pipeline_stage": 1},
        "use 1f1b",
    ),
    "interleaved batch": (
        2,
        {
            "pipeline_model_parallel_size": 2,
            "pipeline_schedule": "interleaved",
            "num_layers_per_virtual_pipeline_stage": 1,
            "global_batch_size": 6,
        },
        "micro batches 3 does not split over --pipeline-model-parallel-size 2; nearest: --global-batch-size 4 or 8",
    ),
    "head groups": (1, {"num_query_groups": 3}, "--num-attention-heads 4 does not split over --num-query-groups 3"),
    "groups over tensor": (
        4,
        {"tensor_model_parallel_size": 4, "num_query_groups": 2},
        "--num-query-groups 2 does not split over --tensor-model-parallel-size 4; nearest: 4",
    ),
    "groups unsaid": (1, {"group_query_attention": True}, "--group-query-attention needs --num-query-groups"),
    "odd heads": (1, {"position_embedding_type": "rope", "kv_channels": 7}, "nearest --kv-channels: 6 or 8"),
    "context ranks": (2, {"context_parallel_size": 4}, "2 ranks do not split into tensor 1 x pipeline 1 x context 4"),
    "context": (
        4,
        {"context_parallel_size": 4, "seq_length": 36},
        "--seq-length 36 does not split over 2 x --context-parallel-size 4; nearest: 32 or 40",
    ),
    "experts absent": (2, {"expert_model_parallel_size": 2}, "without experts; add --num-experts"),
    "experts": (
        4,
        {"num_experts": 6, "expert_model_parallel_size": 4},
        "--num-experts 6 does not split over --expert-model-parallel-size 4; nearest: 4 or 8",
    ),
    "experts over ranks": (
        2,
        {"num_experts": 4, "expert_model_parallel_size": 4},
        "ranks of a stage 2 does not split over --expert-model-parallel-size 4",
    ),
    "too few experts": (1, {"num_experts": 2, "moe_router_topk": 3}, "--moe-router-topk 3 is above --num-experts 2"),
    "groups without shards": (
        4,
        {"num_distributed_optimizer_instances": 2},
        "means nothing to sharding strategy no_shard; add --data-parallel-sharding-strategy optim_grads_params",
    ),
    "groups of replicas": (
        4,
        {"num_distributed_optimizer_instances": 3, "data_parallel_sharding_strategy": "optim_grads_params"},
        "data-parallel 4 does not split over --num-distributed-optimizer-instances 3; nearest: 3 or 6",
    ),
    "layers of nothing": (1, {"recompute_num_layers": 1}, "add --recompute-granularity full"),
    "too many layers": (
        1,
        {"recompute_granularity": "full", "recompute_method": "block", "recompute_num_layers": 5},
        "needs --recompute-num-layers from 1 to 4",
    ),
    "layers of uniform": (
        1,
        {"recompute_granularity": "full", "recompute_num_layers": 2},
        "--recompute-num-layers 2 needs --recompute-method block",
    ),
    "zero-bubble full": (
        2,
        {"pipeline_model_parallel_size": 2, "pipeline_schedule": "zero-bubble", "recompute_granularity": "full"},
        "use --recompute-granularity selective or --pipeline-schedule interleaved",
    ),
    "zero-bubble sharded": (
        4,
        {
            "pipeline_model_parallel_size": 2,
            "pipeline_schedule": "zero-bubble",
            "data_parallel_sharding_strategy": "optim_grads",
        },
        "(zero2) no gradients to share out; use --use-distributed-optimizer",
    ),
    "negative rate": (1, {"lr": -1}, "'-1' is not a number of at least 0"),
    "endless rate": (1, {"lr": "inf"}, "'inf' is not a number of at least 0"),
    "no rate": (1, {"lr": "nan"}, "'nan' is not a number of at least 0"),
    "seed": (1, {"seed": 2**63}, "is not a whole number from 0 to 4294967296"),
    "zero": (1, {"num_layers": 0}, "'0' is not a whole number of at least 1"),
    "unknown": (1, {"dropout": 0.1}, "unrecognized arguments: --dropout 0.1"),
    "missing": (1, {"num_layers": None}, "--num-layers"),
}


@pytest.mark.parametrize("case", WRONG)
def test_wrong_combination_is_refused(case: str):
    """A layout that does not split is refused with the numbers and the way out, in one line."""
    ranks, changes, message = WRONG[case]
    with pytest.raises(ArgumentError) as caught:
        read_arguments(options(**changes), ranks)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_exit_code_and_one_line():
    """The command says one line on stderr and exits with 2."""
    run = train(1, options(global_batch_size=15))
    assert (run.code, run.out) == (2, "")
    assert run.errors == (
        "minitrain: error: --global-batch-size 15 does not split over data-parallel 1 x --micro-batch-size 2; "
        "nearest: 14 or 16\n"
    )


def test_other_ranks_are_silent():
    """Only rank 0 of many ranks writes the message; all exit with 2."""
    place = {"RANK": "1", "WORLD_SIZE": "3", "LOCAL_RANK": "1", "MASTER_ADDR": "localhost"}
    run = train(1, options(), variables=place)
    assert (run.code, run.out, run.errors) == (2, "", "")


def test_rank_that_is_none_speaks_itself():
    """A rank whose own number is wrong says so, whatever its number: no other rank knows."""
    run = train(1, options(), variables={"RANK": "2", "WORLD_SIZE": "2", "MASTER_ADDR": "localhost"})
    assert (run.code, run.out) == (2, "")
    assert run.errors.startswith("minitrain: error: RANK=2 is not below WORLD_SIZE=2") and run.errors.count("\n") == 1


def test_missing_address_is_told_once():
    """Ranks that cannot find each other exit with 2, and rank 0 alone says what to export."""
    runs = [
        train(
            1,
            options(),
            variables={
                "OMPI_COMM_WORLD_RANK": rank,
                "OMPI_COMM_WORLD_SIZE": "2",
                "OMPI_COMM_WORLD_LOCAL_RANK": rank,
            },
        )
        for rank in "01"
    ]
    assert [run.code for run in runs] == [2, 2]
    assert runs[0].errors.startswith("minitrain: error: 2 ranks by Open MPI")
    assert runs[0].errors.count("\n") == 1
    assert runs[1].errors == ""


def test_refused_without_torch():
    """The check needs no torch: it answers where torch cannot be imported at all."""
    program = (
        "import sys; sys.modules['torch'] = None; sys.argv = ['minitrain']; "
        "from minitrain.__main__ import main; sys.exit(main())"
    )
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, capture_output=True, text=True, env=environment())
    assert done.returncode == 2
    assert done.stderr.startswith("minitrain: error: the following arguments are required: --num-layers")


def test_derived_sizes():
    """Replicas, micro batches and stages follow from the rest."""
    given = read_arguments(
        options(
            tensor_model_parallel_size=2,
            pipeline_model_parallel_size=2,
            pipeline_schedule="interleaved",
            num_layers_per_virtual_pipeline_stage=1,
        ),
        8,
    )
    assert (given.data_parallel_size, given.micro_batches, given.stages) == (2, 4, 4)
    assert given.ffn_hidden_size == 128
