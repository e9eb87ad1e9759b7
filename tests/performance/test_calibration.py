"""Calibration on the study's rows: what it predicts of rows it has not seen, what it refuses, and its file."""

import math
import re
from collections.abc import Sequence
from dataclasses import replace
from itertools import product
from statistics import fmean

import pytest
from fugaku_runs import april, case_of, june

from nodesweep.common.errors import NodesweepError
from nodesweep.config.columns import TIDY
from nodesweep.config.workload import Workload
from nodesweep.performance.calibration import Calibration
from nodesweep.performance.calibration import sync_form_fit as form_fit
from nodesweep.performance.calibration.fit import calibrate
from nodesweep.performance.calibration.memory_model import MemoryFit
from nodesweep.performance.calibration.observations import Observation, observations_of
from nodesweep.performance.calibration.time_fit import fit
from nodesweep.performance.calibration.time_model import TimeModel


def percent_errors(training: Sequence[Observation], held_out: Sequence[Observation]) -> list[float]:
    """How far predictions by some runs are off others, in percent."""
    model = fit(training).model
    assert model is not None
    return [100 * abs(model.estimate(one.case).seconds / one.seconds - 1) for one in held_out]


def model_of(runs: Sequence[Observation]) -> TimeModel:
    """The model of runs that determine one."""
    found = fit(runs)
    assert found.model is not None and not found.refusal
    return found.model


def test_parameters_of_june() -> None:
    """In the form log2: 2.242 s a micro batch with MP 4, 1.846 with MP 6, 8.0 s x log2(DP); all rows within 0.7 %."""
    forms = {form.name: form for form in model_of(june()).forms}
    log2 = forms["log2"]
    assert [round(stage.micro_batch_seconds, 3) for stage in log2.stages] == [2.242, 1.846]
    assert log2.sync_seconds == pytest.approx(8.01, abs=0.02)
    assert sum(form.weight for form in forms.values()) == pytest.approx(1)
    assert max(forms.values(), key=lambda form: form.weight) is log2
    errors = percent_errors(june(), june())
    assert (fmean(errors) < 0.31, max(errors) < 0.7) == (True, True)


def test_the_sync_in_words() -> None:
    """The file names each form of the sync, what it grows with and its share of the mean, best first."""
    found = Calibration("june", fit(june()), MemoryFit()).summary()
    (line,) = [line for line in found if line.startswith("DP sync with d = DP, ")]
    assert ": 8 s, give or take 0.28, x log2(d), the steps of a tree (" in line.partition(";")[0]
    assert ", x (1/2 + 1/3 + ... + 1/d), the wait for the slowest (" in line and line.endswith(" % of the mean)")


def test_leave_one_out() -> None:
    """Each run predicted by the ten others: 0.6 % off in the mean, 1.5 % at worst."""
    runs = june()
    errors = [percent_errors(runs[:i] + runs[i + 1 :], runs[i : i + 1])[0] for i in range(len(runs))]
    assert fmean(errors) <= 0.6 and max(errors) <= 1.5


@pytest.mark.parametrize(("most_nodes", "mean_percent"), [(1536, 3.0), (2304, 1.1)])
def test_larger_runs_predicted_by_smaller_ones(most_nodes: int, mean_percent: float) -> None:
    """Up to 1536 nodes predict the larger four, up to 2304 the larger three; their intervals hold what was measured."""
    smaller = [one for one in june() if one.case.nodes <= most_nodes]
    larger = [one for one in june() if one.case.nodes > most_nodes]
    assert fmean(percent_errors(smaller, larger)) <= mean_percent
    model = model_of(smaller)
    for one in larger:
        found = model.estimate(one.case)
        assert found.low_seconds < one.seconds < found.high_seconds


def test_leave_one_out_errors_without_refitting() -> None:
    """The errors the weights are made of, e / (1 - h), are those of fits without the row, within 0.4 % of its time."""
    runs = june()
    for found in calibrate("june", runs).runs:
        others = [one for one in runs if one.name != found.name]
        (held_out,) = (one for one in runs if one.name == found.name)
        refitted = model_of(others).estimate(held_out.case).seconds / held_out.seconds - 1
        assert found.left_out_error == pytest.approx(refitted, abs=0.004)


@pytest.mark.parametrize(
    ("chosen", "refusal"),
    [
        ([], "no run with a time"),
        ([0], "1 run with a time"),
        ([0, 1], "do not tell the DP sync: 21.7 s, give or take 26, of 1842 s at DP 2; they go up to DP 2"),
        ([1, 3], ""),
    ],
    ids=["none", "one", "192 and 384 nodes", "384 and 1152 nodes"],
)
def test_too_few_rows_are_refused(chosen: list[int], refusal: str) -> None:
    """192 and 384 nodes alone do not tell the sync; 384 and 1152 do."""
    runs = june()
    found = fit([runs[number] for number in chosen]).refusal
    assert (refusal in found) if refusal else not found


def test_a_refusal_is_for_what_depends_on_it() -> None:
    """After 192 and 384 nodes alone DP 1 and 2 may be predicted, of MP 6 too; times with more replicas are refused."""
    found = calibrate("june", june()[:2], targets=[one.case for one in june()])
    assert [found.estimate(one.case) is not None for one in june()] == [one.case.data <= 2 for one in june()]
    assert found.refusal(june()[2].case) == "the runs go up to DP 2 and do not tell the DP sync of DP 4"


def test_a_refusal_names_the_cheapest_run_that_would_do() -> None:
    """After 192 and 384 nodes: 768 nodes with as many micro batches as stages, and with it the sync is known."""
    runs = june()
    found = calibrate("june", runs[:2], targets=[one.case for one in runs])
    assert found.probe is not None
    case = found.probe.case
    assert case.micro_batches == case.pipeline and found.probe.node_hours < found.probe.whole_node_hours / 5
    true = model_of(runs).estimate(case).seconds
    assert not fit([*runs[:2], Observation("probe", case, true, None)], [one.case for one in runs]).refusal


def test_a_time_that_its_log_rounds_decides_less() -> None:
    """A run taken for 4 % faster than it was moves predictions less than half as much where its log rounds by 10 %."""
    runs = june()
    true = model_of(runs)
    off = replace(runs[0], seconds=0.96 * (runs[0].seconds or 0.0))
    moved = {}
    for rounding in (0.0, 0.1):
        model = model_of([replace(off, rounding=rounding), *runs[1:]])
        ratios = (model.estimate(one.case).seconds / true.estimate(one.case).seconds for one in runs)
        moved[rounding] = sum(abs(ratio - 1) for ratio in ratios)
    assert moved[0.1] < moved[0.0] / 2


def test_runs_without_replicas_tell_nothing_of_them() -> None:
    """DP 1 alone: fine for DP 1, refused where replicas are to be predicted."""
    runs = [
        Observation("a", case_of(192, 1, 4), 3500, None),
        Observation("b", case_of(192, 1, 4, global_batch=48), 213, None),
    ]
    assert not fit(runs).refusal
    assert "of the DP sync of DP 2 to 32 they tell nothing" in fit(runs, [one.case for one in june()]).refusal
    found = calibrate("one replica", runs)
    assert found.estimate(runs[0].case) and not found.estimate(case_of(384, 2, 4))
    assert found.refusal(case_of(384, 2, 4)) == "all runs have DP 1: of the DP sync of DP 2 they tell nothing"


def test_two_software_stacks_are_distinguished() -> None:
    """April and June in one campaign: the same layout 11 % apart is refused, with both runs named."""
    refusal = fit([*april(), *june()]).refusal
    assert "april-n3072-mp4 (313.6 s) and june-n3072-mp4 (353.8 s) are the same layout, 13 % apart" in refusal


def test_contradictory_rows_are_shown_by_their_interval() -> None:
    """One row doubled, which no layout explains: no crash, an interval that says so, the others nearly as before."""
    runs = june()
    runs[3] = replace(runs[3], seconds=2 * runs[3].seconds)
    model = model_of(runs)
    found = model.estimate(runs[5].case)
    assert found.high_seconds / found.low_seconds > 1.2
    assert found.seconds == pytest.approx(353.8, rel=0.1)


def test_a_kind_never_measured_has_a_wide_interval() -> None:
    """MP 8 from MP 4 and MP 6: a = c1/t + c2, 12 % and more either way, and the reason."""
    found = model_of(june()).estimate(case_of(12288, 32, 8))
    assert found.by == "its kind of stage was never measured"
    assert found.high_seconds / found.low_seconds > 1.12**2


def test_tensor_parallelism_that_costs_much() -> None:
    """MP 2 over a slow network, 8 times as long a micro batch as MP 1, is fitted where it ran, and foreseen by MP 2."""
    sizes = [  # nodes, DP, MP, AC, seconds
        (96, 2, 1, False, 1.0),
        (96, 2, 1, True, 1.4),
        (48, 1, 1, False, 1.0),
        (48, 1, 1, True, 1.4),
        (192, 2, 2, False, 8.0),
        (192, 2, 2, True, 11.2),
    ]
    runs = [
        Observation(f"{nodes} {ac}", case_of(nodes, data, tensor, ac, data), seconds, None, scatter=0.05)
        for nodes, data, tensor, ac, seconds in sizes
    ]
    assert max(percent_errors(runs, runs)) < 20
    assert percent_errors(runs[:5], runs[5:])[0] < 40


def test_memory_of_april() -> None:
    """Three peaks give constants that predict them within 1.3 %, and the two that ran out as hopeless."""
    model = calibrate("april", april()).memory.model
    assert model is not None and model.rows == 3
    assert model.error < 0.013
    assert model.constants.allocator_factor_without_recomputation is None


@pytest.mark.parametrize(
    ("chosen", "refusal"),
    [
        ([3, 4], "no run with the peak of what it needed, all others ran out of memory or failed; it takes two"),
        ([0, 3], "1 run with the peak of what it needed, all others ran out of memory or failed; it takes two"),
        ([], "no run with the peak of what it needed; it takes two"),
    ],
    ids=["all out of memory", "one", "none"],
)
def test_memory_that_is_not_determined(chosen: list[int], refusal: str) -> None:
    """A reading at the limit says nothing of what was needed."""
    runs = april()
    assert calibrate("april", [runs[number] for number in chosen]).memory.refusal == refusal


def test_the_file_of_a_calibration() -> None:
    """A calibration file is YAML that people can read, it is read back as it was, and anything else is refused."""
    found = calibrate("june", [*june(), *april()[4:]])
    text = found.to_yaml()
    assert Calibration.from_yaml(text) == found
    assert "# - MP 4, PP 48, MBS 1, sequence 2048, AC" in text
    with pytest.raises(NodesweepError, match="nodesweep measure` makes it again"):
        Calibration.from_yaml(text.replace("noise:", "noises:"))
    with pytest.raises(NodesweepError, match="nodesweep measure` makes it again"):
        Calibration.from_yaml("{")


def test_a_calibration_file_of_version_0_1_is_read() -> None:
    """Version 0.1 called the inner width of the feed-forward block `ffn_width` in the case of a probe."""
    found = calibrate("june", june()[:2], targets=[one.case for one in june()])
    text = found.to_yaml()
    assert found.probe is not None and text.count("ffn_hidden_size: 28672") == 1
    assert Calibration.from_yaml(text.replace("ffn_hidden_size:", "ffn_width:")) == found


def test_sizes_that_are_not_defaults_are_kept_in_the_file() -> None:
    """Context parallelism is in the file where it is more than 1, and left out where it is not."""
    found = calibrate("june", june()[:2], targets=[one.case for one in june()])
    assert found.probe is not None
    split = replace(found, probe=replace(found.probe, case=found.probe.case.changed(context=2)))
    assert "context: 2" in split.to_yaml() and "context:" not in found.to_yaml()
    assert Calibration.from_yaml(split.to_yaml()) == split


def test_rows_of_the_table_as_observations() -> None:
    """A row with all sizes is one; without a size, against the laws or without a figure it is excluded, and why."""
    empty = dict.fromkeys(TIDY)
    whole = {
        **empty,
        "slug": "a",
        "nodes": 8,
        "ranks_per_node": 1,
        "data": 2,
        "tensor": 2,
        "pipeline": 2,
        "layers": 4,
        "micro_batch_samples": 1,
        "global_batch_samples": 8,
        "sequence_length_tokens": 16,
        "hidden_size": 8,
        "activation_checkpointing": True,
        "attention_heads": 2,
        "vocab_size": 128,
        "iteration_seconds": 1.5,
    }
    rows = [
        whole,
        {**whole, "slug": "b", "tensor": None},
        {**whole, "slug": "c", "data": 3},
        {**whole, "slug": "d", "iteration_seconds": None, "outcome": "crash"},
        {**whole, "slug": "e", "outcome": "oom", "memory_mib": 100.0, "source_file": "kept.md", "source_line": 7},
    ]
    found, excluded = observations_of(rows, lambda row: Workload(command=("train",)))
    assert [(one.name, one.seconds, one.limited) for one in found] == [("a", 1.5, False), ("e kept.md:7", 1.5, True)]
    assert [(one.name, one.reason) for one in excluded] == [
        ("b", "its layout is not wholly known, or does not add up"),
        ("c", "its layout is not wholly known, or does not add up"),
        ("d", "nothing was measured (crash)"),
    ]


def of_many_kinds() -> list[Observation]:
    """A hundred and twenty-eight kinds of stage, each run once: 0.05 s for 1e12 operations, 0.1 of them not split."""
    found = []
    for tensor, pipeline, micro_batch, sequence, recomputed in product(
        (1, 2, 4, 8), (1, 2, 4, 8), (1, 2), (1, 2), (0, 1)
    ):
        data = 1 + (tensor * pipeline + micro_batch) % 4
        case = case_of(data * tensor * pipeline, data, tensor, bool(recomputed)).changed(
            pipeline=pipeline,
            micro_batch=micro_batch,
            sequence_length=1024 * sequence,
            global_batch=data * micro_batch * 32,
        )
        seconds = case.stage_flops / 1e12 * 0.05 * (1 / tensor + 0.1) * (32 + pipeline - 1) + 0.5 * math.log2(data)
        found.append(Observation(f"{len(found)}", case, seconds, None))
    return found


def test_many_kinds() -> None:
    """Each of a hundred and twenty-eight kinds is predicted by the others, and one that is not among them too."""
    runs = of_many_kinds()
    found = calibrate("many", runs)
    assert max(abs(run.left_out_error or 0) for run in found.runs) < 0.02
    assert max(abs(run.error) for run in found.runs) < 0.005
    held_out = runs.pop(100)
    estimate = fit(runs).model.estimate(held_out.case)
    assert estimate.by == "its kind of stage was never measured"
    assert estimate.seconds == pytest.approx(held_out.seconds, rel=0.02)
    assert estimate.low_seconds < held_out.seconds < estimate.high_seconds


@pytest.mark.parametrize("kinds", [11, 60])
def test_dense_and_sparse_agree(kinds: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """The two solvers give the same parameters."""
    runs = of_many_kinds()[:kinds]
    rates = []
    for most in (0, 1000):
        monkeypatch.setattr(form_fit, "MOST_DENSE_KINDS", most)
        rates.append([form.rate_seconds for form in fit(runs).model.forms])
    assert rates[0] == pytest.approx(rates[1], rel=1e-3)


def test_few_runs_that_scatter() -> None:
    """Two runs tell no noise: it is taken to be as large as their iterations scatter, and at least 1 %."""
    steady = [june()[1], june()[3]]
    uneven = [replace(run, scatter=0.05) for run in steady]
    assert (fit(steady).model.noise, fit(uneven).model.noise) == (0.01, 0.05)


def test_one_layout_twice_on_a_noisy_machine() -> None:
    """Ten percent apart is another software stack where iterations are even, and noise where they scatter by five."""
    first = june()[0]
    again = replace(first, name="again", seconds=1.1 * first.seconds)
    assert "are the same layout" in fit([first, again, june()[2]]).refusal
    noisy = [replace(run, scatter=0.05) for run in (first, again, june()[2])]
    assert "are the same layout" not in fit(noisy).refusal


def test_what_other_runs_tell_nothing_of() -> None:
    """Runs in one format without context parallelism tell no time in another, or of ranks that share a sample."""
    found = calibrate("june", june())
    case = june()[0].case
    assert not found.refusal(case)
    for axes, named in (({"precision": "bf16"}, "bf16"), ({"context": 2}, "CP 2, fp32"), ({"expert": 4}, "EP 4, fp32")):
        other = case.changed(**axes, data=None, nodes=2 * case.nodes)
        assert found.refusal(other) == f"no run has {named}: no formula tells its time by other runs"
        assert found.estimate(other) is None
    older = Calibration.from_yaml(re.sub(r", apart: fp32|apart: fp32\n *", "", found.to_yaml()))
    assert not older.refusal(case.changed(precision="bf16"))
