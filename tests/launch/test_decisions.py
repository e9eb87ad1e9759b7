"""Which layout comes first and which does not run: with real runs of a toy trainer where a run is what decides."""

from pathlib import Path
from typing import Any

import pytest
import yaml
from sweeps import drained, run_nodesweep, run_snakemake, starts, study_in, toy

from nodesweep.launch.decisions import Decisions, Ran
from nodesweep.launch.history import decisions_of
from nodesweep.launch.records import read_phase
from nodesweep.launch.reruns import withdraw_records
from nodesweep.launch.runner import Finished, Policy, Runner
from nodesweep.schedulers.local import Local
from nodesweep.sweep.study import Study

AXES = {"global_batch": 16, "sequence_length": 128}


def run_all(study: Study, lines: list[str] | None = None, **policy: Any) -> dict[str, Finished]:
    """What a new launcher, knowing what is on disk, makes of all layouts that need a run."""
    tell = (lines if lines is not None else []).append
    runner = Runner(study, Local(), Policy(**policy), tell, decisions_of(study))
    runner.recover()
    todo = [slug for slug in study.layouts if not study.record(slug).exists()]
    runner.add(todo)
    return {done.slug: done for done in drained(runner, len(todo))}


def outcomes(done: dict[str, Finished]) -> list[str]:
    """How layouts ended, in the order they were done with."""
    return [one.record.outcome for one in done.values()]


def sized(folder: Path, limit_mib: float, **changes: Any) -> Study:
    """Three layouts of a toy model that need 1.8, 0.9 and 3.5 GiB by the constants of their workload."""
    sweep = toy(layouts=[{"nodes": 1, "micro_batch": [8, 4, 16], **AXES}], **changes)
    sweep["machine"]["memory_mib_per_node"] = limit_mib
    sweep["workload"]["memory_constants"] = {"process_mib": 0, "allocator_factor_without_recomputation": 5}
    sweep["model"] |= {"layers": 16, "hidden_size": 128, "attention_heads": 8}
    return study_in(folder, **{name: sweep[name] for name in sweep if name in changes or name in _SIZED})


_SIZED = ("layouts", "machine", "workload", "model")


def test_what_cannot_fit_is_not_submitted(tmp_path: Path) -> None:
    """Its row says how much it needs of how much; the others run, the cheapest first, and tables show all three."""
    study = sized(tmp_path, 2500)
    done = run_all(study)
    (pruned,) = [one for one in done.values() if one.record.outcome == "pruned"]
    assert pruned.final and "mbs16" in pruned.slug
    forecast = decisions_of(study).forecast(pruned.slug)
    needed = f"{forecast.memory.bytes / 2**30:.1f}"
    assert pruned.record.evidence == f"needs {needed} of 2.4 GiB (workload.memory_constants)"
    assert set(starts(tmp_path)) == set(study.layouts) - {pruned.slug}
    assert read_phase(study, pruned.slug)[0] == "pruned"


def test_prune_never_runs_it_all_the_same(tmp_path: Path) -> None:
    """With `prune: never` only the outcome decides."""
    assert outcomes(run_all(sized(tmp_path, 2500, prune="never"))) == ["ok", "ok", "ok"]


def test_an_oom_prunes_what_needs_as_much(tmp_path: Path) -> None:
    """In mid-sweep: the smallest runs out of memory, and the two that need more are not submitted."""
    study = sized(tmp_path, 90000)
    sweep = yaml.safe_load((tmp_path / "sweep.yaml").read_text())
    sweep["workload"]["command"][-1] = "{{ 'oom' if micro_batch == 8 else 'ok' }}"
    study = study_in(tmp_path, **{name: sweep[name] for name in _SIZED})
    done = run_all(study)
    first, second, third = study.layouts
    assert {slug: done[slug].record.outcome for slug in study.layouts} == {
        first: "oom",
        second: "ok",
        third: "pruned",
    }
    assert f"; {first} needs " in done[third].record.evidence
    assert done[third].record.evidence.endswith("and ran out of memory")


def test_an_oom_that_others_survived_prunes_nothing(tmp_path: Path) -> None:
    """One needs as much as another that ran out of memory, and ran well: memory is not what told them apart."""
    study = study_in(tmp_path, ending="{{ 'oom' if nodes == 2 else 'ok' }}", layouts=[{"nodes": [1, 2, 4], **AXES}])
    decisions = decisions_of(study)
    assert len({decisions.forecast(slug).memory.bytes for slug in study.layouts}) == 1
    assert outcomes(run_all(study)) == ["ok", "oom", "ok"]


def test_who_comes_next_hangs_on_ends_once_memory_ran_out(tmp_path: Path) -> None:
    """Before that every layout may start while the log of the last is still being read."""
    study = sized(tmp_path, 4000)
    decisions, (first, second, _) = decisions_of(study), study.layouts
    decisions.ended(first, Ran("ok", 1.0, 0.1))
    assert not decisions.awaits_ends
    decisions.ended(second, Ran("oom", 1.0, 0.1))
    assert decisions.awaits_ends


def test_a_pruned_layout_runs_once_it_fits(tmp_path: Path) -> None:
    """The limit is raised: the next launch takes its record back; asked for by hand, it runs whatever was foreseen."""
    study = sized(tmp_path, 2500)
    slug = next(slug for slug, one in run_all(study).items() if one.record.outcome == "pruned")
    withdraw_records(study)
    assert study.record(slug).exists(), "nothing has changed"
    withdraw_records(sized(tmp_path, 25000))
    assert not study.record(slug).exists()
    assert outcomes(run_all(study)) == ["pruned"]
    assert run_nodesweep(tmp_path, "rerun", slug, "--configfile", "sweep.yaml").returncode == 0
    assert outcomes(run_all(study)) == ["ok"]


def test_the_whole_command_with_a_pruned_layout(tmp_path: Path) -> None:
    """snakemake ends well, tables name the reason, a second time nothing is to be done, and why tells it too."""
    sized(tmp_path, 2500)
    config = tmp_path / "sweep.yaml"
    run = run_snakemake(tmp_path, config)
    assert run.returncode == 0, run.stdout
    text = (tmp_path / "results" / "toy" / "tables.md").read_text()
    assert "pruned: needs 3.5 of 2.4 GiB" in text
    assert "will not fit" in (tmp_path / "results" / "toy" / "plan.md").read_text()
    assert "Nothing to be done" in run_snakemake(tmp_path, config).stdout
    slug = next(path.parent.name for path in tmp_path.glob("results/toy/layouts/*mbs16*/job.json"))
    told = run_nodesweep(tmp_path, "why", slug, "Notes", "--configfile", "sweep.yaml").stdout
    assert "needs 3.5 of 2.4 GiB" in told


def test_a_budget_is_never_passed(tmp_path: Path) -> None:
    """Jobs of at most 120 s on 1 node, 0.033 node-hours: a budget of 0.04 lets one run at a time, one of 0.03 none."""
    study = study_in(tmp_path, budget_node_hours=0.04, layouts=[{"nodes": 1, "micro_batch": [1, 2, 4], **AXES}])
    lines: list[str] = []
    done = run_all(study, lines, jobs_at_once=3)
    assert outcomes(done) == ["ok", "ok", "ok"], "jobs that end at once leave the others their share"
    assert ["started" in line for line in lines] == [True, False] * 3
    (tmp_path / "small").mkdir()
    small = study_in(tmp_path / "small", budget_node_hours=0.03, layouts=[{"nodes": 1, **AXES}])
    (only,) = run_all(small).values()
    assert only.record.outcome == "skipped"
    assert only.record.evidence == "may use 0.0333 node-hours, and of budget_node_hours 0.03 0.03 are left"


def test_a_budget_without_any_bound_on_a_job(tmp_path: Path) -> None:
    """No time limit, no prediction: nothing is submitted, and what to do is said."""
    machine = {"name": "here", "scheduler": "local"}
    done = run_all(study_in(tmp_path, budget_node_hours=5, machine=machine))
    assert {one.record.evidence for one in done.values()} == {
        "no time limit and no prediction: it could pass budget_node_hours"
    }


def test_the_cheapest_of_each_kind_comes_first(tmp_path: Path) -> None:
    """Two MPs on 4 and 8 nodes: one layout of each MP before the second of any."""
    study = study_in(tmp_path, layouts=[{"nodes": [4, 8], "tensor": [1, 2], **AXES}])
    decisions = decisions_of(study)
    order = sorted(study.layouts, key=decisions.rank)
    assert [study.layouts[slug].tensor for slug in order[:2]] in ([1, 2], [2, 1])
    assert sorted(study.layouts[slug].tensor for slug in order[2:]) == [1, 2]


@pytest.mark.parametrize("best", ["fastest", "cheapest"])
def test_a_search_leaves_out_what_cannot_be_the_best(tmp_path: Path, best: str) -> None:
    """After one run at each end the others are predicted: what cannot beat the best is skipped, with both figures."""
    layouts = [{"nodes": [1, 2, 4, 8, 16], "global_batch": 64, "sequence_length": 128}]
    study = study_in(tmp_path, layouts=layouts, search={"best": best})
    decisions = Decisions(study.sweep, study.layouts, {})
    slugs = list(study.layouts)
    truth = {slug: 64 / layout.nodes + 2 * (layout.nodes > 1) for slug, layout in study.layouts.items()}
    ran = []
    while waiting := [slug for slug in slugs if slug not in ran and decisions.not_run(slug) is None]:
        slug = min(waiting, key=decisions.rank)
        ran.append(slug)
        decisions.ended(slug, Ran("ok", truth[slug], 0.1))
    worth = {slug: truth[slug] * (study.layouts[slug].nodes if best == "cheapest" else 1) for slug in slugs}
    assert min(worth, key=worth.__getitem__) in ran
    assert len(ran) < len(slugs)
    skipped = decisions.not_run(next(slug for slug in slugs if slug not in ran))
    assert skipped is not None and skipped.outcome == "skipped" and "no better than" in skipped.reason


def test_a_search_breaks_ties_in_the_order_of_the_config(tmp_path: Path) -> None:
    """Before any run tells, layouts of equal promise run in the order of the config, whoever hands them over first."""
    study = study_in(tmp_path, layouts=[{"nodes": 1, "micro_batch": [4, 1, 2], **AXES}], search={"best": "cheapest"})
    decisions = Decisions(study.sweep, study.layouts, {})
    assert len({decisions.rank(slug)[0] for slug in study.layouts}) == 1
    assert sorted(reversed(list(study.layouts)), key=decisions.rank) == list(study.layouts)
