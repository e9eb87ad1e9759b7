"""Short forms of the situations of real sites, on two real clusters: `make situations` prints the long ones."""

from collections.abc import Iterator
from pathlib import Path
import tempfile

import pytest
from slurm.situations import listings, folders, states, logs, launchers
from slurm.situations.registry import SITUATIONS
from slurm.stage import Site, Stage, site


@pytest.fixture(scope="module")
def two_clusters(slurm_installed: None) -> Iterator[Site]:
    """Two clusters under one slurmdbd, and two accounts."""
    with site() as found:
        yield found


@pytest.mark.xdist_group("slurm-situations")
@pytest.mark.parametrize("name", [one.name for one in SITUATIONS.values() if not one.slow])
def test_situation(two_clusters: Site, name: str) -> None:
    """Each layout starts once, whatever a site does, and its row says what became of it."""
    with tempfile.TemporaryDirectory(prefix="stage-", ignore_cleanup_errors=True) as folder:  # one that other accounts can enter, which tmp_path is not
        stage = Stage(two_clusters, Path(folder), silent_seconds=0.5)
        stage.late_seconds = 2
        try:
            SITUATIONS[name].play(stage)
        finally:
            stage.close()
