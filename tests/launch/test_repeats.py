"""Layouts that run several times: in which order, exactly once each, and which runs are needless."""

import signal
from pathlib import Path
from typing import Any

import pytest
from paths import REPOSITORY
from shared_folder import wait_for
from sweeps import drained, held, launched, run_nodesweep, run_snakemake, runner_of, starts, study_in, toy, write

from nodesweep.cli.main import main
from nodesweep.common.errors import NodesweepError
from nodesweep.config.repeats import Repeats
from nodesweep.launch.decisions import Decisions, Ran
from nodesweep.launch.history import decisions_of
from nodesweep.launch.plan import planned
from nodesweep.launch.records import final_outcomes
from nodesweep.launch.repeats import RepeatsProgress, round_places
from nodesweep.launch.reruns import withdraw_records
from nodesweep.launch.runner import Finished, Policy, Runner
from nodesweep.schedulers.local import Local
from nodesweep.sweep.study import Study

UNEVEN = REPOSITORY / "tests" / "programs" / "uneven_trainer.sh"
AXES = {"global_batch": 16, "sequence_length": 128}
OK = Ran("ok", 0.5, 0.1)


def uneven(*ms: int | str, hold: str = "", **changes: Any) -> dict[str, Any]:
    """A toy sweep whose runs of a layout take so many milliseconds an iteration, one after the other."""
    sweep = toy(hold=hold, **changes)
    sweep["workload"]["command"] = ["bash", str(UNEVEN), *map(str, ms)]
    sweep["iterations"] = {"total": 5, "warmup": 1}
    return sweep


def uneven_study(folder: Path, *ms: int | str, **changes: Any) -> Study:
    """The same with its scripts."""
    sweep = uneven(*ms, **{"layouts": [{"nodes": 1, **AXES}], **changes})
    return study_in(folder, **sweep)


def run_all(study: Study, lines: list[str] | None = None, **policy: Any) -> dict[str, Finished]:
    """What a new launcher, knowing what is on disk, makes of all runs that need a job."""
    tell = (lines if lines is not None else []).append
    runner = Runner(study, Local(), Policy(**policy), tell, decisions_of(study))
    runner.recover()
    todo = [slug for slug in study.runs if not study.record(slug).exists()]
    runner.add(todo)
    return {done.slug: done for done in drained(runner, len(todo))}


def test_rounds(tmp_path: Path) -> None:
    """All first runs come first, then all second ones; each later round is in an order of its own by the seed."""
    layouts = [{"nodes": 1, "micro_batch": [1, 2, 4, 8, 16], **AXES}]
    study = study_in(tmp_path, layouts=layouts, repeats={"at_most": 3, "seed": 7})
    order = sorted(study.runs, key=Decisions(study.sweep, study.runs, {}).rank)
    rounds = [[study.runs[slug] for slug in order[first : first + 5]] for first in (0, 5, 10)]
    assert [{run.repeat for run in some} for some in rounds] == [{1}, {2}, {3}]
    rows = [[run.row for run in some] for some in rounds]
    assert len(set(map(tuple, rows))) == 3
    assert round_places(study.runs, 7) == round_places(study.runs, 7) != round_places(study.runs, 8)
    fewer = study_in(tmp_path, layouts=[{**layouts[0], "micro_batch": [1, 2, 4, 8]}], repeats=3)
    kept = [row for row in rows[1] if row in fewer.layouts]
    assert [slug[:-3] for slug in sorted(round_places(fewer.runs, 7), key=round_places(fewer.runs, 7).get)][:4] == kept


def test_runs_that_agree_are_enough(tmp_path: Path) -> None:
    """Of six runs at most, three are made: the third brings the interval to 1 % of the median; the others say why."""
    study = uneven_study(
        tmp_path, 500, 600, 550, 551, 552, 553, repeats={"at_least": 3, "at_most": 6, "until_percent": 9.2}
    )
    done = run_all(study, jobs_at_once=4)
    assert [one.record.outcome for one in (done[slug] for slug in study.runs)] == ["ok"] * 3 + ["skipped"] * 3
    reason = done[list(study.runs)[3]].record.evidence
    assert reason.startswith(
        "until_percent 9.2 is reached: 3 runs, 0.5003 to 0.6003 s an iteration, 9.1 % to either side"
    )
    assert len(starts(tmp_path)) == 3
    withdraw_records(study)
    assert all(path.exists() for path in study.records)
    (row,) = planned(study, decisions_of(study), final_outcomes(study))
    assert (row.ended, row.not_run) == ("ok", None)
    stricter = study_in(
        tmp_path,
        **uneven(
            500,
            600,
            550,
            551,
            552,
            553,
            layouts=[{"nodes": 1, **AXES}],
            repeats={"at_least": 3, "at_most": 4, "until_percent": 1},
        ),
    )
    withdraw_records(stricter)
    (row,) = planned(stricter, decisions_of(stricter), final_outcomes(stricter))
    assert row.jobs == (0, 1)
    assert list(run_all(stricter)) == [list(study.runs)[3]]
    assert starts(tmp_path) == dict.fromkeys(list(study.runs)[:4], 1)


def test_a_failure_is_not_repeated(tmp_path: Path) -> None:
    """What fails by itself is not run again for its repeats; once its first run has gone well, they come."""
    study = uneven_study(tmp_path, "crash", 500, 500, repeats=3)
    done = run_all(study)
    first, second, _ = study.runs
    assert done[second].record.evidence == f"{first} ended crash; a run that fails is not repeated"
    assert starts(tmp_path) == {first: 1}
    mended = study_in(tmp_path, **uneven(500, 500, 500, layouts=[{"nodes": 1, **AXES}], repeats=3))
    withdraw_records(mended)
    assert [path.exists() for path in mended.records] == [False, False, False]
    assert [one.record.outcome for one in run_all(mended).values()] == ["ok", "ok", "ok"]
    assert starts(tmp_path) == {first: 2, second: 1, f"{first}-r3": 1}


def test_what_failed_without_a_launcher_is_made_again_with_its_repeats(tmp_path: Path) -> None:
    """A first run that crashed while no launcher was there runs again, and its old end keeps no second run back."""
    hold = held(tmp_path)
    ending = "{{ 'ok' if '-r2' in slug else 'once' }}"
    study = study_in(tmp_path, ending=ending, hold=str(hold), layouts=[{"nodes": 1, **AXES}], repeats=2)
    first, second = study.runs
    launcher = runner_of(study)
    launcher.add([first])
    launcher.step()
    hold.unlink()
    wait_for(lambda: list(study.directory(first).glob("*.exit")))
    done = run_all(study)
    assert [done[slug].record.outcome for slug in (first, second)] == ["ok", "ok"]
    assert starts(tmp_path) == {first: 2, second: 1}


def test_more_repeats_keep_what_ran(tmp_path: Path) -> None:
    """A sweep whose repeats are raised makes the new runs alone."""
    run_all(uneven_study(tmp_path, 500, 500))
    study = study_in(tmp_path, **uneven(500, 510, layouts=[{"nodes": 1, **AXES}], repeats=2))
    withdraw_records(study)
    first, second = study.runs
    assert list(run_all(study)) == [second]
    assert starts(tmp_path) == {first: 1, second: 1}


def test_asked_for_by_name(tmp_path: Path) -> None:
    """A run is asked for again by its name; a layout's own name means all of its runs."""
    study = uneven_study(tmp_path, 500, 500, repeats=2)
    run_all(study)
    first, second = study.runs
    command = ("--configfile", str(tmp_path / "sweep.yaml"))
    assert second in run_nodesweep(tmp_path, "rerun", *command, second).stdout
    assert [path.exists() for path in study.records] == [True, False]
    run_all(study)
    assert starts(tmp_path) == {first: 1, second: 2}
    with pytest.raises(NodesweepError, match=f"{first} has no run 3: `repeats` gives it 2"):
        study.runs_named(f"{first}-r3")
    told = run_nodesweep(tmp_path, "rerun", *command, first).stdout
    assert [line.partition(":")[0] for line in told.splitlines()] == [first, second]


def test_two_runs_of_a_layout_beside_each_other(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """`diff` shows what two runs ran with, by their names; a row of several runs stands for the one in the middle."""
    study = uneven_study(tmp_path, 490, 500, 520, repeats=3)
    run_all(study)
    monkeypatch.chdir(tmp_path)
    for slug, run in study.runs.items():
        (log,) = study.directory(slug).glob("*.log")
        log.with_suffix(".provenance").write_text(f"host\tname\tof {run.repeat}\nsoftware\ttorch\t2.13\n")
    main(["measure", "--configfile", "sweep.yaml"])
    first, second, third = study.runs

    def said(*words: str) -> str:
        capsys.readouterr()
        main(["diff", *words])
        return "".join(capsys.readouterr())

    told = said(first, third)
    assert told.startswith(f"# What differs between results/toy:{second} and results/toy:{third}")
    assert "| name | of 2     | of 3    |" in told and "Equal: the script, 1 of software." in told
    assert "| name | of 2     | of 1    |" in said(f"toy:{second}", f"{first}-r1")
    assert f"results/toy:{first} has no run 4" in said(first, f"{first}-r4")


def test_a_budget_counts_every_run(tmp_path: Path) -> None:
    """What repeats cost is spent as well: with room for three jobs of two layouts, the fourth is left out."""
    sweep = uneven(500, 500, layouts=[{"nodes": [1, 2], **AXES}], repeats=2, budget_node_hours=0.14)
    study = study_in(tmp_path, **sweep)
    decisions = Decisions(study.sweep, study.runs, {})
    for slug in list(study.layouts):
        decisions.ended(slug, Ran("ok", 0.5, 0.05))
    one, two = (f"{slug}-r2" for slug in study.layouts)
    assert decisions.not_run(one) is None
    found = decisions.not_run(two)
    assert found is not None and found.reason.startswith(
        "may use 0.0667 node-hours, and of budget_node_hours 0.14 0.04"
    )


def test_a_search_repeats_what_may_be_the_best(tmp_path: Path) -> None:
    """The best measured layout is run again, and one that is far from it is not."""
    layouts = [{"nodes": [1, 2, 4, 8], **AXES}]
    study = study_in(tmp_path, layouts=layouts, repeats=2, search={"best": "fastest"})
    decisions, times = Decisions(study.sweep, study.runs, {}), {1: 8.0, 2: 4.1, 4: 2.1, 8: 1.1}
    for slug, layout in study.layouts.items():
        decisions.ended(slug, Ran("ok", times[layout.nodes], 0.1, 0.001))
    found = {study.runs[slug].nodes: decisions.not_run(slug) for slug in study.runs if study.runs[slug].repeat == 2}
    assert found[8] is None
    assert found[1] is not None and found[1].outcome == "skipped" and "no better than" in found[1].reason


def test_what_waits_may_be_needless() -> None:
    """Beyond the least number a run waits for those before it; a run that is to be made again tells nothing."""
    study = Study.load([REPOSITORY / "config" / "quickstart.yaml"], {"repeats": {"at_most": 4, "until_percent": 1}})
    progress = RepeatsProgress(study.sweep.repeats, study.runs)
    first, second, third, fourth = (run.slug for run in study.runs_of(next(iter(study.layouts))))
    assert [progress.waits(slug) for slug in (first, second)] == ["", ""]
    assert progress.waits(third) == f"waits for the end of {first}"
    progress.ended(first, "ok", 1.0)
    progress.ended(second, "ok", 1.1)
    assert [progress.waits(third), progress.needless(third)] == ["", ""]
    assert progress.waits(fourth) == f"waits for the end of {third}"
    progress.ended(second, "ok", 1.001)
    assert progress.needless(third).startswith("until_percent 1 is reached")
    progress.ended(first, "oom", None)
    assert progress.needless(fourth) == f"{first} ended oom; a run that fails is not repeated"
    progress.reopened(first)
    assert progress.needless(fourth) == ""
    assert Repeats(at_least=2, at_most=4, until_percent=1.0) == study.sweep.repeats


def test_launchers_killed_twice(tmp_path: Path) -> None:
    """Killed in the first round and in the second, the same command goes on: each of eight runs is started once."""
    hold = held(tmp_path)
    block = {"nodes": [1, 2], **AXES, "parameters": {"backend": ["a", "b"]}}
    config = write(tmp_path / "sweep.yaml", uneven(500, 520, hold=str(hold), layouts=[block], repeats=2))
    wanted = set(Study.load([config]).runs)
    words = ("--nodesweep-jobs-at-once", "3")
    for count in (3, 6):
        launcher = launched(tmp_path, config, *words)
        wait_for(lambda count=count: len(starts(tmp_path)) >= count)
        launcher.send_signal(signal.SIGKILL)
        launcher.communicate()
        hold.unlink()
        wait_for(lambda: not _running(tmp_path))
        hold.touch() if count == 3 else None
    last = run_snakemake(tmp_path, config, *words)
    assert last.returncode == 0, last.stdout
    assert starts(tmp_path) == dict.fromkeys(wanted, 1)
    table = (tmp_path / "results" / "toy" / "tables.md").read_text()
    assert table.count("runs disagree: 0.5003 to 0.5203 s") == 4
    status = run_nodesweep(tmp_path, "status", "--configfile", str(config)).stdout
    assert "toy: 8 runs of 4 layouts" in status and "8 ok" in status


def _running(folder: Path) -> bool:
    """Whether a run has started and not left its exit marker."""
    folders = list(folder.glob("results/*/layouts/*"))
    return any(len(list(one.glob("*.started"))) > len(list(one.glob("*.exit"))) for one in folders)
