"""Short forms of situations of real sites, on two real clusters; tests/chaos/play_situations.py plays the long ones."""

import tempfile
from collections.abc import Iterator
from concurrent.futures import Future
from pathlib import Path

import pytest
from slurm.situations import SITUATIONS, Situation, play_all
from slurm.stage import Stage, site

SHORT = [one.name for one in SITUATIONS.values() if not one.slow]


@pytest.fixture(scope="module")
def played(slurm_installed: None, request: pytest.FixtureRequest) -> Iterator[dict[str, Future[None]]]:
    """The situations of the tests that were chosen, side by side: most of their time is waiting."""
    chosen = [item.callspec.params["name"] for item in request.session.items if item.path == request.path]
    with site() as place:

        def play(one: Situation) -> None:
            # Other accounts can enter it, which they cannot with tmp_path.
            with tempfile.TemporaryDirectory(prefix="stage-", ignore_cleanup_errors=True) as folder:
                stage = Stage(place, Path(folder), silent_seconds=0.5)
                stage.late_seconds = 2
                try:
                    one.play(stage)
                finally:
                    stage.close()

        found = play_all(play, chosen, at_once=8)
        yield found
        for future in found.values():
            future.exception()


@pytest.mark.xdist_group("slurm-situations")
@pytest.mark.parametrize("name", SHORT)
def test_situation(played: dict[str, Future[None]], name: str) -> None:
    """Each layout starts once, whatever a site does, and its row says what became of it."""
    played[name].result()
