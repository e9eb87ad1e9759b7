"""Which row of Slurm's listings is that of a submission."""

from pathlib import Path

from nodesweep.schedulers.base import Job
from nodesweep.schedulers.slurm.listing import found_among, from_sacct, from_squeue

KEY = "toy-0123456789ab-a1-abcd"


def queued(number: int, state: str, name: str = KEY, folder: str = "/data") -> str:
    """A line of squeue."""
    return f"{number}|{state}|0|N/A|N/A|0||None|{folder}|{name}\n"


def test_of_twins_the_one_that_started_counts(tmp_path: Path) -> None:
    """A wrapper of sbatch has submitted twice: what the twin does that stood back, or waits for ever, says nothing."""
    (tmp_path / f"{KEY}.started").write_text(f'{{"key": "{KEY}", "job_id": "7"}}\n')
    for listed_id in ("7", "8", "99", ""):
        job = Job(KEY, listed_id, tmp_path)
        for twin in ("FAILED", "PENDING", "COMPLETED"):
            for text in (queued(7, "RUNNING") + queued(8, twin), queued(8, twin) + queued(7, "RUNNING")):
                assert found_among([job], from_squeue(text))[KEY].id == "7"
            assert found_among([job], from_squeue(queued(8, twin))) == {}


def test_of_twins_that_have_not_started_one_that_may_counts(tmp_path: Path) -> None:
    """One of two is cancelled while both wait: the other is the submission's job."""
    text = queued(7, "PENDING") + queued(8, "CANCELLED")
    assert found_among([Job(KEY, "8", tmp_path)], from_squeue(text))[KEY].id == "7"


def test_a_folder_with_bars_in_its_path() -> None:
    """Both listings part their cells by bars; a job is found all the same."""
    (one,) = from_squeue(queued(7, "RUNNING", folder="/a|b/c|d"))
    assert (one.id, one.name, one.directory) == ("7", KEY, "/a|b/c|d")
    (one,) = from_sacct(f"7|RUNNING|0:0|1|Unknown||||node1|/a|b/c|d|{KEY}\n")
    assert (one.id, one.name, one.directory) == ("7", KEY, "/a|b/c|d")
