"""Explained rows of results.csv -> what follows: the best layout of each node count, and where scaling goes."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby

from nodesweep.common.outcomes import is_result
from nodesweep.config.tidy_row import TidyRow, number_of, required_count, required_number, required_text, text_of

from .comparable import group_of
from .metrics import bases

_SHARES = ("compute_percent", "bubble_percent", "sharing_percent")
SAME = 0.01
"""A speed per node that differs by less is the same."""
_LEAST_SECONDS = 1e-12


@dataclass(frozen=True)
class BestLayout:
    """The fastest measured layout of a node count, those that may be as fast, and the unmeasured that may be faster.

    `measured`: the number of measured layouts.
    """

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
        """The share of each cause in the loss, on a logarithmic scale; below 0 for a cause that gives some back."""
        whole = -math.log(self.kept)
        return {name: math.log(factor) / whole for name, factor in self.factors.items()}


def best_of_each(rows: Sequence[TidyRow]) -> list[BestLayout]:
    """The best of each node count of a campaign, model and sequence length, by tokens per second.

    Two tie where the intervals of their times overlap.
    """
    known = [row for row in rows if row["nodes"] and row["global_batch_samples"] and row["sequence_length_tokens"]]
    order = {key: number for number, key in enumerate(dict.fromkeys(map(group_of, known)))}

    def place(row: TidyRow) -> tuple[int, int]:
        return order[group_of(row)], required_count(row, "nodes")

    found = (_best(list(group)) for _, group in groupby(sorted(known, key=place), key=place))
    return [best for best in found if best is not None]


def _best(group: Sequence[TidyRow]) -> BestLayout | None:
    """The best of the layouts of one node count; None where none was measured."""
    timed = [row for row in group if _is_timed(row)]
    if not timed:
        return None
    best = max(timed, key=tokens_per_second)
    close = (row for row in timed if row is not best and _fastest(row) >= _slowest(best))
    rest = (row for row in group if row["outcome"] is None and row["predicted_seconds_low"])
    return BestLayout(
        row=best,
        measured=len(timed),
        ties=tuple(sorted(close, key=tokens_per_second, reverse=True)),
        unmeasured=tuple(
            row
            for row in rest
            if _tokens(row) / required_number(row, "predicted_seconds_low") > tokens_per_second(best)
        ),
    )


def losses(rows: Sequence[TidyRow]) -> Iterator[ScalingLoss]:
    """The loss from the fewest nodes to the most, of each problem that several node counts have run."""
    ends: dict[str, tuple[TidyRow, TidyRow]] = {}
    for row, base in zip(rows, bases(rows), strict=True):
        if base is not None and _is_timed(row) and row["nodes"]:
            problem = required_text(base, "slug")
            _, end = ends.get(problem, (base, base))
            if _reach(row) > _reach(end):
                ends[problem] = (base, row)
    for base, row in ends.values():
        if None not in [one[name] for one in (base, row) for name in _SHARES] and base["compute_percent"]:
            yield ScalingLoss(base, row, _factors(base, row))


def _is_timed(row: TidyRow) -> bool:
    """Whether the time of a row stands for its layout."""
    return is_result(text_of(row, "outcome")) and bool(row["iteration_seconds"])


def _reach(row: TidyRow) -> tuple[int, float]:
    """The order of the rows of a problem: the most nodes last, of these the fastest."""
    return required_count(row, "nodes"), -required_number(row, "iteration_seconds")


def _factors(base: TidyRow, row: TidyRow) -> dict[str, float]:
    first, last = _split(base), _split(row)
    return {name: last[name] / first[name] for name in last}


def _split(row: TidyRow) -> dict[str, float]:
    """Node-seconds of computing; how many times as much with the bubble; how many times that with the sync."""
    compute, bubble, sharing = (required_number(row, name) / 100 for name in _SHARES)
    node_seconds = required_number(row, "iteration_seconds") * required_count(row, "nodes")
    return {
        "the pipeline bubble": (compute + bubble) / compute,
        "shared cores": (compute + bubble + sharing) / (compute + bubble),
        "the DP sync": 1 / (compute + bubble + sharing),
        "the micro batches themselves": node_seconds * compute,
    }


def _tokens(row: TidyRow) -> int:
    """Tokens of an iteration."""
    return required_count(row, "global_batch_samples") * required_count(row, "sequence_length_tokens")


def tokens_per_second(row: TidyRow) -> float:
    """Tokens per second of all nodes of a measured row."""
    return _tokens(row) / required_number(row, "iteration_seconds")


def _fastest(row: TidyRow) -> float:
    seconds = required_number(row, "iteration_seconds") - (number_of(row, "iteration_seconds_error") or 0.0)
    return _tokens(row) / max(seconds, _LEAST_SECONDS)


def _slowest(row: TidyRow) -> float:
    return _tokens(row) / (
        required_number(row, "iteration_seconds") + (number_of(row, "iteration_seconds_error") or 0.0)
    )
