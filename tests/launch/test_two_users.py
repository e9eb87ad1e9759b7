"""Two real accounts work on one folder of their group: what one began the other ends, or is told why it cannot."""

import json
import os
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from needs import need_root
from paths import REPOSITORY
from shared_folder import folder_of, launched_by, quickly, wait_for
from slurm.accounts import Account, made
from sweeps import held, snakemake_command, starts, toy, write


@pytest.fixture
def alice_and_bob() -> Iterator[tuple[Account, Account]]:
    """Two accounts of one group."""
    need_root("make accounts")
    with made("alice", "bob") as (alice, bob):
        yield alice, bob


@pytest.fixture
def shared(alice_and_bob: tuple[Account, Account]) -> Iterator[Path]:
    """A folder of their group, as a project's folder is: what is made in it is the group's."""
    with folder_of(alice_and_bob[0]) as folder:
        yield folder


def test_one_goes_on_where_the_other_was_killed(alice_and_bob: tuple[Account, Account], shared: Path) -> None:
    """Alice starts a sweep, Bob takes her job over and starts the next, Alice ends it: one start each, and tables."""
    alice, bob = alice_and_bob
    first, second = held(shared), shared / "hold2"
    second.touch()
    config = write(shared / "sweep.yaml", toy(hold=f"{shared}/hold{{{{ '' if nodes == 1 else 2 }}}}"))
    launcher = launched_by(alice, shared, quickly(config))
    wait_for(lambda: len(starts(shared)) == 1)
    launcher.kill()
    launcher.communicate()
    launcher = launched_by(bob, shared, quickly(config))
    wait_for(lambda: any("adopted" in path.read_text() for path in shared.glob("results/toy/layouts/*/journal.jsonl")))
    first.unlink()
    wait_for(lambda: len(starts(shared)) == 2)
    launcher.kill()
    launcher.communicate()
    launcher = launched_by(alice, shared, snakemake_command(config))
    second.unlink()
    shown, _ = launcher.communicate(timeout=120)
    assert launcher.returncode == 0, shown
    assert list(starts(shared).values()) == [1, 1]
    assert (shared / "results" / "toy" / "tables.md").exists()
    own = [path for path in shared.glob("results/**/*") if not path.stat().st_mode & stat.S_IWGRP]
    assert own == [], "files that the group cannot write"


def test_what_the_group_may_not_write(alice_and_bob: tuple[Account, Account], shared: Path) -> None:
    """After Alice worked with umask 022, Bob is told in one message whose files stand in his way, and changes none."""
    alice, bob = alice_and_bob
    config = write(shared / "sweep.yaml", toy())
    assert launched_by(alice, shared, quickly(config), umask="022").wait(120) == 0
    before = {path: path.stat().st_mtime_ns for path in shared.glob("results/**/*")}
    launcher = launched_by(bob, shared, snakemake_command(config))
    shown, _ = launcher.communicate(timeout=120)
    assert launcher.returncode == 1 and "Traceback" not in shown
    assert f"toy/.lock belongs to {alice.name}: to share a folder, {alice.name} runs `chmod -R g+w` on" in shown
    assert {path: path.stat().st_mtime_ns for path in shared.glob("results/**/*")} == before
    subprocess.run(["chmod", "-R", "g+w", str(shared / "results")], check=True)
    launcher = launched_by(bob, shared, quickly(config))
    shown, _ = launcher.communicate(timeout=120)
    assert launcher.returncode == 0, shown
    assert list(starts(shared).values()) == [1, 1]


POLL = """
import sys
from pathlib import Path
from nodesweep.schedulers.base import Job
from nodesweep.schedulers.local import Local
sighting = Local().poll([Job("toy-a1", "", Path(sys.argv[1]))]).get("toy-a1")
print(sighting.end.exit_code if sighting and sighting.end else sighting)
"""


def test_a_job_whose_id_nobody_noted(alice_and_bob: tuple[Account, Account], shared: Path) -> None:
    """Bob cannot see what a process of Alice's was started for: before its exit marker he knows nothing of it."""
    alice, bob = alice_and_bob
    shared.joinpath("job.sh").write_text("umask 002; : >toy-a1.started; read -r; echo >>done")
    words = ["env", "NODESWEEP_KEY=toy-a1", "bash", "job.sh"]
    job = subprocess.Popen(alice.command(words), cwd=shared, stdin=subprocess.PIPE)
    wait_for((shared / "toy-a1.started").exists)
    names = {**os.environ, "PYTHONPATH": str(REPOSITORY / "workflow")}
    poll = [sys.executable, "-c", POLL, str(shared)]
    seen = [subprocess.check_output(who.command(poll), env=names, text=True).strip() for who in (bob, alice)]
    assert seen[0] == "None" and "state='running'" in seen[1]
    job.communicate(b"\n")
    marker = {"exit_code": 3, "started": 1, "launched": 1, "returned": 1, "ended": 2, "cause": None}
    (shared / "toy-a1.exit").write_text(json.dumps(marker) + "\n")
    assert subprocess.check_output(bob.command(poll), env=names, text=True).strip() == "3"
