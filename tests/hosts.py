"""Launchers on several hosts: processes that have a host name of their own, and a file system whose flock is local."""

import os
import subprocess
import sys
from pathlib import Path

from paths import REPOSITORY

FAKE = REPOSITORY / "tests" / "fakes" / "local_flock"
_PROGRAM = """
import sys
from pathlib import Path
from nodesweep.common.errors import NodesweepError
from nodesweep.common.lock import SweepLock
print("ready", flush=True)
for line in sys.stdin:
    order, _, folder = line.strip().partition(" ")
    told = []
    try:
        if order == "take":
            lock = SweepLock(Path(folder), tell=told.append)
        elif order == "check":
            lock.check()
        else:
            lock.release()
        print(order, "done", *told, flush=True)
    except NodesweepError as error:
        print("refused", *told, error, flush=True)
"""


def on_host(name: str, command: list[str]) -> list[str]:
    """A command as it runs on a host of this name; only root can have one."""
    return ["unshare", "--uts", "sh", "-c", 'hostname "$0" && exec "$@"', name, *command]


def environment(local_flock: bool = True, given_up_seconds: float = 20) -> dict[str, str]:
    """The environment of a launcher; `local_flock`: on a file system that grants flock to everybody."""
    folders = [*([str(FAKE)] if local_flock else []), str(REPOSITORY / "workflow")]
    given_up = {"NODESWEEP_TEST_GIVEN_UP_SECONDS": str(given_up_seconds)}
    return {**os.environ, **given_up, "PYTHONPATH": os.pathsep.join(folders)}


class LockingProcess:
    """A process on a host that takes the locks it is told to; it ends with the test."""

    def __init__(self, host: str = "", local_flock: bool = True, given_up_seconds: float = 20):
        command = [sys.executable, "-c", _PROGRAM]
        self.process = subprocess.Popen(
            on_host(host, command) if host else command,
            env=environment(local_flock, given_up_seconds),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def __enter__(self) -> "LockingProcess":
        assert self.answer() == "ready"
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.communicate()

    def tell(self, order: str) -> None:
        """Give an order: `take FOLDER`, `check` or `release`."""
        assert self.process.stdin
        self.process.stdin.write(f"{order}\n")
        self.process.stdin.flush()

    def answer(self) -> str:
        """What became of the last order."""
        assert self.process.stdout
        return self.process.stdout.readline().strip()

    def ask(self, order: str) -> str:
        """What becomes of an order."""
        self.tell(order)
        return self.answer()


def age(folder: Path, seconds: float) -> None:
    """Have all claims of a sweep's folder renewed so long ago."""
    for path in folder.glob(".lock*"):
        then = path.stat().st_mtime - seconds
        os.utime(path, (then, then))
