"""A real Slurm cluster of eight virtual nodes on this machine, with daemons, keys and ports of its own."""

import contextlib
import os
import random
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Literal

import psutil

NODES = [f"node{number}" for number in range(1, 9)]
DAEMONS = ["munged", "slurmctld", "slurmd", "slurmdbd", "mariadbd"]
COMMANDS = [*DAEMONS, "sbatch", "srun", "squeue", "scontrol", "sinfo", "sacct", "sacctmgr"]

# Where memory can be limited, if the machine has control groups of version 1.
MEMORY_CGROUPS = Path("/sys/fs/cgroup/memory")

# A node is one core of two threads: a job owns its whole nodes unless it asks for --oversubscribe. The machine may be
# smaller than a node: config_overrides has Slurm believe this file. A command that finds no controller gives up one
# second before MessageTimeout. With ReturnToService=1 a node that was set down stays down until it is resumed.
# A requeued job waits until its old credential has expired, two minutes by default.
SLURM_CONF = """\
ClusterName={name}
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={controller_port}
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket={munge},cred_expire=10
StateSaveLocation={folder}/state
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdSpoolDir={folder}/%n.spool
SlurmdPidFile={folder}/%n.pid
SlurmdParameters=config_overrides
MessageTimeout=5
SlurmctldTimeout=10
SlurmdTimeout=15
KillWait=2
UnkillableStepTimeout=10
MinJobAge={min_job_age_seconds}
ReturnToService=1
MpiDefault=none
MailProg=/bin/true
ProctrackType=proctrack/linuxproc
TaskPlugin=task/{task}
SelectType=select/cons_tres
SelectTypeParameters={resources}
SchedulerParameters=batch_sched_delay=0,sched_interval=1,bf_interval=1
JobAcctGatherType=jobacct_gather/linux
JobAcctGatherFrequency=1
{nodes}
PartitionName=debug Nodes=ALL Default=YES MaxTime=60 OverSubscribe=YES:2
PartitionName=short Nodes=node[1-{nodes_of_short}] MaxTime=5 OverSubscribe=YES:2
"""
NODE = "NodeName={name} NodeHostname={host} NodeAddr=127.0.0.1 Port={port} CPUs=2 ThreadsPerCore=2 RealMemory=1500"
CGROUP_CONF = """\
CgroupPlugin=cgroup/v1
CgroupMountpoint={folder}/cgroup
ConstrainRAMSpace=yes
"""
ACCOUNTING = """\
AccountingStorageType=accounting_storage/slurmdbd
AccountingStorageHost=localhost
AccountingStoragePort={port}
AccountingStoragePass={munge}
"""
SLURMDBD_CONF = """\
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket
DbdHost=localhost
DbdPort={port}
SlurmUser=root
PidFile={folder}/slurmdbd.pid
StorageType=accounting_storage/mysql
StorageUser=root
StorageLoc=slurm_acct_db
"""
# No tables of users: the socket lies in a folder that only root can enter.
MARIADB_OPTIONS = ["--no-defaults", "--user=root", "--skip-networking", "--skip-grant-tables"]


class Cluster:
    """Eight nodes of two CPUs, partitions `debug` (all, an hour) and `short` (node[1-4], five minutes)."""

    def __init__(
        self,
        accounting: bool = False,
        min_job_age_seconds: int = 300,
        memory_enforced: Literal["no", "polled", "cgroup"] = "no",
        *,
        name: str = "test",
        nodes: int = len(NODES),
        settings: Sequence[str] = (),
        users: Sequence[str] = (),
        beside: "Cluster | None" = None,
    ) -> None:
        """`memory_enforced`: who kills what uses more than its --mem: Slurm, which looks each second, or the kernel.

        `settings`: more lines of slurm.conf, in which {folder} stands for the cluster's folder. `users`: accounts of
        this machine, other than root, that may use the cluster. `beside`: a cluster whose accounts and keys this one
        shares, so that `--clusters` reaches each from the other; it has to be there first and to stay longer.
        """
        self.accounting = accounting or beside is not None
        self.min_job_age_seconds = min_job_age_seconds
        self.memory_enforced = memory_enforced
        self.name = name
        self._nodes = NODES[:nodes]
        self._settings = settings
        self._users = users
        self._beside = beside
        self._daemons: dict[str, subprocess.Popen[bytes]] = {}

    def __enter__(self) -> "Cluster":
        self.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self.stop()

    @property
    def environment(self) -> dict[str, str]:
        """What makes every Slurm command speak to this cluster."""
        return {"SLURM_CONF": str(self.folder / "slurm.conf")}

    def start(self) -> None:
        """Start all daemons; returns when all nodes are idle."""
        # Short: the path of a unix socket has at most 107 bytes.
        self.folder = Path(tempfile.mkdtemp(prefix="slurm-", dir="/tmp"))
        if self._users:
            self.folder.chmod(0o755)
        self._ports, self._reservation = _free_ports(len(self._nodes) + 2)
        try:
            self._configure()
            if self._beside is None:
                self._start_munged()
                if self.accounting:
                    self._start_accounting()
            if self.accounting:
                self._join_accounting()
            self.start_controller()
            for name in self._nodes:
                self._launch(name, "slurmd", "-D", "-N", name)
            self.wait_idle(len(self._nodes), 30)
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """Kill every process of the cluster, those of its jobs too, and remove its folder."""
        end = time.monotonic() + 20
        while (processes := self._processes()) or not self._remove_cgroup():
            if time.monotonic() > end:
                raise RuntimeError(f"the cluster in {self.folder} does not end: {processes or self._cgroup}")
            for process in processes:
                with contextlib.suppress(psutil.NoSuchProcess):
                    process.kill()
            time.sleep(0.02)
        for daemon in self._daemons.values():
            daemon.wait()
        self._reservation.close()
        shutil.rmtree(self.folder)

    def start_controller(self) -> None:
        """Start slurmctld; returns when it answers. After a restart, new jobs wait a few seconds for their nodes."""
        self._launch("slurmctld", "slurmctld", "-D")
        self._await("slurmctld", lambda: "is UP" in self.run("scontrol", "ping").stdout)

    def stop_controller(self, kill: bool = False) -> None:
        """End slurmctld, which saves its state first unless it is killed; nodes and jobs go on."""
        daemon = self._daemons["slurmctld"]
        daemon.send_signal(signal.SIGKILL if kill else signal.SIGTERM)
        daemon.wait(30)

    def restart_cold(self) -> None:
        """Have slurmctld lose all it knew: what it knew is gone from its disk when it starts again."""
        self.stop_controller(kill=True)
        shutil.rmtree(self.folder / "state")
        self.start_controller()

    @contextlib.contextmanager
    def reconfigured(self, line: str) -> Iterator[None]:
        """For a while, slurm.conf has one more line."""
        path = self.folder / "slurm.conf"
        before = path.read_text()
        self._reconfigure(f"{before}{line}\n")
        try:
            yield
        finally:
            self._reconfigure(before)

    def _reconfigure(self, text: str) -> None:
        (self.folder / "slurm.conf").write_text(text)
        done = self.run("scontrol", "reconfigure")
        if done.returncode:
            raise RuntimeError(f"slurm.conf is not read: {done.stderr.strip()}")

    def run(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Run a command in the cluster, e.g. sinfo."""
        environment = os.environ | self.environment
        return subprocess.run(words, env=environment, cwd=self.folder, capture_output=True, text=True, timeout=60)

    def set_node(self, name: str, state: str) -> None:
        """Have an administrator set the state of a node: down, or resume."""
        done = self.run("scontrol", "update", f"nodename={name}", f"state={state}", "reason=test")
        if done.returncode:
            raise RuntimeError(f"node {name} cannot be set {state}: {done.stderr.strip()}")

    def wait_idle(self, count: int, seconds: float) -> None:
        """Wait until at least `count` nodes are idle."""

        def enough() -> bool:
            return self.run("sinfo", "-h", "-N", "-p", "debug", "-o", "%T").stdout.split().count("idle") >= count

        self._await("slurmctld", enough, seconds, f"has fewer than {count} idle nodes")

    def log(self, name: str) -> str:
        """What a daemon wrote: munged, mariadbd, slurmdbd, slurmctld, or the slurmd of a node."""
        return (self.folder / f"{name}.log").read_text(errors="replace")

    @property
    def _root(self) -> "Cluster":
        """The cluster whose keys and accounts this one uses."""
        return self._beside._root if self._beside is not None else self

    @property
    def _munge(self) -> Path:
        return self._root.folder / "munge.socket"

    @property
    def _database_port(self) -> int:
        return self._root._ports[1]

    def _configure(self) -> None:
        host = socket.gethostname().partition(".")[0]
        controller_port, _, *ports = self._ports
        lines = [NODE.format(name=name, host=host, port=port) for name, port in zip(self._nodes, ports, strict=True)]
        text = SLURM_CONF.format(
            name=self.name,
            folder=self.folder,
            munge=self._munge,
            nodes_of_short=min(4, len(self._nodes)),
            host=host,
            controller_port=controller_port,
            min_job_age_seconds=self.min_job_age_seconds,
            resources="CR_Core" if self.memory_enforced == "no" else "CR_Core_Memory",
            task="cgroup" if self.memory_enforced == "cgroup" else "none",
            nodes="\n".join(lines),
        )
        if self.memory_enforced == "polled":
            text += "JobAcctGatherParams=OverMemoryKill\n"
        if self.memory_enforced == "cgroup":
            self._make_cgroup()
        if self.accounting:
            text += ACCOUNTING.format(munge=self._munge, port=self._database_port)
        if self.accounting and self._beside is None:
            path = self.folder / "slurmdbd.conf"
            path.touch(0o600)
            path.write_text(SLURMDBD_CONF.format(folder=self.folder, port=self._database_port))
        text += "".join(f"{line.format(folder=self.folder)}\n" for line in self._settings)
        (self.folder / "slurm.conf").write_text(text)

    @property
    def _cgroup(self) -> Path:
        return MEMORY_CGROUPS / self.folder.name

    def _make_cgroup(self) -> None:
        try:
            self._cgroup.mkdir()
        except OSError as error:
            raise RuntimeError(f"memory cannot be limited here: {error}") from error
        # Slurm names control groups after nodes and jobs, as any other cluster here does: below a root of its own.
        (self.folder / "cgroup").mkdir()
        (self.folder / "cgroup" / "memory").symlink_to(self._cgroup)
        (self.folder / "cgroup.conf").write_text(CGROUP_CONF.format(folder=self.folder))

    def _remove_cgroup(self) -> bool:
        """Whether there is none any more: it is busy for a moment after its last process has gone."""
        with contextlib.suppress(OSError):
            for folder, _, _ in os.walk(self._cgroup, topdown=False):
                Path(folder).rmdir()
        return not self._cgroup.exists()

    def _start_munged(self) -> None:
        key = self.folder / "munge.key"
        key.touch(0o600)
        key.write_bytes(os.urandom(128))
        files = [f"--{kind}-file={self.folder}/munge.{kind}" for kind in ("key", "pid", "seed", "log")]
        # It would refuse a socket that not everybody can reach; mostly there is only root here.
        self._launch("munged", "munged", "--foreground", "--force", f"--socket={self._munge}", *files)
        self._await("munged", self._munge.is_socket)

    def _start_accounting(self) -> None:
        data = self.folder / "mariadb"
        data.mkdir(0o700)
        path = data / "socket"
        if self._users:  # limits of users are worked out by a stored procedure, which wants the tables of the system
            self.run("mariadb-install-db", *MARIADB_OPTIONS[:2], "--skip-test-db", f"--datadir={data}")
        self._launch("mariadbd", "mariadbd", *MARIADB_OPTIONS, f"--datadir={data}", f"--socket={path}")
        self._await("mariadbd", path.is_socket)
        self._launch("slurmdbd", "slurmdbd", "-D", MYSQL_UNIX_PORT=str(path))
        # This needs the tables, which slurmdbd makes at its first start.
        self._await("slurmdbd", lambda: self.run("sacctmgr", "-n", "list", "cluster").returncode == 0)

    def _join_accounting(self) -> None:
        """Have the accounts know this cluster and its users, whose account is `users`, before its controller asks."""
        self.administer("add", "cluster", self.name)
        if self._users:
            self.administer("add", "account", "users", f"cluster={self.name}")
            self.administer("add", "user", ",".join(self._users), "account=users", f"cluster={self.name}")

    def administer(self, *words: str) -> None:
        """Run sacctmgr, e.g. to add a QOS."""
        done = self.run("sacctmgr", "-i", *words)
        if done.returncode:
            raise RuntimeError(f"sacctmgr {' '.join(words)}: {done.stdout.strip()} {done.stderr.strip()}")

    def _launch(self, daemon: str, *command: str, **variables: str) -> None:
        environment = os.environ | self.environment | variables
        with (self.folder / f"{daemon}.log").open("ab") as log:
            # In a session of its own, a daemon does not see the Ctrl-C that ends the tests.
            self._daemons[daemon] = subprocess.Popen(
                command, env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
            )

    def _await(self, daemon: str, ready: Callable[[], bool], seconds: float = 20, problem: str = "not ready") -> None:
        end = time.monotonic() + seconds
        while not ready():
            ended = self._daemons[daemon].poll()
            if ended is not None or time.monotonic() > end:
                words = f"ended with {ended}" if ended is not None else f"{problem} after {seconds:g} s"
                tail = "\n".join(self.log(daemon).splitlines()[-20:])
                raise RuntimeError(f"{daemon} {words}; its log ends:\n{tail}")
            time.sleep(0.05)

    def _processes(self) -> list[psutil.Process]:
        """Daemons and jobs, which carry the cluster's environment, and slurmstepd, which overwrites its own."""
        found = set()
        pids = {
            connection.pid for connection in psutil.net_connections("unix") if str(self.folder) in str(connection.laddr)
        }
        for process in psutil.process_iter():
            with contextlib.suppress(psutil.Error):
                if process.pid in pids or process.environ().get("SLURM_CONF") == self.environment["SLURM_CONF"]:
                    found |= {process, *process.children(recursive=True)}
        return list(found)


def memory_cgroups() -> bool:
    """Whether the kernel can limit the memory of jobs here."""
    try:
        Path(tempfile.mkdtemp(prefix="slurm-", dir=MEMORY_CGROUPS)).rmdir()
    except OSError:
        return False
    return True


def _free_ports(count: int) -> tuple[list[int], socket.socket]:
    """Ports that nothing listens on, and a socket that keeps other clusters off them as long as it is open."""
    # Below the ports that the kernel hands out, so that they are still free when a daemon is started anew.
    for base in random.sample(range(10_000, 30_000, 20), 1000):
        reservation = socket.socket()
        try:
            reservation.bind(("", base))
            for port in range(base + 1, base + 1 + count):
                with socket.socket() as probe:
                    probe.bind(("", port))
        except OSError:
            reservation.close()
        else:
            return list(range(base + 1, base + 1 + count)), reservation
    raise RuntimeError(f"no {count} free ports in a row between 10000 and 30000")
