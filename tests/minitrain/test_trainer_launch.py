"""Ranks from the environment of each launcher."""

import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from minitrain.launch import LaunchError, Place, expand_hosts, place_from_environment

SLURM = {
    "SLURM_PROCID": "5",
    "SLURM_NTASKS": "8",
    "SLURM_LOCALID": "1",
    "SLURM_JOB_ID": "1234",
    "SLURM_JOB_NODELIST": "node[1-3,7],gpu[001-002]",
}
OPEN_MPI = {
    "OMPI_COMM_WORLD_RANK": "3",
    "OMPI_COMM_WORLD_SIZE": "4",
    "OMPI_COMM_WORLD_LOCAL_RANK": "1",
    "MASTER_ADDR": "head",
}


def test_no_launcher_is_one_process():
    """Without any launcher's variables the run is one process."""
    assert place_from_environment({"HOME": "/root", "MASTER_ADDR": "head"}) == Place()


def test_torchrun():
    """torchrun's own variables give rank, size, address and port."""
    given = {"RANK": "9", "WORLD_SIZE": "16", "LOCAL_RANK": "1", "MASTER_ADDR": "n0", "MASTER_PORT": "4711"}
    assert place_from_environment(given) == Place(9, 16, 1, "n0", 4711)


def test_slurm_meets_at_the_first_host():
    """The first host of a Slurm job is rank 0's, and the port follows from the job and the step."""
    place = place_from_environment(SLURM)
    assert (place.rank, place.world_size, place.local_rank, place.address) == (5, 8, 1, "node1")
    assert 20000 <= place.port < 32000
    assert place_from_environment(SLURM | {"SLURM_JOB_ID": "1235"}).port != place.port
    assert place_from_environment(SLURM | {"SLURM_STEP_ID": "1"}).port != place.port


def test_slurm_step_counts_before_the_job():
    """A step on part of the job's nodes has its own size and hosts."""
    place = place_from_environment(SLURM | {"SLURM_STEP_NUM_TASKS": "6", "SLURM_STEP_NODELIST": "gpu[001-002]"})
    assert (place.world_size, place.address) == (6, "gpu001")


def test_slurm_launch_address_where_no_list_is():
    """The address that srun states is used where there is no host list."""
    given = {name: SLURM[name] for name in ("SLURM_PROCID", "SLURM_NTASKS", "SLURM_LOCALID")}
    assert place_from_environment(given | {"SLURM_LAUNCH_NODE_IPADDR": "10.0.0.1"}).address == "10.0.0.1"


def test_open_mpi_inside_slurm():
    """mpirun's ranks count, not those of the Slurm task that started mpirun."""
    assert place_from_environment(SLURM | OPEN_MPI) == Place(3, 4, 1, "head", 29500)


def test_torchrun_inside_slurm():
    """torchrun's ranks count, not those of the srun task that started torchrun."""
    inner = {
        "RANK": "1",
        "WORLD_SIZE": "2",
        "LOCAL_RANK": "1",
        "MASTER_ADDR": "localhost",
        "MASTER_PORT": "1",
    }
    assert place_from_environment(SLURM | inner) == Place(1, 2, 1, "localhost", 1)


def test_pmix():
    """PMIx gives the rank; the size may be exported by hand."""
    given = {"PMIX_RANK": "2", "WORLD_SIZE": "4", "MASTER_ADDR": "head", "MASTER_PORT": "5000"}
    assert place_from_environment(given) == Place(2, 4, 2, "head", 5000)


def test_a_node_that_only_slurm_knows():
    """The node on which srun was started is taken for rank 0's where the first node's name has no address."""
    environment = {
        "SLURM_PROCID": "1",
        "SLURM_NTASKS": "2",
        "SLURM_LOCALID": "0",
        "SLURM_JOB_NODELIST": "n[1-2].invalid",
    }
    place = place_from_environment(environment | {"SLURM_LAUNCH_NODE_IPADDR": "127.0.0.1"})
    assert place.address == "127.0.0.1"


def test_one_rank_needs_no_address():
    """A launcher that starts a single rank is a run of one process."""
    given = {name: value for name, value in OPEN_MPI.items() if name != "MASTER_ADDR"}
    alone = given | {"OMPI_COMM_WORLD_RANK": "0", "OMPI_COMM_WORLD_SIZE": "1"}
    assert place_from_environment(alone) == Place()


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"OMPI_COMM_WORLD_RANK": "0", "OMPI_COMM_WORLD_SIZE": "4"}, "export MASTER_ADDR="),
        ({"PMIX_RANK": "0", "MASTER_ADDR": "head"}, "export PMIX_SIZE or WORLD_SIZE="),
        ({"RANK": "one", "WORLD_SIZE": "2"}, "RANK='one' is not a number"),
        (
            {"RANK": "0", "WORLD_SIZE": "2", "MASTER_ADDR": "head", "MASTER_PORT": "99999"},
            "MASTER_PORT=99999 is no port",
        ),
        ({"RANK": "2", "WORLD_SIZE": "2", "MASTER_ADDR": "head"}, "RANK=2 is not below WORLD_SIZE=2"),
    ],
)
def test_what_is_missing_is_named(given: dict[str, str], message: str):
    """An environment that does not suffice is refused with what to export, in one line."""
    with pytest.raises(LaunchError) as caught:
        place_from_environment(given)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "hosts"),
    [
        ("node", ["node"]),
        ("node[1-3,7],gpu[001-002]", ["node1", "node2", "node3", "node7", "gpu001", "gpu002"]),
        ("n[09-11]", ["n09", "n10", "n11"]),
        ("a,b-1,c[5]", ["a", "b-1", "c5"]),
        (
            "rack[1-2]node[1-2].site",
            ["rack1node1.site", "rack1node2.site", "rack2node1.site", "rack2node2.site"],
        ),
    ],
)
def test_host_lists(text: str, hosts: list[str]):
    """Slurm's host lists are expanded in order, zeros kept."""
    assert expand_hosts(text) == hosts


def test_ranks_end_with_the_process_that_started_them(tmp_path: Path):
    """A run whose first process is killed leaves no rank behind that holds cores."""
    program = (
        "import os, pathlib, sys, time\n"
        "from minitrain.local import run_ranks\n"
        "def rank(place):\n"
        "    (pathlib.Path(sys.argv[1]) / f'{os.getpid()}').touch()\n"
        "    time.sleep(60)\n"
        "run_ranks(2, rank)"
    )
    starter = subprocess.Popen([sys.executable, "-c", program, str(tmp_path)])
    assert comes_true(lambda: len(list(tmp_path.iterdir())) == 2)
    starter.kill()
    starter.wait()
    assert comes_true(lambda: not any(is_running(path.name) for path in tmp_path.iterdir()))


def comes_true(condition: Callable[[], bool]) -> bool:
    """Whether a condition holds within ten seconds."""
    limit = time.monotonic() + 10
    while not condition() and time.monotonic() < limit:
        time.sleep(0.05)
    return condition()


def is_running(process: str) -> bool:
    """Whether a process of this id is there, and no zombie."""
    try:
        return Path("/proc", process, "stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False
