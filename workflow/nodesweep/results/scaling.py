"""Explained rows of results.csv -> what follows: the best layout of each node count, and where scaling goes."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import groupby

from nodesweep.config.tidy_row import TidyRow, TidyValue, number_of, required_count, required_number

from .comparable import group_of
from .scaling_kinds import (
    THROUGHPUT,
    Scaling,
    ScalingSeries,
    efficiency_percent,
    is_timed,
    seconds_of_sample,
    series_over_nodes,
)

_SHARES = ("compute_percent", "bubble_percent", "sharing_percent")
UNEXPLAINED = "what no fit tells"
"""The cause of a loss where the parts of the times are not known."""
SAME = 0.01
"""A speed per node that differs by less is the same."""
_LEAST_SECONDS = 1e-12


@dataclass(frozen=True)
class BestLayout:
    """The fastest measured layout of a node count, those that may be as fast, and the unmeasured that may be faster.

    `measured`: the number of measured layouts. `among`: the series it was sought in, empty where there is one alone.
    """

    row: TidyRow
    measured: int
    ties: tuple[TidyRow, ...]
    unmeasured: tuple[TidyRow, ...]
    among: str = ""


@dataclass(frozen=True)
class ScalingLoss:
    """Speed per node between two rows of one series.

    `factors`: by how many times the node-seconds of a sample grow by each cause; their product is 1 / efficiency.
    `series`: that of the rows, None where it is not asked for.
    """

    first: TidyRow
    last: TidyRow
    factors: Mapping[str, float]
    series: ScalingSeries | None = None

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

    Where series of several batches stand side by side, it is sought among all of them, then in each. Two tie where the
    intervals of their times overlap.
    """
    groups: dict[tuple[TidyValue, ...], list[TidyRow]] = {}
    for row in rows:
        if row["nodes"] and row["global_batch_samples"] and row["sequence_length_tokens"]:
            groups.setdefault(group_of(row), []).append(row)
    return [best for group in groups.values() for best in _bests(group)]


def _bests(group: Sequence[TidyRow]) -> list[BestLayout]:
    """The best of each node count of one campaign, model and sequence length, in each of its series."""
    everything = _of_each_count(group)
    series = [one for one in series_over_nodes(group, group_of).values() if not one.kind.any_batch]
    timed = [row for row in group if is_timed(row)]
    if not series or any(len(one.rows) == len(timed) for one in series):
        return everything
    found: list[BestLayout] = []
    for one in series:
        alike = [row for row in group if one.kind.batch_of(row) == one.batch]
        found += [replace(best, among=one.words) for best in _of_each_count(alike)]
    return [*(replace(best, among=THROUGHPUT.words("any")) for best in everything), *found]


def _of_each_count(rows: Sequence[TidyRow]) -> list[BestLayout]:
    ordered = sorted(rows, key=lambda row: required_count(row, "nodes"))
    found = (_best(list(group)) for _, group in groupby(ordered, key=lambda row: row["nodes"]))
    return [best for best in found if best is not None]


def _best(group: Sequence[TidyRow]) -> BestLayout | None:
    """The best of the layouts of one node count; None where none was measured."""
    timed = [row for row in group if is_timed(row)]
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
    """The loss from the fewest nodes to the most, of each series over numbers of nodes.

    Its cause is UNEXPLAINED where the rows do not say where their time goes.
    """
    for series in Scaling.of(rows).series:
        base, last = series.base, series.last
        if None not in [one[name] for one in (base, last) for name in _SHARES] and base["compute_percent"]:
            yield ScalingLoss(base, last, _factors(base, last), series)
        elif kept := efficiency_percent(last, base):
            yield ScalingLoss(base, last, {UNEXPLAINED: 100 / kept}, series)


def _factors(base: TidyRow, row: TidyRow) -> dict[str, float]:
    first, last = _split(base), _split(row)
    return {name: last[name] / first[name] for name in last}


def _split(row: TidyRow) -> dict[str, float]:
    """Node-seconds of computing a sample; how many times as much with the bubble; how many times that with the sync."""
    compute, bubble, sharing = (required_number(row, name) / 100 for name in _SHARES)
    node_seconds = seconds_of_sample(row) * required_count(row, "nodes")
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
