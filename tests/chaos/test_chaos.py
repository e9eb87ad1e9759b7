"""The short form of `make chaos`."""

from pathlib import Path

import pytest
from chaos import campaign
from slurm.cluster import Cluster


@pytest.mark.xdist_group("slurm-chaos")
def test_twenty_killed_launchers(slurm_installed: None, tmp_path: Path) -> None:
    """Launchers of real Slurm sweeps killed at twenty random moments: nothing lost, nothing twice, the same rows."""
    with Cluster(accounting=True) as cluster:
        report = campaign(cluster, tmp_path, kills=20, seed=20, faults=False)
    assert report.wrong == []
    assert (report.kills, report.starts) == (20, report.layouts + report.scripted)
