"""Every layout trains the same model on the same samples: losses and gradient norms agree."""

import pytest
from trainer_runs import Run, options, train

TENSOR = {"tensor_model_parallel_size": 2, "micro_batch_size": 4}
PIPELINE = {"pipeline_model_parallel_size": 2}
RECOMPUTE = {"recompute_granularity": "full"}
SHARDED = {"data_parallel_sharding_strategy": "optim_grads_params"}
INTERLEAVED = {"pipeline_schedule": "interleaved", "num_layers_per_virtual_pipeline_stage": 1}

LAYOUTS = {
    "AC": (1, RECOMPUTE),
    "DP2": (2, {}),
    "MP2": (2, TENSOR),
    "PP2": (2, PIPELINE),
    "MP2 AC": (2, TENSOR | RECOMPUTE),
    "PP4 GPipe": (4, {"pipeline_model_parallel_size": 4, "pipeline_schedule": "gpipe"}),
    "PP2 interleaved AC": (2, PIPELINE | INTERLEAVED | RECOMPUTE),
    "DP2 PP2 interleaved sharded AC": (4, PIPELINE | INTERLEAVED | SHARDED | RECOMPUTE),
    "DP2 MP2 sharded AC": (4, TENSOR | SHARDED | RECOMPUTE),
    "DP2 MP2 PP2 AC": (8, TENSOR | PIPELINE | RECOMPUTE),
}


@pytest.fixture(scope="module")
def single() -> Run:
    """The run of one process without any parallelism."""
    return train(1, options())


def test_single_process_learns(single: Run):
    """The reference itself trains, so that agreement with it says something."""
    assert single.code == 0, single.errors
    assert len(single.losses) == 3
    assert single.losses[0] - single.losses[-1] > 0.05
    assert all(norm > 0.1 for norm in single.norms)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_layout_agrees_with_single_process(layout: str, single: Run):
    """A layout's losses equal the single process's to 1e-4 over three iterations, its norms to 2e-3."""
    ranks, changes = LAYOUTS[layout]
    run = train(ranks, options(**changes))
    assert run.code == 0, run.errors
    assert run.losses == pytest.approx(single.losses, abs=1e-4)
    assert run.norms == pytest.approx(single.norms, abs=2e-3)


def test_ranks_of_torchrun_agree_too(single: Run):
    """The eight-rank layout under torchrun, as on a cluster, gives the same losses."""
    run = train(8, options(**TENSOR, **PIPELINE, **RECOMPUTE), torchrun=True)
    assert run.code == 0, run.errors
    assert run.losses == pytest.approx(single.losses, abs=1e-4)


def test_micro_batch_size_does_not_change_the_model(single: Run):
    """Cutting the batch into other micro batches gives the same losses."""
    run = train(1, options(micro_batch_size=8))
    assert run.losses == pytest.approx(single.losses, abs=1e-4)


def test_seed_changes_the_model(single: Run):
    """Another seed is another model and other samples."""
    run = train(1, options(seed=99))
    assert abs(run.losses[0] - single.losses[0]) > 1e-3


def test_bf16_stays_near(single: Run):
    """Matrix products in bfloat16 give nearly the same losses, but not the same digits."""
    run = train(1, options(bf16=True))
    assert run.losses == pytest.approx(single.losses, abs=0.1)
    assert run.losses != single.losses
