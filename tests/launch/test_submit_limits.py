"""Limits on submissions: only those layouts wait that share one, and none stands in front of others for ever."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sweeps import runner_of, study_in

from nodesweep.common.errors import SchedulerError, Throttled
from nodesweep.launch import backoff, journal
from nodesweep.launch.queue import WaitingLayouts
from nodesweep.launch.submit_limits import SubmitLimits
from nodesweep.schedulers.base import End, Job, Patience, Sighting
from nodesweep.schedulers.batch import Batch
from nodesweep.sweep.study import Study

FULL = Throttled("qsub: Maximum number of jobs already in queue")
EITHER = Throttled("sbatch: Job violates accounting/QOS policy", perhaps_for_ever=True)


class Limited(Batch):
    """A scheduler of the test's making: it raises what `refusals` says of a script, else a job ends at once."""

    poll_at_will = True
    job_ids = r"\d+"
    patience = Patience(polls=2, unclear_seconds=0, silent_seconds=0)

    def __init__(self, refusals: dict[str, SchedulerError]):
        super().__init__()
        self.refusals = refusals
        self.tried: list[str] = []

    def submit(self, script: Path, key: str) -> str:
        """The first refusal whose word stands in the script."""
        self.tried.append(script.parent.name.partition("-")[0])
        for word, refusal in self.refusals.items():
            if word in script.read_text():
                raise refusal
        return "7"

    def poll(self, jobs: list[Job]) -> dict[str, Sighting]:
        """Every job is at its end."""
        return {job.key: Sighting("7", "ended", "DONE", End(0, None, "DONE")) for job in jobs}

    def cancel(self, jobs: list[Job]) -> None:
        """Nothing runs here."""


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """Monotonic time that passes only when told to."""
    now = [1000.0]
    monkeypatch.setattr(backoff.time, "monotonic", lambda: now[0])
    return lambda seconds: now.__setitem__(0, now[0] + seconds)


def slurm_study(folder: Path, nodes: list[int], **options: Any) -> Study:
    """Layouts of one node count each, n1, n2 and so on, with these options of sbatch."""
    machine = {"name": "cluster", "scheduler": "slurm", "options": options, "elapse_limit_seconds": 60}
    return study_in(folder, machine=machine, layouts=[{"nodes": nodes, "global_batch": 840, "sequence_length": 128}])


def test_a_full_queue_keeps_back_only_its_own(tmp_path: Path, clock: Callable[[float], None]) -> None:
    """Where QOS `small` takes no more jobs, its other layouts are not even tried, and those of `large` run."""
    study = slurm_study(tmp_path, [1, 2, 3, 4], qos="{{ 'small' if nodes < 3 else 'large' }}")
    scheduler, lines = Limited({"--qos=small": FULL}), []
    runner = runner_of(study, lines, scheduler, poll_seconds=10, jobs_at_once=10)
    runner.add(list(study.layouts))
    done = [one for _ in range(3) for one in runner.step()]
    assert scheduler.tried == ["n1", "n3", "n4"] and len(done) == 2
    scheduler.refusals.clear()
    clock(11)
    done += [one for _ in range(3) for one in runner.step()]
    assert scheduler.tried[3:] == ["n1", "n2"] and {one.record.attempt for one in done} == {1}
    assert sum("takes no more jobs for now" in line for line in lines) == 1


def test_a_refusal_that_may_be_either_lets_the_others_pass(tmp_path: Path, clock: Callable[[float], None]) -> None:
    """The layout is told of and tried again later; once the sweep has no other job and it is still refused, it ends."""
    study = slurm_study(tmp_path, [4, 1, 2])
    scheduler, lines = Limited({"--nodes=4": EITHER}), []
    runner = runner_of(study, lines, scheduler, poll_seconds=10, jobs_at_once=10)
    runner.add(list(study.layouts))
    done = [one for _ in range(3) for one in runner.step()]
    assert scheduler.tried == ["n4", "n1", "n2"] and len(done) == 2
    assert sum("takes no more jobs for now, or never this one" in line for line in lines) == 1
    for _ in range(1000):
        clock(10)
        done += runner.step()
    assert len(done) == 3 and scheduler.tried.count("n4") == 6
    record = done[-1].record
    assert (record.outcome, done[-1].final, record.attempt) == ("launch_failed", False, 1)
    assert "also while no other job of the sweep was there" in record.evidence
    kinds = [event.kind for event in journal.read(study.journal(done[-1].slug))]
    assert kinds == ["intent", "deferred"] * 5 + ["intent", "refused", "ended"]


def test_many_such_refusals_are_one_limit(tmp_path: Path, clock: Callable[[float], None]) -> None:
    """After three layouts in a row the next ones are not tried: it is a limit on all of them, most likely."""
    study = slurm_study(tmp_path, [1, 2, 3, 4, 5, 6])
    scheduler = Limited({"#SBATCH": EITHER})
    runner = runner_of(study, [], scheduler, poll_seconds=10, jobs_at_once=10)
    runner.add(list(study.layouts))
    runner.step()
    assert scheduler.tried == ["n1", "n2", "n3"]
    scheduler.refusals.clear()
    clock(11)
    runner.step()
    assert sorted(scheduler.tried[3:]) == ["n1", "n2", "n3", "n4", "n5", "n6"]


def test_a_doubtful_layout_waits_like_the_others_in_a_full_queue(
    tmp_path: Path, clock: Callable[[float], None]
) -> None:
    """A step ends also where the scheduler first gives no reason, and then says that the queue is full."""
    study, scheduler = slurm_study(tmp_path, [1]), Limited({"#SBATCH": EITHER})
    runner = runner_of(study, [], scheduler, poll_seconds=10)
    runner.add(list(study.layouts))
    runner.step()
    scheduler.refusals = {"#SBATCH": FULL}
    clock(11)
    runner.step()
    assert scheduler.tried == ["n1", "n1"]
    scheduler.refusals = {}
    clock(21)
    assert [one.record.attempt for _ in range(2) for one in runner.step()] == [1]


def test_a_refused_layout_is_told_with_the_reason(tmp_path: Path) -> None:
    """A limit below what one layout asks for is the end of that layout, and of no other."""
    study = slurm_study(tmp_path, [4, 1])
    scheduler = Limited({"--nodes=4": SchedulerError("refused: sbatch: error: QOSMaxNodePerJobLimit")})
    lines: list[str] = []
    runner = runner_of(study, lines, scheduler, jobs_at_once=10)
    runner.add(list(study.layouts))
    done = {one.slug[:2]: one.record for _ in range(3) for one in runner.step()}
    assert done["n4"].outcome == "launch_failed" and "QOSMaxNodePerJobLimit" in done["n4"].evidence
    assert scheduler.tried == ["n4", "n1"] and "n1" in done
    assert any("QOSMaxNodePerJobLimit" in line for line in lines)


def test_what_the_environment_says_in_vain_is_told_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two layouts, one line for each variable that sbatch would have followed."""
    monkeypatch.setenv("SBATCH_OUTPUT", "elsewhere")
    monkeypatch.setenv("SBATCH_QOS", "high")
    study, lines = slurm_study(tmp_path, [1, 2], qos="low"), list[str]()
    runner = runner_of(study, lines, Limited({}), jobs_at_once=10)
    runner.add(list(study.layouts))
    runner.step()
    assert [line for line in lines if "SBATCH_" in line] == [
        "SBATCH_OUTPUT is set, but is not honoured: what jobs ask for stands in `options` of the machine",
        "SBATCH_QOS is set, but the job scripts name qos themselves: SBATCH_QOS is not honoured",
    ]


def test_lanes_of_a_queue() -> None:
    """The first of all lanes that are open, by rank; a lane that is empty is gone."""
    ranks = {"a1": (3.0,), "b1": (1.0,), "a2": (2.0,), "b2": (4.0,)}
    waiting = WaitingLayouts(lambda slug: ranks[slug], lambda slug: slug[0])
    waiting.add(ranks)
    closed = {"b"}
    assert [waiting.pop(closed.__contains__) for _ in range(3)] == ["a2", "a1", None]
    ranks |= {"b1": (5.0,)}
    waiting.rerank()
    closed.clear()
    assert (len(waiting), [waiting.pop(closed.__contains__) for _ in range(3)]) == (2, ["b2", "b1", None])


def test_limits_of_a_script_that_is_not_there(tmp_path: Path) -> None:
    """Submitting it will tell; until then it shares the limits of all that name none."""
    study = slurm_study(tmp_path, [1])
    (slug,) = study.layouts
    study.script(slug).unlink()
    assert SubmitLimits(study, 1).of(slug) == ""
