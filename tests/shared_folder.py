"""A folder of a group of real accounts, and launchers of several of them in it."""

import contextlib
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from paths import REPOSITORY
from slurm.accounts import Account
from sweeps import starts, toy, write


@contextlib.contextmanager
def folder_of(account: Account) -> Iterator[Path]:
    """A folder of an account's group, as a project has it: what is made in it is the group's."""
    folder = Path(tempfile.mkdtemp(prefix="shared-", dir="/tmp"))
    os.chown(folder, -1, account.ids[1])
    folder.chmod(0o2775)
    try:
        yield folder
    finally:
        shutil.rmtree(folder)


def launched_by(account: Account, folder: Path, command: list[str], umask: str = "002") -> "subprocess.Popen[str]":
    """A command of an account, in a session as a login makes it."""
    home = folder / f"home-{account.name}"
    home.mkdir(exist_ok=True)
    os.chown(home, *account.ids)
    names = {"HOME": str(home), "USER": account.name, "LOGNAME": account.name}
    return subprocess.Popen(
        account.command(["bash", "-c", 'umask "$0"; exec "$@"', umask, *command]),
        cwd=folder,
        env={**os.environ, **names, "PYTHONPATH": str(REPOSITORY / "workflow")},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def quickly(config: Path) -> list[str]:
    """The command of a launcher without Snakemake."""
    return [sys.executable, str(REPOSITORY / "tests" / "slurm" / "quick_launcher.py"), str(config), "{}"]


def wait_for(condition: Callable[[], object], seconds: float = 120) -> None:
    """Wait until something holds."""
    limit = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < limit, "did not come about"
        time.sleep(0.05)


def under_fire(accounts: list[Account], kills: int, seed: int) -> list[str]:
    """What went wrong in a local sweep of twelve layouts, launched in turn by accounts of one group, and killed.

    A launcher that is killed in the moment between a start and its note leaves a job of which another account knows
    nothing: that layout waits for the job's end, or its own user.
    """
    chance = random.Random(seed)
    with folder_of(accounts[0]) as folder:
        layouts = [{"nodes": [1, 2, 3, 4, 6, 8], "micro_batch": [1, 2], "global_batch": 48, "sequence_length": 128}]
        config = write(folder / "sweep.yaml", toy(0.1, layouts=layouts))
        said = ""
        for number in range(kills):
            launcher = launched_by(accounts[number % len(accounts)], folder, quickly(config))
            with contextlib.suppress(subprocess.TimeoutExpired):
                launcher.wait(chance.uniform(0.3, 3))
            launcher.kill()
            said += launcher.communicate()[0]
        for account in accounts:
            launcher = launched_by(account, folder, quickly(config))
            said += launcher.communicate(timeout=240)[0]
        wrong = [f"{slug}: {count} starts" for slug, count in starts(folder).items() if count != 1]
        if len(starts(folder)) != 12 or launcher.returncode or "Traceback" in said:
            wrong.append(f"{len(starts(folder))} layouts have started; exit code {launcher.returncode}; {said[-2000:]}")
    return wrong
