"""The queue submits each layout exactly once, whatever moment the launcher before it died at."""

import json
from pathlib import Path
from typing import Any

import pytest
from sweeps import drained, runner_of, starts, study_in

from nodesweep.common.errors import NodesweepError
from nodesweep.launch import journal
from nodesweep.launch.history import decisions_of
from nodesweep.launch.journal_events import Intent, JournalEvent, Submitted
from nodesweep.launch.reruns import request_rerun
from nodesweep.launch.runner import Finished, Policy, Runner
from nodesweep.schedulers.base import Job
from nodesweep.schedulers.job_script import key_of
from nodesweep.schedulers.local import Local
from nodesweep.sweep.study import Study


def run_all(study: Study, lines: list[str] | None = None, **options: Any) -> dict[str, Finished]:
    """What a new launcher makes of all layouts that need a run."""
    runner = runner_of(study, lines, **options)
    todo = [slug for slug in study.layouts if not study.record(slug).exists()]
    runner.add(todo)
    return {done.slug: done for done in drained(runner, len(todo))}


def test_all_layouts_run_once_in_the_order_of_the_config(tmp_path: Path) -> None:
    """Handed over in reverse, layouts start in the order of the config, one at a time, and get their job.json."""
    study, lines = study_in(tmp_path, layouts=[{"nodes": [2, 1, 4], "global_batch": 16, "sequence_length": 8}]), []
    runner = runner_of(study, lines)
    runner.add(list(study.layouts)[::-1])
    drained(runner, 3)
    assert [line.partition(":")[0] for line in lines if ": started" in line] == list(study.layouts)
    assert ["started" in line for line in lines] == [True, False] * 3
    assert set(starts(tmp_path).values()) == {1}
    assert lines[-1].startswith("[3/3] n4-") and lines[-1].endswith(": ok")
    record = json.loads(study.record(next(iter(study.layouts))).read_text())
    assert (record["outcome"], record["attempt"], record["exit_code"]) == ("ok", 1, 0)


@pytest.mark.parametrize(
    ("changes", "reads_first"),
    [({}, False), ({"ending": "crash"}, True), ({"budget_node_hours": 100}, True)],
    ids=["nothing hangs on it", "crashed", "within a budget"],
)
def test_the_next_layout_starts_while_the_log_of_the_last_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, changes: dict[str, Any], reads_first: bool
) -> None:
    """Only where the outcome does not matter for it: after a run that succeeded, and without a budget."""
    study, written, append = study_in(tmp_path, **changes), [], journal.append

    def noted(path: Path, event: JournalEvent) -> None:
        written.append((path.parent.name, event.kind))
        append(path, event)

    monkeypatch.setattr(journal, "append", noted)
    runner = Runner(study, Local(), Policy(), [].append, decisions_of(study))
    runner.add(list(study.layouts))
    drained(runner, 2)
    first, second = study.layouts
    assert (written.index((first, "ended")) < written.index((second, "intent"))) is reads_first


def test_a_layout_runs_its_own_iterations(tmp_path: Path) -> None:
    """Where `when` sets them, the script asks for them and the outcome counts them."""
    study = study_in(tmp_path, when=[{"if": "nodes == 2", "iterations": {"total": 1, "warmup": 0}}])
    done = run_all(study)
    assert [done[slug].record.evidence.partition(": ")[2] for slug in study.layouts] == [
        "iteration 3 of 3",
        "iteration 1 of 1",
    ]


def test_two_at_once(tmp_path: Path) -> None:
    """With room for two, the second starts before the first has ended."""
    study, lines = study_in(tmp_path, seconds=0.3), []
    run_all(study, lines, jobs_at_once=2)
    assert ["started" in line for line in lines] == [True, True, False, False]


@pytest.mark.parametrize("ended_meanwhile", [False, True], ids=["still running", "ended meanwhile"])
@pytest.mark.parametrize("known", ["intent", "submitted"])
def test_a_launcher_killed_after_submitting_costs_no_second_start(
    tmp_path: Path, known: str, ended_meanwhile: bool
) -> None:
    """Whether the id was written or only the intent, and whether the job still runs: it is taken over."""
    study = study_in(tmp_path, seconds=0.4)
    slug = next(iter(study.layouts))
    key = f"{key_of(study.folder, slug)}-a1"
    journal.append(study.journal(slug), Intent(key=key, attempt=1, script_sha256="0"))
    scheduler = Local()
    job = Job(key, scheduler.submit(study.script(slug), key), study.directory(slug))
    if known == "submitted":
        journal.append(study.journal(slug), Submitted(key=key, job_id=job.id))
    while ended_meanwhile and scheduler.poll([job])[key].end is None:
        scheduler.wait([job], 1)
    done = run_all(study)
    assert {one.record.outcome for one in done.values()} == {"ok"}
    assert set(starts(tmp_path).values()) == {1}


def test_a_launcher_killed_before_submitting_costs_no_run(tmp_path: Path) -> None:
    """An intent without any job is void; the layout is started once, under a new key."""
    study = study_in(tmp_path)
    slug = next(iter(study.layouts))
    journal.append(study.journal(slug), Intent(key="k-a1", attempt=1, script_sha256="0"))
    done = run_all(study)
    assert (done[slug].record.attempt, done[slug].record.key.split("-")[-2]) == (2, "a2")
    assert starts(tmp_path)[slug] == 1


def test_a_launcher_killed_after_the_end_was_written_only_lacks_the_record(tmp_path: Path) -> None:
    """job.json is written again from the journal, without a run; so is one that was deleted."""
    study = study_in(tmp_path)
    run_all(study)
    text = {slug: study.record(slug).read_text() for slug in study.layouts}
    for slug in study.layouts:
        study.record(slug).unlink()
    run_all(study)
    assert {slug: study.record(slug).read_text() for slug in study.layouts} == text
    assert set(starts(tmp_path).values()) == {1}


def test_out_of_memory_is_a_result_a_crash_is_not(tmp_path: Path) -> None:
    """OOM gets its job.json and never runs again by itself; a crash runs again with the next launcher."""
    study = study_in(tmp_path, ending="{{ 'oom' if nodes == 1 else 'crash' }}")
    first, second = study.layouts
    done = run_all(study)
    assert (done[first].record.outcome, done[first].record.where, done[first].final) == (
        "oom",
        "after iteration 1",
        True,
    )
    assert (done[second].record.outcome, done[second].final) == ("crash", False)
    assert not study.record(second).exists()
    run_all(study)
    assert starts(tmp_path) == {first: 1, second: 2}


def test_rerun_by_hand(tmp_path: Path) -> None:
    """A finished layout runs again when asked for; a running one cannot be asked for."""
    study = study_in(tmp_path)
    run_all(study)
    first, second = study.layouts
    request_rerun(study, first)
    done = run_all(study)
    assert starts(tmp_path) == {first: 2, second: 1}
    assert done[first].record.attempt == 2
    journal.append(study.journal(second), Intent(key="k-a2", attempt=2, script_sha256="0"))
    with pytest.raises(NodesweepError, match="has not been seen to end"):
        request_rerun(study, second)
    with pytest.raises(NodesweepError, match="has no layout 'n9'"):
        request_rerun(study, "n9")


def test_a_running_layout_that_left_the_sweep_keeps_its_place(tmp_path: Path) -> None:
    """Its job is waited for, so that two never overlap, and its end is recorded."""
    study = study_in(tmp_path, seconds=0.8)
    first, second = study.layouts
    key = f"{key_of(study.folder, first)}-a1"
    journal.append(study.journal(first), Intent(key=key, attempt=1, script_sha256="0"))
    journal.append(study.journal(first), Submitted(key=key, job_id=Local().submit(study.script(first), key)))
    lines: list[str] = []
    smaller = study_in(tmp_path, seconds=0.8, layouts=[{"nodes": 2, "global_batch": 16, "sequence_length": 128}])
    run_all(smaller, lines)
    assert [first in line for line in lines] == [True, True, False, False]
    state = journal.state(study.journal(first))
    assert (state.status, state.record and state.record.outcome) == ("ended", "ok")
    assert starts(tmp_path) == {first: 1, second: 1}


def test_a_script_that_cannot_be_started_is_launch_failed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without bash nothing runs: the layout fails with the reason and is tried again by the next launcher."""
    study = study_in(tmp_path)
    monkeypatch.setenv("PATH", str(tmp_path))
    done = run_all(study)
    assert {(one.record.outcome, one.final) for one in done.values()} == {("launch_failed", False)}
    monkeypatch.undo()
    assert {one.record.outcome for one in run_all(study).values()} == {"ok"}


def test_a_job_of_another_sweep_is_not_taken_over(tmp_path: Path) -> None:
    """Keys of two results folders differ, so one launcher never adopts the other's jobs."""
    study = study_in(tmp_path)
    slug = next(iter(study.layouts))
    other = Job("other-a1", "", tmp_path)
    Local().submit(study.script(slug), other.key)
    assert Local().poll([Job(f"{key_of(study.folder, slug)}-a1", "", study.directory(slug))]) == {}


def test_a_journal_names_its_folder_without_links(tmp_path: Path) -> None:
    """Whoever continues may not follow a link in the home of the one who began: the results are no copy for that."""
    (tmp_path / "shared").mkdir()
    (tmp_path / "results").symlink_to(tmp_path / "shared")
    study = study_in(tmp_path)
    runner = runner_of(study)
    runner.add(list(study.layouts))
    drained(runner, 2)
    for slug in study.layouts:
        assert journal.state(study.journal(slug)).folder == str(tmp_path / "shared" / "toy" / "layouts" / slug)
