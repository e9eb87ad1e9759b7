"""Where situations of real sites are played: two clusters under one slurmdbd, two accounts, launchers as processes."""

import contextlib
import csv
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
from paths import REPOSITORY
from slurm import accounts
from slurm.accounts import Account
from slurm.cluster import Cluster
from sweeps import hear_signals, snakemake_command, toy, write

from nodesweep.schedulers.slurm import Slurm

QUICK_LAUNCHER = Path(__file__).parent / "quick_launcher.py"

# Jobs in `closed` wait until an operator moves them to another partition; those in `hidden` only root sees unasked. An
# epilog takes as long as the cluster's file `slow` is there.
SETTINGS = (
    "AccountingStorageEnforce=limits,qos",
    "Epilog={folder}/epilog",
    "PartitionName=hidden Nodes=ALL Hidden=YES MaxTime=60 OverSubscribe=YES:2",
    "PartitionName=closed Nodes=ALL State=DOWN MaxTime=60 OverSubscribe=YES:2",
)
EPILOG = "#!/bin/bash\nwhile [[ -e {folder}/slow ]]; do sleep 0.1; done\n"

# What a launcher's Python does before anything else: it makes a scheduler's patience shorter, and the time in which the
# launcher of another host must give a sign of life; or has flock as on a file system where each host has its own.
SITE = """\
import os
if seconds := os.environ.get("SILENT_SECONDS"):
    from dataclasses import fields, replace
    from nodesweep.schedulers.slurm import Slurm
    names = {{field.name for field in fields(Slurm.patience)}} & {{"silent_seconds", "lost_seconds"}}
    Slurm.patience = replace(Slurm.patience, **dict.fromkeys(names, float(seconds)))
    from nodesweep.common import lock
    lock.HEARTBEAT_SECONDS, lock.LOOK_SECONDS, lock.GIVEN_UP_SECONDS = 0.1, 0.1, 2.0
if os.environ.get("DEAD_FLOCK"):
    import fcntl
    fcntl.flock = lambda file, operation: None
"""

WRAPPER = """\
#!/bin/bash
real={real}
{body}
exec "$real" "$@"
"""


@dataclass(frozen=True)
class Site:
    """Clusters `a` and `b`, each reached from the other by --clusters, and two accounts of one group that use both."""

    a: Cluster
    b: Cluster
    first: Account
    second: Account


@contextlib.contextmanager
def site(nodes: int = 4, nodes_of_b: int = 2) -> Iterator[Site]:
    """Both clusters with their accounts."""
    with contextlib.ExitStack() as stack:
        first, second = stack.enter_context(accounts.made("a", "b"))
        shared = {"users": [first.name, second.name], "settings": SETTINGS, "accounting": True}
        a = stack.enter_context(Cluster(name="a", nodes=nodes, **shared))
        b = stack.enter_context(Cluster(name="b", nodes=nodes_of_b, beside=a, **shared))
        for cluster in (a, b):
            epilog = cluster.folder / "epilog"
            epilog.write_text(EPILOG.format(folder=cluster.folder))
            epilog.chmod(0o755)
        yield Site(a, b, first, second)


class Launcher:
    """A launcher as a process of its own, and what it says."""

    def __init__(self, process: "subprocess.Popen[bytes]", path: Path):
        self.process = process
        self._path = path
        self._from = path.stat().st_size

    @property
    def said(self) -> str:
        """All that it has said so far."""
        return self._path.read_text(errors="replace")[self._from :]

    def says(self, pattern: str, seconds: float = 60) -> str:
        """The first line in which it says something that fits, as soon as it has."""

        def line() -> str:
            return next((line for line in self.said.splitlines() if re.search(pattern, line)), "")

        until(lambda: line() or self.process.poll() is not None, seconds, f"the launcher says {pattern!r}", self)
        assert line(), f"the launcher ended without a word of {pattern!r}:\n{self.said}"
        return line()

    def kill(self, number: int = signal.SIGKILL) -> None:
        """End it, or send it another signal, together with all it has started."""
        with contextlib.suppress(ProcessLookupError):  # it has ended by itself
            os.killpg(self.process.pid, number)
        if number == signal.SIGKILL:
            self.process.wait()

    def end(self, seconds: float = 240) -> int:
        """Wait for its end; returns its exit code."""
        until(lambda: self.process.poll() is not None, seconds, "the launcher ends", self)
        return self.process.returncode

    def kill_inside(self) -> None:
        """Kill the launcher inside a container, and nothing else there."""
        for process in self._inside():
            process.kill()
            process.wait(10)

    def end_inside(self, seconds: float = 60) -> None:
        """Wait for the end of the launcher inside a container."""
        psutil.wait_procs(self._inside(), seconds)

    def _inside(self) -> list[psutil.Process]:
        """The launcher itself, below the processes that made its container."""
        found = []
        for process in psutil.Process(self.process.pid).children(recursive=True):
            with contextlib.suppress(psutil.NoSuchProcess):
                words = process.cmdline()
                if "python" in Path(words[0]).name and any(word.endswith("sweep.yaml") for word in words):
                    found.append(process)
        return found


class Stage:
    """A folder in which one situation is played, and what came of it.

    `product`: the repository whose nodesweep is used. `silent_seconds`: how long a job may be out of sight before the
    launcher acts on it, None for the scheduler's own patience. `quick`: launchers without Snakemake.
    """

    def __init__(
        self, site: Site, folder: Path, product: Path = REPOSITORY, silent_seconds: float | None = 1, quick: bool = True
    ):
        self.site, self.a, self.b = site, site.a, site.b
        self.folder = folder
        self.silent_seconds = silent_seconds
        self.told: list[str] = []
        self.late_seconds = 15.0
        self._product, self._quick = product, quick
        self._launchers: list[Launcher] = []
        for path in (folder, folder / "bin", folder / "site"):
            path.mkdir(exist_ok=True)
        (folder / "site" / "sitecustomize.py").write_text(SITE.format())
        self.own(folder)

    def own(self, path: Path) -> None:
        """Give a path to the first account and to the group of both, as a shared folder has it."""
        os.chown(path, *self.site.first.ids)
        path.chmod(0o2775 if path.is_dir() else 0o664)

    def sweep(
        self, name: str = "here", *, hold: bool = True, options: Any = None, counted: str = "", **changes: Any
    ) -> Path:
        """The config of a toy sweep of one layout in a folder of its own; it runs until `go`, where `hold` says so.

        `counted`: the folder whose `starts` and `hold` are used, by default its own.
        """
        config, folder = self.folder / name / "sweep.yaml", self.folder / (counted or name)
        for path in (config.parent, folder, folder / "starts"):
            path.mkdir(exist_ok=True)
            self.own(path)
            path.chmod(0o2777)
        machine = {"name": "cluster", "scheduler": "slurm", "elapse_limit_seconds": 3000, "options": options or {}}
        layouts = [{"nodes": 1, "global_batch": 840, "sequence_length": 128}]
        sweep = toy(hold=str(folder / "hold") if hold else "", **{"machine": machine, "layouts": layouts, **changes})
        if "workload" not in changes:
            sweep["workload"]["environment"]["STARTS"] = f"{folder}/starts/{{{{ slug }}}}"
        if hold:
            (folder / "hold").touch()
        write(config, sweep)
        self.own(config)
        return config

    def go(self, config: Path) -> None:
        """Let the jobs of a sweep run to their end."""
        (config.parent / "hold").unlink()

    def wrap(self, command: str, body: str) -> None:
        """Put `body`, in bash, before a command of Slurm, which it finds as "$real"."""
        path = self.folder / "bin" / command
        path.write_text(WRAPPER.format(real=shutil.which(command), body=body))
        path.chmod(0o755)

    def unwrap(self, command: str) -> None:
        """Put nothing before a command of Slurm any more."""
        (self.folder / "bin" / command).unlink()

    def launch(
        self,
        config: Path,
        *,
        cluster: Cluster | None = None,
        by: Account | None = None,
        before: tuple[str, ...] = (),
        policy: Mapping[str, Any] | None = None,
        **variables: str,
    ) -> Launcher:
        """Start a launcher where cluster a's, or another's, login node is.

        `before`: words in front of its command. `policy`: fields of a profile's policy beside those of all situations.
        """
        path = config.parent / "launchers.log"
        path.touch()
        self.own(path)
        settings = {"poll_seconds": 0.5, "jobs_at_once": 100, **(policy or {})}
        if self._quick:
            command = [sys.executable, str(QUICK_LAUNCHER), str(config), json.dumps(settings)]
        else:
            pairs = [(f"--nodesweep-{name.replace('_', '-')}", str(value)) for name, value in settings.items()]
            words = [word for pair in pairs for word in pair]
            (profile,) = re.findall(r"scheduler: (\w+)", config.read_text())
            command = snakemake_command(config, *words, repository=self._product, profile=profile)
        with path.open("ab") as log:
            process = subprocess.Popen(
                [*before, *(by or self.site.first).command(command)],
                cwd=config.parent,
                env=self.environment(cluster or self.a, **variables),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                umask=0o002,
                preexec_fn=hear_signals,
            )
        self._launchers.append(Launcher(process, path))
        return self._launchers[-1]

    def environment(self, cluster: Cluster, **variables: str) -> dict[str, str]:
        """The variables of a login shell on a cluster, its commands wrapped as `wrap` says."""
        path = f"{self.folder / 'bin'}:{os.environ['PATH']}"
        python = f"{self.folder / 'site'}:{self._product / 'workflow'}"
        shortened = {} if self.silent_seconds is None else {"SILENT_SECONDS": str(self.silent_seconds)}
        return {
            **{name: value for name, value in os.environ.items() if not name.startswith(("SLURM_", "SBATCH_"))},
            **{**cluster.environment, "PATH": path, "PYTHONPATH": python, "HOME": str(self.folder)},
            **{**shortened, **variables},
        }

    def nodesweep(self, config: Path, *words: str, cluster: Cluster | None = None) -> str:
        """What a nodesweep command says, both streams together."""
        command = [sys.executable, "-m", "nodesweep", "--configfile", str(config), *words]
        done = subprocess.run(
            self.site.first.command(command),
            cwd=config.parent,
            env=self.environment(cluster or self.a),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            umask=0o002,
            timeout=120,
        )
        return done.stdout

    def open_gate(self, *folders: str) -> None:
        """Have what waits in the closed partition wait for a node instead."""
        listed = self.a.run("squeue", "-h", "-p", "closed", "-o", "%i %Z").stdout.splitlines()
        for job, place in (line.split() for line in listed):
            if any(Path(place).is_relative_to(self.folder / name) for name in folders):
                self.a.run("scontrol", "update", f"jobid={job}", "partition=debug")

    def silence(self) -> None:
        """Let more than the launcher's patience go by."""
        time.sleep(1.02 * self.patience_seconds + 1.5)

    def tells(self, launcher: Launcher, pattern: str) -> None:
        """Wait until a launcher says something that fits, at the latest when its patience ends; keep it."""
        self.told.append(launcher.says(pattern, 120 + 1.2 * self.patience_seconds))

    @property
    def patience_seconds(self) -> float:
        """How long a job of Slurm may be out of sight before a launcher acts on it."""
        return Slurm.patience.silent_seconds if self.silent_seconds is None else self.silent_seconds

    def started(self, config: Path, count: int = 1) -> None:
        """Wait until so many layouts of a sweep have started."""
        until(lambda: len(self.starts(config)) >= count, 60, f"{count} layouts have started", *self._launchers[-1:])

    def ended(self, config: Path) -> None:
        """Wait until a job of a sweep has left its exit marker."""
        until(lambda: list(config.parent.glob("results/*/layouts/*/*.exit")), 60, "a job ends", *self._launchers[-1:])

    def job_lives(self, config: Path) -> bool:
        """Whether the script of the one job that a sweep has started still runs on this machine."""
        (marker,) = config.parent.glob("results/*/layouts/*/*.started")
        return psutil.pid_exists(json.loads(marker.read_text())["pid"])

    def qos(self, name: str, *limits: str) -> None:
        """Make a QOS that the first account may use on cluster a."""
        self.a.administer("add", "qos", name, *limits)
        self.a.administer("modify", "user", self.site.first.name, "set", f"qos+={name}")
        # The controller hears of it by itself, a moment later.
        until(lambda: name in self.a.run("scontrol", "show", "assoc_mgr", "flags=qos").stdout, 20, "the QOS is known")

    def starts(self, config: Path) -> dict[str, int]:
        """How often each layout was started, by the trainer's own count."""
        return {path.name: len(path.read_text().splitlines()) for path in sorted((config.parent / "starts").iterdir())}

    def journals(self, config: Path) -> dict[str, list[dict[str, Any]]]:
        """The events of each layout that has a journal."""
        paths = sorted(config.parent.glob("results/*/layouts/*/journal.jsonl"))
        return {path.parent.name: [json.loads(line) for line in path.read_text().splitlines()] for path in paths}

    def events(self, config: Path) -> list[str]:
        """The names of all events of all layouts, in their order."""
        return [event["event"] for events in self.journals(config).values() for event in events]

    def job(self, config: Path) -> str:
        """The id of the last job that a launcher of this sweep knows, without its cluster."""

        def ids() -> list[str]:
            known = [event for events in self.journals(config).values() for event in events]
            return [event["job_id"] for event in known if "job_id" in event]

        until(ids, 60, "a job is known", *self._launchers[-1:])
        return re.split(r"[;@]", ids()[-1])[0]

    def rows(self, config: Path) -> list[dict[str, str]]:
        """The rows of results.csv, written anew."""
        self.nodesweep(config, "measure")
        (path,) = config.parent.glob("results/*/results.csv")
        with path.open() as file:
            return list(csv.DictReader(file))

    def outcomes(self, config: Path) -> list[str]:
        """The outcome of each layout in the table; where it has none yet, its state.

        Without Snakemake around the launchers there is no table: then by the journals, which takes no three seconds.
        """
        if not self._quick:
            return [row["outcome"] or row["state"] for row in self.rows(config)]
        last = [events[-1] for events in self.journals(config).values()]
        return [event["record"]["outcome"] if event["event"] == "ended" else event["event"] for event in last]

    def kill_launchers(self) -> None:
        """Kill all launchers that are left."""
        for launcher in self._launchers:
            with contextlib.suppress(ProcessLookupError):
                launcher.kill(signal.SIGCONT)
                launcher.kill()

    def close(self) -> None:
        """End what is left of the launchers and of their jobs."""
        self.kill_launchers()
        for path in self.folder.glob("*/hold"):
            path.unlink()
        for cluster in (self.a, self.b):
            listed = cluster.run("squeue", "-ah", "-o", "%i %Z").stdout.splitlines()
            ids = [line.split()[0] for line in listed if str(self.folder) in line]
            if ids:
                cluster.run("scancel", *ids)


def until(condition: Callable[[], Any], seconds: float, what: str, *launchers: Launcher) -> None:
    """Wait until something holds."""
    limit = time.monotonic() + seconds
    while not condition():
        heard = "".join(f"\n{one.said}" for one in launchers)
        assert time.monotonic() < limit, f"not within {seconds:g} s: {what}{heard}"
        time.sleep(0.05)
