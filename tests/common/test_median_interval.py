"""Tests of the interval of a median, against sums of binomials that a reader can write down and against draws."""

import random
import statistics

import pytest

from nodesweep.common.median_interval import MedianInterval, median_interval, median_ranks, widest_median_interval


@pytest.mark.parametrize(
    ("count", "confidence", "expected"),
    [
        (0, 0.5, None),
        (1, 0.5, None),
        (2, 0.5, (1, 0.5)),  # 2 of 4 cases have one value on each side
        (3, 0.75, (1, 0.75)),  # 6 of 8
        (3, 0.76, None),
        (4, 0.3, (2, 0.375)),  # 6 of 16 have two on each side
        (4, 0.8, (1, 0.875)),  # 14 of 16
        (5, 0.95, None),  # 30 of 32 = 0.9375
        (6, 0.95, (1, 0.96875)),  # 62 of 64
        (8, 0.9, (2, 0.9296875)),  # 1 - 2 (1 + 8) / 256
        (20, 0.95, (6, 1 - 2 * (1 + 20 + 190 + 1140 + 4845 + 15504) / 2**20)),
    ],
)
def test_ranks_hold_the_median_as_often_as_binomials_say(count, confidence, expected):
    """The two ranks are the narrowest that hold the median often enough, with the share that the binomials give."""
    found = median_ranks(count, confidence)
    assert found == (expected and (expected[0], pytest.approx(expected[1], abs=1e-12)))


def test_interval_is_of_sorted_values():
    """Of eight values in any order the second and the seventh hold the median in 93 of 100 cases."""
    assert median_interval([8, 1, 7, 2, 6, 3, 5, 4], 0.9) == MedianInterval(2, 7, 0.9296875)
    assert median_interval([8, 1, 7, 2, 6, 3, 5, 4], 0.999) is None


def test_widest_interval_of_few_values_says_its_level():
    """Lowest and highest of three values hold the median in 75 of 100 cases; one value says nothing."""
    assert widest_median_interval([3.0, 1.0, 2.0]) == MedianInterval(1.0, 3.0, 0.75)
    assert widest_median_interval(iter([5.0, 4.0])) == MedianInterval(4.0, 5.0, 0.5)
    assert widest_median_interval([5.0]) is None


def test_many_values_need_no_long_sums():
    """A hundred thousand values are ranked as the normal distribution says: 310 ranks from the middle for 95 of 100."""
    rank, held = median_ranks(100_000, 0.95)
    assert rank == pytest.approx(50_000 - 1.96 * 100_000**0.5 / 2, abs=2)
    assert 0.95 <= held < 0.951


@pytest.mark.parametrize("draw", [lambda dice: dice.expovariate(1), lambda dice: dice.gauss(0, 1) ** 3])
def test_median_is_held_as_often_as_said_whatever_the_distribution(draw):
    """In 4000 samples of 12 the interval holds the median as often as its level says, within three standard errors."""
    dice = random.Random(7)
    true = statistics.median(draw(dice) for _ in range(100_001))
    intervals = [median_interval([draw(dice) for _ in range(12)], 0.9) for _ in range(4000)]
    level = intervals[0].confidence
    held = sum(each.low <= true <= each.high for each in intervals) / len(intervals)
    assert held == pytest.approx(level, abs=3 * (level * (1 - level) / 4000) ** 0.5 + 0.003)
