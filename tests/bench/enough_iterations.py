"""What `iterations.enough` saves and how often it holds, over families of series: enough_iterations.py --runs 1000."""

import argparse
from collections.abc import Callable, Iterator

import numpy as np

from nodesweep.results.enough_rule import is_enough, looks

Series = Callable[[np.random.Generator, int, float], np.ndarray]


def _autocorrelated(dice: np.random.Generator, count: int, noise: float, share: float) -> np.ndarray:
    values = [dice.normal(0, noise)]
    for _ in range(count - 1):
        values.append(share * values[-1] + dice.normal(0, noise * (1 - share**2) ** 0.5))
    return np.array(values)


def _spikes(dice: np.random.Generator, count: int, noise: float) -> np.ndarray:
    return dice.normal(0, noise, count) + np.where((np.arange(count) + dice.integers(7)) % 7 == 0, 0.4, 0)


def _sawtooth(dice: np.random.Generator, count: int, noise: float) -> np.ndarray:
    """Slower and slower until a checkpoint, every ten."""
    return dice.normal(0, noise, count) + 4 * noise * (((np.arange(count) + dice.integers(10)) % 10) / 10)


FAMILIES: dict[str, Series] = {
    "independent": lambda dice, count, noise: dice.normal(0, noise, count),
    "AR(1) 0.3": lambda dice, count, noise: _autocorrelated(dice, count, noise, 0.3),
    "AR(1) 0.6": lambda dice, count, noise: _autocorrelated(dice, count, noise, 0.6),
    "AR(1) 0.9": lambda dice, count, noise: _autocorrelated(dice, count, noise, 0.9),
    "drift of 2 %": lambda dice, count, noise: dice.normal(0, noise, count) + np.linspace(0, 0.02, count),
    "drift of 5 %": lambda dice, count, noise: dice.normal(0, noise, count) + np.linspace(0, 0.05, count),
    "random walk": lambda dice, count, noise: np.cumsum(dice.normal(0, noise / 5, count)),
    "two levels 5 % apart": lambda dice, count, noise: (
        dice.normal(0, noise, count) + 0.05 * dice.integers(2, size=count)
    ),
    "Student's t of 2": lambda dice, count, noise: noise * dice.standard_t(2, count),
    "log-normal": lambda dice, count, noise: noise * (np.exp(dice.normal(0, 1, count)) - 1),
    "spike every 7": _spikes,
    "sawtooth of 10": _sawtooth,
}
NOISES = (0.002, 0.005, 0.01, 0.03)


def played(
    family: Series, runs: int, total: int, percent: float, seed: int, digits: int = 9
) -> Iterator[tuple[float, float]]:
    """The share of iterations spent and the relative error of the median, run by run.

    `digits`: of iterations of about one second that a log prints behind the point; the error is against the unrounded.
    """
    dice, rounding = np.random.default_rng(seed), 0.5 * 10.0**-digits
    for number in range(runs):
        values = np.maximum(1 + family(dice, total, NOISES[number % len(NOISES)]), 0.1)
        whole = float(np.median(values))
        seen = np.round(values, digits)
        stopped = (count for count in looks(8, total) if is_enough(seen[:count], total, percent, 0.95, 8, rounding))
        count = next(stopped, total)
        yield count / total, abs(float(np.median(seen[:count])) / whole - 1)


def main() -> None:
    """Print a table: a row for each family and length of run."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=400)
    parser.add_argument("--percent", type=float, default=1.0)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--digits", type=int, default=9, help="behind the point, of iterations of about a second")
    options = parser.parse_args()
    print("| series | iterations | spent | stopped early | median error | held, all | held, those stopped |")
    print("|---|---|---|---|---|---|---|")
    for name, family in FAMILIES.items():
        for total in (50, 200):
            found = np.array([*played(family, options.runs, total, options.percent, options.seed, options.digits)])
            early = found[found[:, 0] < 1]
            within = options.percent / 100
            held, of_stopped = (float((one[:, 1] <= within).mean()) if len(one) else 1.0 for one in (found, early))
            error = float(np.median(early[:, 1])) * 100 if len(early) else 0.0
            shares = f"{found[:, 0].mean():.2f} | {len(early) / len(found):.2f} | {error:.2f} %"
            print(f"| {name} | {total} | {shares} | {held:.3f} | {of_stopped:.3f} |")


if __name__ == "__main__":
    main()
