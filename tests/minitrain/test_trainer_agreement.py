"""Every layout trains the same model on the same samples: losses and gradient norms agree.

`python tests/minitrain/trainer_layouts.py` trains all layouts; here are some that have every part between them.
"""

import pytest
from trainer_layouts import (
    FULL,
    LAYOUTS,
    LOSSES_AGREE,
    MODELS,
    NORMS_AGREE,
    TP2_PP2,
    differences,
    layout_run,
    single_run,
)
from trainer_runs import Run, options, train

CHOSEN = (
    "GPT CP2",
    "GPT PP4 GPipe",
    "first layer recomputed",
    "DP2",
    "zero-bubble VPP2",
    "zero2",
    "CP4 selective",
    "hsdp",
    "VPP2 zero3 full",
    "mixture EP2 TP2 zero3",
    "mixture EP2 zero-bubble",
    "TP2 CP2 PP2 zero1",
    "mixture EP4 CP2 PP2 first layer",
)


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


@pytest.mark.parametrize("layout", CHOSEN)
def test_layout_agrees_with_single_process(layout: str):
    """A layout's losses equal the single process's to 1e-4 over three iterations, its norms to 2e-3."""
    run = layout_run(layout)
    assert run.code == 0, run.errors
    losses, norms = differences(layout, run)
    assert losses <= LOSSES_AGREE
    assert norms <= NORMS_AGREE


def test_each_model_is_another_and_learns():
    """GPT, Llama and the mixture are different models, each of which learns: agreement with them says something."""
    runs = {name: single_run(name) for name in MODELS}
    assert len({run.losses[0] for run in runs.values()}) == len(MODELS)
    assert all(run.losses[0] - run.losses[-1] > 0.05 for run in runs.values())


def test_ranks_of_torchrun_agree_too(single: Run):
    """The eight-rank layout under torchrun, as on a cluster, gives the same losses."""
    run = train(8, options(**TP2_PP2, **FULL), torchrun=True)
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
    """Weights in bfloat16 give nearly the same losses, but not the same digits."""
    run = train(1, options(bf16=True))
    assert run.losses == pytest.approx(single.losses, abs=0.1)
    assert run.losses != single.losses


@pytest.mark.parametrize("layout", ["zero1", "mixture EP2 zero-bubble"])
def test_bf16_agrees_over_ranks(layout: str):
    """With bf16 and fp32 masters a layout's losses stay within the rounding of bf16 of those of one process."""
    model, ranks, changes = LAYOUTS[layout]
    single = train(1, options(**MODELS[model], bf16=True))
    run = train(ranks, options(**MODELS[model] | changes, bf16=True))
    assert run.code == 0, run.errors
    assert run.losses == pytest.approx(single.losses, abs=0.02)
