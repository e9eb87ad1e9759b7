"""The short form of `make chaos`."""

import shutil
import tempfile
from pathlib import Path

import pytest
from chaos import campaign
from slurm.stage import site


@pytest.mark.xdist_group("slurm-chaos")
@pytest.mark.usefixtures("slurm_installed")
def test_twenty_killed_launchers() -> None:
    """Launchers of real Slurm sweeps killed at twenty random moments: nothing lost, nothing twice, the same rows."""
    folder = Path(tempfile.mkdtemp(prefix="chaos-"))  # other accounts can enter it, which they cannot with tmp_path
    folder.chmod(0o755)
    try:
        with site(nodes=8, nodes_of_b=8) as place:
            report = campaign(place, folder, kills=20, seed=20, faults=False)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    assert report.wrong == []
    assert (report.kills, report.starts) == (20, report.runs + report.scripted)
