"""What sites do to sweeps while launchers are killed."""

import contextlib
import os
import random
import shutil
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from slurm.accounts import Account
from slurm.cluster import Cluster
from slurm.stage import Launcher, Stage


@dataclass
class Sweep:
    """A sweep whose config and results lie in `home`, and what each launcher of it is started with.

    `disturbed`: whether anything but kills has happened to it.
    """

    stage: Stage
    home: Path
    random: random.Random
    events: Counter[str]
    most_launches: int = 4
    disturbed: bool = False
    variables: dict[str, str] = field(default_factory=dict)
    users: list[Account] = field(default_factory=list)

    def launch(self, policy: Mapping[str, Any]) -> Launcher:
        """A launcher of the first user or, where others take turns with it, of any."""
        user = self.random.choice(self.users or [self.stage.site.first])
        return self.stage.launch(self.home / "sweep.yaml", by=user, policy=policy, **self.variables)

    def starts(self, slug: str) -> int:
        """How often a layout was started, by the trainer's own count."""
        path = self.stage.folder / "starts" / slug
        return len(path.read_text().splitlines()) if path.exists() else 0

    def jobs(self, state: str) -> list[tuple[Cluster, str]]:
        """The sweep's jobs in a state, by cluster and id."""
        return [
            (cluster, line.split()[0])
            for cluster in (self.stage.a, self.stage.b)
            for line in cluster.run("squeue", "-ah", "-t", state, "-o", "%i %Z").stdout.splitlines()
            if str(self.home) in line
        ]

    def awaited_jobs(self, state: str) -> list[tuple[Cluster, str]]:
        """The sweep's jobs in a state, as soon as there is one; none where none comes for 3 s."""
        limit = time.monotonic() + 3
        while not (found := self.jobs(state)) and time.monotonic() < limit:
            time.sleep(0.05)
        return found


def renamed(one: Sweep) -> None:
    """Somebody renames a job that runs, and one that waits."""
    for state in ("running", "pending"):
        for cluster, job in one.awaited_jobs(state)[:1]:
            if cluster.run("scontrol", "update", f"jobid={job}", "name=mine").returncode == 0:
                one.events["job renamed"] += 1


def suspended(one: Sweep) -> None:
    """An operator suspends a job for a second."""
    for cluster, job in one.awaited_jobs("running")[:1]:
        if cluster.run("scontrol", "suspend", job).returncode == 0:
            time.sleep(1)
            cluster.run("scontrol", "resume", job)
            one.events["job suspended"] += 1


def drained(one: Sweep) -> None:
    """An operator drains a node for a second, whatever runs there."""
    one.stage.a.set_node("node1", "drain")
    time.sleep(1)
    one.stage.a.set_node("node1", "resume")
    one.events["node drained"] += 1


def copied(one: Sweep) -> None:
    """Somebody copies the folder and launches the copy for some seconds; its jobs are cancelled with it."""
    copy = one.stage.folder / f"copy{one.events['folder copied']}"
    with contextlib.suppress(shutil.Error):  # a file that went meanwhile
        shutil.copytree(one.home, copy, ignore=shutil.ignore_patterns(".snakemake", "launchers.log"))
    subprocess.run(["chown", "-R", f"{one.stage.site.first.name}:", str(copy)], check=True)
    config = copy / "sweep.yaml"
    config.write_text(config.read_text().replace(f"{one.stage.folder}/starts", f"{copy}/starts"))
    launcher = one.stage.launch(config, policy={"jobs_at_once": 2})
    with contextlib.suppress(subprocess.TimeoutExpired):
        launcher.process.wait(6)
    launcher.kill()
    for cluster, job in Sweep(one.stage, copy, one.random, one.events).jobs("all"):
        cluster.run("scancel", job)
    one.events["folder copied"] += 1


def moved(one: Sweep) -> None:
    """Somebody moves the folder once its launcher has been killed."""
    place = one.stage.folder / f"moved{one.events['folder moved']}"
    one.stage.kill_launchers()
    one.home = one.home.rename(place)
    one.most_launches = 8
    one.events["folder moved"] += 1


def second_user(one: Sweep) -> None:
    """From now on any of two users launches."""
    one.users = [one.stage.site.first, one.stage.site.second]
    one.events["second user"] += 1


def late_log(one: Sweep) -> None:
    """The logs of all jobs are out of sight for some seconds."""
    hidden = []
    for log in one.home.glob("results/*/layouts/*/*.log"):
        with contextlib.suppress(FileNotFoundError):
            log.rename(log.with_suffix(".away"))
            hidden.append((os.open(log.parent, os.O_RDONLY), log.name))
    one.events["logs late"] += bool(hidden)

    def back() -> None:
        for folder, name in hidden:  # which may have been moved meanwhile
            os.rename(Path(name).with_suffix(".away"), name, src_dir_fd=folder, dst_dir_fd=folder)
            os.close(folder)

    threading.Timer(3, back).start()


def full_controller(one: Sweep) -> None:
    """The controller takes no more jobs for some seconds."""
    with one.stage.a.reconfigured("MaxJobCount=1"):
        time.sleep(4)
    one.events["controller full"] += 1


def dead_flock(one: Sweep) -> None:
    """From now on each lock is granted to everybody, and a second launcher tries to work beside the first."""
    one.variables["DEAD_FLOCK"] = "yes"
    second = one.launch({"jobs_at_once": 4})
    with contextlib.suppress(subprocess.TimeoutExpired):
        second.process.wait(one.random.uniform(2, 6))
    second.kill()
    one.events["two launchers, flock dead"] += 1


MISCHIEF: tuple[Callable[[Sweep], None], ...] = (
    renamed,
    suspended,
    drained,
    copied,
    moved,
    second_user,
    late_log,
    full_controller,
    dead_flock,
)
PLACES: Mapping[str, dict[str, str]] = {
    "default partition": {},
    "hidden partition": {"partition": "hidden"},
    "second cluster": {"clusters": "b"},
}
"""What all jobs of a sweep ask for."""
