"""Explained rows of results.csv -> what follows: the best layout of each node count, and where scaling goes."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from nodesweep.config.tidy_row import TidyRow

from .metrics import bases

_SHARES = ("compute_percent", "bubble_percent", "sharing_percent")
SAME = 0.01
"""A speed per node that differs by less is the same."""


@dataclass(frozen=True)
class BestLayout:
    """The fastest measured layout of a node count, those that may be as fast, and the unmeasured that may be faster."""

    row: TidyRow
    measured: int
    ties: tuple[TidyRow, ...]
    unmeasured: tuple[TidyRow, ...]


@dataclass(frozen=True)
class ScalingLoss:
    """Speed per node between two rows of one problem.

    `factors`: by how many times the node-seconds of an iteration grow by each cause; their product is 1 / efficiency.
    """

    first: TidyRow
    last: TidyRow
    factors: Mapping[str, float]

    @property
    def kept(self) -> float:
        """What is left of the speed per node."""
        return 1 / math.prod(self.factors.values())

    @property
    def shares(self) -> dict[str, float]:
        """What each cause has of the loss, on a logarithmic scale; below 0 for what gives some back."""
        whole = -math.log(self.kept)
        return {name: math.log(factor) / whole for name, factor in self.factors.items()}


def best_of_each(rows: Sequence[TidyRow]) -> list[BestLayout]:
    """The best of each node count of a campaign, model and sequence length, by tokens per second.

    Two tie where the intervals of their times overlap.
    """
    known = [row for row in rows if row["nodes"] and row["global_batch_samples"] and row["sequence_length_tokens"]]
    order = {key: number for number, key in enumerate(dict.fromkeys(map(_group, known)))}
    found = []
    for _, part in groupby(
        sorted(known, key=lambda row: (order[_group(row)], row["nodes"])), key=lambda row: (_group(row), row["nodes"])
    ):
        group = list(part)
        timed = [row for row in group if row["outcome"] == "ok" and row["iteration_seconds"]]
        if timed:
            best = max(timed, key=_speed)
            close = (row for row in timed if row is not best and _fastest(row) >= _slowest(best))
            ties = tuple(sorted(close, key=_speed, reverse=True))
            rest = (row for row in group if row["outcome"] is None and row["predicted_seconds_low"])
            unmeasured = tuple(row for row in rest if _tokens(row) / row["predicted_seconds_low"] > _speed(best))
            found.append(BestLayout(best, len(timed), ties, unmeasured))
    return found


def losses(rows: Sequence[TidyRow]) -> Iterator[ScalingLoss]:
    """From the fewest nodes to the most, of each problem that several node counts have run."""
    ends: dict[str, tuple[TidyRow, TidyRow]] = {}
    for row, base in zip(rows, bases(rows), strict=True):
        if base is not None and row["outcome"] == "ok" and row["iteration_seconds"] and row["nodes"]:
            end = ends.get(base["slug"], (base, base))[1]
            if (row["nodes"], -row["iteration_seconds"]) > (end["nodes"], -end["iteration_seconds"]):
                ends[base["slug"]] = (base, row)
    for base, row in ends.values():
        if None not in [one[name] for one in (base, row) for name in _SHARES] and base["compute_percent"]:
            yield ScalingLoss(base, row, _factors(base, row))


def _factors(base: TidyRow, row: TidyRow) -> dict[str, float]:
    first, last = _split(base), _split(row)
    return {name: last[name] / first[name] for name in last}


def _split(row: TidyRow) -> dict[str, float]:
    """Node-seconds of computing; how many times as much with the bubble; how many times that with the sync."""
    compute, bubble, sharing = (row[name] / 100 for name in _SHARES)
    return {
        "the pipeline bubble": (compute + bubble) / compute,
        "shared cores": (compute + bubble + sharing) / (compute + bubble),
        "the DP sync": 1 / (compute + bubble + sharing),
        "the micro batches themselves": row["iteration_seconds"] * row["nodes"] * compute,
    }


def _group(row: TidyRow) -> tuple[Any, ...]:
    """What rows have in common among which the best is sought."""
    model = row["model_size"] or (row["layers"], row["hidden_size"])
    return row["campaign"], model, row["sequence_length_tokens"]


def _tokens(row: TidyRow) -> int:
    return row["global_batch_samples"] * row["sequence_length_tokens"]


def _speed(row: TidyRow) -> float:
    """Tokens per second."""
    return _tokens(row) / row["iteration_seconds"]


def _fastest(row: TidyRow) -> float:
    return _tokens(row) / max(row["iteration_seconds"] - (row["iteration_seconds_error"] or 0.0), 1e-12)


def _slowest(row: TidyRow) -> float:
    return _tokens(row) / (row["iteration_seconds"] + (row["iteration_seconds_error"] or 0.0))
