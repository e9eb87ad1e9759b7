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
    efficiency_interval,
    efficiency_percent,
    is_timed,
    seconds_of_sample,
    series_over_nodes,
    with_own_rows,
)

_SHARES = ("compute_percent", "bubble_percent", "sharing_percent")
UNEXPLAINED = "what no fit tells"
"""The cause of a loss where the parts of the times are not known."""
REST = "the micro batches themselves"
"""The cause of what no part of the fit explains."""
SAME = 0.01
"""A speed per node that differs by less is the same."""
MOST_APART = 2
"""By how many times a loss may be larger at one end of its interval than at the other, for causes to be told."""
_LEAST_SECONDS = 1e-12


@dataclass(frozen=True)
class BestLayout:
    """The fastest measured layout of a node count, those that may be as fast, and the unmeasured that may be faster.

    `measured`: the number of measured layouts. `among`: the series it was sought in, in words, empty where there is
    one alone; `series`: that series, None where it was sought at any batch.
    """

    row: TidyRow
    measured: int
    ties: tuple[TidyRow, ...]
    unmeasured: tuple[TidyRow, ...]
    among: str = ""
    series: ScalingSeries | None = None


@dataclass(frozen=True)
class ScalingLoss:
    """Speed per node between two rows of one series.

    `factors`: by how many times the node-seconds of a sample grow by each cause; their product is 1 / efficiency.
    `series`: that of the rows, None where it is not asked for. `between`: shares of the speed per node between which
    what is left lies by the runs of both rows, where both ran several times.
    """

    first: TidyRow
    last: TidyRow
    factors: Mapping[str, float]
    series: ScalingSeries | None = None
    between: tuple[float, float] | None = None

    @property
    def kept(self) -> float:
        """What is left of the speed per node."""
        return 1 / math.prod(self.factors.values())

    @property
    def shares(self) -> dict[str, float]:
        """The share of each cause in the loss, on a logarithmic scale; below 0 for a cause that gives some back."""
        return self._shares(self.kept)

    @property
    def is_told(self) -> bool:
        """Whether the runs agree so well that shares in the loss mean something.

        That is where it is no more than twice as much, on a logarithmic scale, at one end of the interval as at the
        other.
        """
        if self.between is None:
            return True
        most, least = sorted((-math.log(end) for end in self.between), key=abs, reverse=True)
        return most * least > 0 and most / least <= MOST_APART

    @property
    def reach(self) -> dict[str, tuple[float, float]]:
        """Between what the share of each cause in the loss lies, by the runs of both rows.

        What the fit tells of bubble, shared cores and sync is taken as known; the micro batches have the rest.
        """
        ends = [self._shares(kept) for kept in self.between or (self.kept, self.kept)]
        pairs = {name: [one[name] for one in ends] for name in self.factors}
        return {name: (min(pair), max(pair)) for name, pair in pairs.items()}

    def _shares(self, kept: float) -> dict[str, float]:
        """The share of each cause, if so much of the speed per node is left: REST has what the others do not."""
        whole = -math.log(kept)
        found = {name: math.log(factor) / whole for name, factor in self.factors.items()}
        return found | ({REST: found[REST] + 1 - sum(found.values())} if REST in found else {})


def best_of_each(rows: Sequence[TidyRow]) -> list[BestLayout]:
    """The best of each node count of a campaign, model and sequence length, by tokens per second.

    Where series of several batches stand side by side, it is sought among all of them, then in each that has layouts
    of its own: in a grid of nodes and batches weak series have the layouts of the strong ones. Two tie where the
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
    timed = [row for row in group if is_timed(row)]
    series = with_own_rows(one for one in series_over_nodes(timed, group_of).values() if not one.kind.any_batch)
    if not series or any(len(one.rows) == len(timed) for one in series):
        return everything
    found: list[BestLayout] = []
    for one in series:
        alike = [row for row in group if one.kind.batch_of(row) == one.batch]
        found += [replace(best, among=one.words, series=one) for best in _of_each_count(alike)]
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
        percents = efficiency_interval(last, base)
        between = (percents[0] / 100, percents[1] / 100) if percents else None
        if None not in [one[name] for one in (base, last) for name in _SHARES] and base["compute_percent"]:
            yield ScalingLoss(base, last, _factors(base, last), series, between)
        elif kept := efficiency_percent(last, base):
            yield ScalingLoss(base, last, {UNEXPLAINED: 100 / kept}, series, between)


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
        REST: node_seconds * compute,
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
