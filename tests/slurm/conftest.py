"""Real Slurm clusters, each started once in a session, by the one worker that runs its tests."""

import os
import shutil
from collections.abc import Iterator

import pytest
from cluster import COMMANDS, Cluster

# Fixture → the group of tests that pytest-xdist leaves to one worker.
GROUPS = {"slurm": "slurm", "slurm_without_accounting": "slurm-plain"}


# Before pytest-xdist reads the marks, in its own hook of this name.
@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """A test that uses a cluster runs where the cluster is."""
    for item in items:
        for fixture in GROUPS.keys() & set(getattr(item, "fixturenames", ())):
            item.add_marker(pytest.mark.xdist_group(GROUPS[fixture]))


@pytest.fixture(scope="session")
def slurm_installed() -> None:
    """Skip where no cluster can be started; with CI=true that is a failure."""
    missing = [command for command in COMMANDS if not shutil.which(command)]
    if missing:
        reason = f"no {', '.join(missing)}: see tests/slurm/install.sh"
    elif os.geteuid() != 0:
        reason = "only root can start a Slurm cluster"
    else:
        return
    if os.environ.get("CI") == "true":
        pytest.fail(reason, pytrace=False)
    pytest.skip(reason)


@pytest.fixture(scope="session")
def slurm(slurm_installed: None) -> Iterator[Cluster]:
    """A cluster that keeps accounts: sacct works."""
    with Cluster(accounting=True) as cluster:
        yield cluster


@pytest.fixture(scope="session")
def slurm_without_accounting(slurm_installed: None) -> Iterator[Cluster]:
    """A cluster where sacct fails, and ended jobs are known to squeue for five minutes."""
    with Cluster() as cluster:
        yield cluster
