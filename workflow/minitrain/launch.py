"""The place of this process among the ranks, read from the launcher's variables in the environment."""

import itertools
import re
import socket
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

DEFAULT_PORT = 29500

# Names of (rank, world size, rank on this host), innermost launcher first: torchrun runs under Slurm and MPI,
# and mpirun under Slurm, so the outer launcher's variables are still there when the inner one's count.
LAUNCHERS = {
    "torchrun": ("RANK", ("WORLD_SIZE",), ("LOCAL_RANK",)),
    "Open MPI": ("OMPI_COMM_WORLD_RANK", ("OMPI_COMM_WORLD_SIZE",), ("OMPI_COMM_WORLD_LOCAL_RANK",)),
    "Slurm": ("SLURM_PROCID", ("SLURM_STEP_NUM_TASKS", "SLURM_NTASKS"), ("SLURM_LOCALID",)),
    "PMIx": ("PMIX_RANK", ("PMIX_SIZE", "WORLD_SIZE"), ("PMIX_LOCAL_RANK",)),
}


class LaunchError(Exception):
    """The environment says that there are several ranks, but not enough to bring them together."""


class RankError(LaunchError):
    """The number of this very rank is wrong, of which no other rank knows."""


@dataclass(frozen=True)
class Place:
    """One rank's place in the run, and where rank 0 listens (address None: a run of one process)."""

    rank: int = 0
    world_size: int = 1
    local_rank: int = 0
    address: str | None = None
    port: int = DEFAULT_PORT


def place_from_environment(environment: Mapping[str, str]) -> Place:
    """The place of this process; one single process when no launcher's variable is set.

    Raises LaunchError with the variable to export when the world size or rank 0's address cannot be known.
    """
    launcher = _launcher(environment)
    if launcher is None:
        return Place()
    rank_name, size_names, local_names = LAUNCHERS[launcher]
    if not environment[rank_name].isdecimal():
        raise RankError(_no_number(environment, rank_name))
    rank = int(environment[rank_name])
    size_name = next((name for name in size_names if name in environment), None)
    if size_name is None:
        raise LaunchError(
            f"{launcher} sets {rank_name} but no number of ranks; export {' or '.join(size_names)}=<ranks>"
        )
    world_size = _number(environment, size_name)
    local_name = next((name for name in local_names if name in environment), rank_name)
    if world_size == 1:
        return Place()
    if rank >= world_size:
        raise RankError(f"{rank_name}={rank} is not below {size_name}={world_size}; check the launcher's environment")
    return Place(
        rank=rank,
        world_size=world_size,
        local_rank=_number(environment, local_name),
        address=_master_address(environment, launcher, world_size),
        port=_master_port(environment, launcher),
    )


def is_rank_0(environment: Mapping[str, str]) -> bool:
    """Whether this process is rank 0, which writes errors for all; works even where `place_from_environment` fails."""
    launcher = _launcher(environment)
    return launcher is None or environment[LAUNCHERS[launcher][0]].strip("0") == ""


def _launcher(environment: Mapping[str, str]) -> str | None:
    """The innermost launcher that started this process, if any."""
    return next((name for name, (rank_name, *_) in LAUNCHERS.items() if rank_name in environment), None)


def _number(environment: Mapping[str, str], name: str) -> int:
    """A rank or a count from the environment; LaunchError where it is no number."""
    if not environment[name].isdecimal():
        raise LaunchError(_no_number(environment, name))
    return int(environment[name])


def _no_number(environment: Mapping[str, str], name: str) -> str:
    return f"{name}={environment[name]!r} is not a number; check the launcher's environment"


def _master_address(environment: Mapping[str, str], launcher: str, world_size: int) -> str:
    """The host of rank 0: MASTER_ADDR, else the first of the Slurm step, or srun's where only Slurm knows that name."""
    if environment.get("MASTER_ADDR"):
        return environment["MASTER_ADDR"]
    if launcher == "Slurm":
        starter = environment.get("SLURM_LAUNCH_NODE_IPADDR", "")
        hosts = environment.get("SLURM_STEP_NODELIST") or environment.get("SLURM_JOB_NODELIST")
        first = expand_hosts(hosts)[0] if hosts else ""
        if first and (not starter or _resolves(first)):
            return first
        if starter:
            return starter
    raise LaunchError(
        f"{world_size} ranks by {launcher}, but nothing says where rank 0 runs; "
        "export MASTER_ADDR=<host of rank 0> (and MASTER_PORT) to all ranks"
    )


def _resolves(host: str) -> bool:
    """Whether this machine knows the address of a host."""
    try:
        socket.gethostbyname(host)
    except OSError:
        return False
    return True


def _master_port(environment: Mapping[str, str], launcher: str) -> int:
    """The port of rank 0: MASTER_PORT, else one that differs between the jobs and steps of Slurm."""
    if environment.get("MASTER_PORT"):
        port = _number(environment, "MASTER_PORT")
        if not 0 < port < 65536:
            raise LaunchError(f"MASTER_PORT={port} is no port; export one from 1024 to 65535 to all ranks")
        return port
    job = environment.get("SLURM_JOB_ID", "")
    if launcher != "Slurm" or not job.isdecimal():
        return DEFAULT_PORT
    step = environment.get("SLURM_STEP_ID", "")
    return 20000 + (int(job) * 17 + (int(step) if step.isdecimal() else 0)) % 12000


def expand_hosts(host_list: str) -> list[str]:
    """The hosts of a Slurm host list, in order.

    >>> expand_hosts("node[1-3,7],gpu[001-002],login")
    ['node1', 'node2', 'node3', 'node7', 'gpu001', 'gpu002', 'login']
    >>> expand_hosts("r[0-1]n[8-9]")
    ['r0n8', 'r0n9', 'r1n8', 'r1n9']
    """
    hosts = []
    for entry in re.findall(r"(?:[^,\[\]]|\[[^\]]*\])+", host_list):
        parts = re.split(r"\[([^\]]*)\]", entry.strip())
        choices = [list(_numbers(part)) if i % 2 else [part] for i, part in enumerate(parts)]
        hosts += ["".join(combination) for combination in itertools.product(*choices)]
    return hosts


def _numbers(ranges: str) -> Iterator[str]:
    """The numbers of one bracket of a host list, as text: leading zeros are part of a host's name."""
    for item in ranges.split(","):
        first, _, last = item.partition("-")
        for number in range(int(first), int(last or first) + 1):
            yield str(number).zfill(len(first))
