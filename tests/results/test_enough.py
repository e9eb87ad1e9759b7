"""Tests of when the iterations of a run are enough."""

import sys

import numpy as np
import pytest
from paths import REPOSITORY

from nodesweep.results.enough import is_enough, looks

sys.path.insert(0, str(REPOSITORY / "tests" / "bench"))
from enough_iterations import FAMILIES, played


def test_looks_are_few():
    """The next look is after 15 % more records, rounded up, and there is none at the end."""
    assert looks(8, 16) == (8, 10, 12, 14)
    assert looks(8, 8) == ()


@pytest.mark.parametrize(
    ("seconds", "enough"),
    [
        ([2.0] * 10, True),
        ([2.0] * 7, False),  # fewer than the least
        ([2.0, 2.01] * 5, False),  # 0.25 % about the median, but 40 more may drift away from it
        ([2.0, 2.01] * 15, True),
        ([2.0, 2.2] * 15, False),  # 5 % about it
        ([2.0 + 0.01 * place for place in range(30)], False),  # half a percent an iteration: 20 more move it by 5 %
        ([2.0] * 4 + [9.0] + [2.0] * 25, True),  # a checkpoint
    ],
)
def test_enough_is_what_holds_the_median(seconds, enough):
    """Records of fifty are enough where they are alike, and not where they scatter, drift, or are too few."""
    assert is_enough(seconds, 50, percent=1, confidence=0.95, least=8) == enough


@pytest.mark.parametrize("family", FAMILIES)
def test_asked_precision_is_held_in_93_of_100_runs_that_stop(family):
    """In each family of series, nobody having tuned on any, medians of stopped runs are within 1 % in 93 of 100."""
    found = np.array([*played(FAMILIES[family], 120, 50, 1.0, seed=7)])
    early = found[found[:, 0] < 1]
    assert (early[:, 1] <= 0.01).mean() >= 0.93
    assert (found[:, 1] <= 0.01).mean() >= 0.93
