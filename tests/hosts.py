"""Launchers on several hosts: processes that have a host name of their own, and a file system whose flock is local."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import pytest
from paths import REPOSITORY
from sweeps import held, snakemake_command, starts, toy, write

from nodesweep.common.lock import read_holder

needs_hosts = pytest.mark.usefixtures("several_hosts")

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
        elif order == "raise":
            sys.exit("an error")
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
        """Give an order: `take FOLDER`, `check`, `raise` or `release`."""
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


def started_together(folder: Path, rounds: int) -> list[str]:
    """What went wrong in so many rounds in which three launchers on two hosts start at one moment.

    In turns nobody was there before, one that let go, and one that died on a third host.
    """
    wrong = []
    with LockingProcess("login1") as one, LockingProcess("login1") as two, LockingProcess("login2") as three:
        racers = [one, two, three]
        for number in range(rounds):
            sweep = folder / f"{number}"
            if number % 3:
                with LockingProcess("login3") as before:
                    before.ask(f"take {sweep}")
                    if number % 3 == 1:
                        before.ask("release")
                age(sweep, 3600)
            for racer in racers:
                racer.tell(f"take {sweep}")
            answers = [racer.answer() for racer in racers]
            holders = [racer for racer, answer in zip(racers, answers, strict=True) if answer.startswith("take done")]
            if len(holders) != 1 or [racer.ask("check") for racer in holders] != ["check done"]:
                wrong.append(f"round {number}: {answers}")
            for racer in holders:
                racer.ask("release")
    return wrong


def launched_on(host: str, folder: Path, config: Path, given_up_seconds: float = 20) -> "subprocess.Popen[str]":
    """A launcher on a host whose file system keeps flock local."""
    return subprocess.Popen(
        on_host(host, snakemake_command(config, "--until", "run")),
        cwd=folder,
        env=environment(given_up_seconds=given_up_seconds),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def stopped_and_taken_over(folder: Path) -> list[str]:
    """What went wrong with three launchers of one sweep on three hosts: starts, words, exit codes.

    Two start at one moment: one is refused. The other is stopped in mid-run, the third takes over and finishes, and the
    stopped one, continued, stands aside.
    """
    hold = held(folder)
    config = write(folder / "sweep.yaml", toy(hold=str(hold)))
    with ExitStack() as stack:

        def launched(host: str, given_up_seconds: float = 20) -> "subprocess.Popen[str]":
            launcher = launched_on(host, folder, config, given_up_seconds)
            stack.callback(launcher.kill)
            return launcher

        both = [launched("login1"), launched("login2")]
        _wait_for(lambda: any(one.poll() is not None for one in both) and starts(folder))
        refused, stopped = sorted(both, key=lambda one: one.poll() is None)
        said = [refused.communicate(timeout=60)[0]]
        stopped.send_signal(signal.SIGSTOP)
        third = launched("login3", 2)
        _wait_for(lambda: (holder := read_holder(folder / "results" / "toy")) and holder.host == "login3")
        hold.unlink()
        said.append(third.communicate(timeout=120)[0])
        stopped.send_signal(signal.SIGCONT)
        said.append(stopped.communicate(timeout=60)[0])
    wrong = [f"{slug}: {count} starts" for slug, count in starts(folder).items() if count != 1]
    wanted = ("do not reach from one host", "2 of 2 layouts done: 2 ok", "stands aside")
    for words, text in zip(wanted, said, strict=True):
        if words not in text or "Traceback" in text:
            wrong.append(f"not said: {words}, but: {text}")
    if (codes := [refused.returncode, third.returncode, stopped.returncode]) != [1, 0, 1]:
        wrong.append(f"exit codes {codes}")
    return wrong


def _wait_for(condition: Callable[[], object], seconds: float = 120) -> None:
    limit = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > limit:
            raise TimeoutError("did not come about")
        time.sleep(0.05)
