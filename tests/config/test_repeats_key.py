"""What `repeats` of a sweep may be."""

from pathlib import Path
from typing import Any

import pytest
from sweeps import toy, write

from nodesweep.common.errors import ConfigError
from nodesweep.config.repeats import Repeats
from nodesweep.sweep.study import Study


def loaded(folder: Path, **changes: Any) -> Study:
    """A sweep of two layouts."""
    return Study.load([write(folder / "sweep.yaml", toy(**changes))], results=folder / "results")


@pytest.mark.parametrize(
    ("given", "found"),
    [
        ({}, Repeats(at_least=1, at_most=1)),
        ({"repeats": 3}, Repeats(at_least=3, at_most=3)),
        ({"repeats": {"at_most": 4, "seed": 7}}, Repeats(at_least=2, at_most=4, seed=7)),
        (
            {"repeats": {"at_least": 3, "at_most": 6, "until_percent": 2}},
            Repeats(at_least=3, at_most=6, until_percent=2.0),
        ),
    ],
    ids=["one", "number", "with a seed", "until"],
)
def test_repeats(given: dict[str, Any], found: Repeats, tmp_path: Path) -> None:
    """A number is as many runs of each layout; a mapping says more; without it each layout runs once."""
    assert loaded(tmp_path, **given).sweep.repeats == found


@pytest.mark.parametrize(
    ("given", "complaint"),
    [
        (0, "repeats must be a whole number of runs from 1 to 1000, or a mapping of keys, not 0"),
        (True, "repeats"),
        (2.5, "repeats must be a whole number of runs from 1 to 1000, or a mapping of keys, not 2.5"),
        ("many", "repeats"),
        ({"at_least": 2}, "repeats.at_most"),
        ({"at_least": 3, "at_most": 2}, "at_most 2 is less than at_least 3; raise it, or lower that"),
        ({"at_least": 1, "at_most": 3, "until_percent": 2}, "takes two runs to tell how far they differ"),
        ({"at_most": 3, "until": 2}, "repeats.until"),
    ],
)
def test_refused_repeats(given: Any, complaint: str, tmp_path: Path) -> None:
    """What makes no sense is refused with its key."""
    with pytest.raises(ConfigError, match=r"sweep\.yaml") as caught:
        loaded(tmp_path, repeats=given)
    assert complaint in str(caught.value)


def test_runs_of_a_study(tmp_path: Path) -> None:
    """Each run has a name of its own, the first the layout's; more repeats change none of those that are there."""
    once, often = loaded(tmp_path), loaded(tmp_path, repeats=3)
    assert list(once.layouts) == list(once.runs) == list(often.layouts)
    first, second = often.layouts
    assert list(often.runs) == [first, f"{first}-r2", f"{first}-r3", second, f"{second}-r2", f"{second}-r3"]
    assert [run.repeat for run in often.runs_of(second)] == [1, 2, 3]
    assert {run.row for run in often.runs_of(second)} == {second}
    assert [path.parent.name for path in often.records] == list(often.runs)
    assert [run.slug for run in often.runs_named(f"{first}-r1")] == [first]
    assert [run.slug for run in often.runs_named(f"{first}-r3")] == [f"{first}-r3"]
    assert [run.slug for run in often.runs_named(first)] == list(often.runs)[:3]
    with pytest.raises(ConfigError.__base__, match="has no run 4: `repeats` gives it 3"):
        often.runs_named(f"{first}-r4")
