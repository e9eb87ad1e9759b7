"""What the fit of a campaign says of a series between its measured node counts and up to twice the most of them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import takewhile

from nodesweep.config.tidy_row import TidyRow, required_count
from nodesweep.performance.calibration import Calibration
from nodesweep.performance.dimensions import Dimensions
from nodesweep.results.metrics import Basis
from nodesweep.results.metrics.row import RowContext
from nodesweep.results.scaling_kinds import BATCH
from nodesweep.sweep.broken_law import divisors
from nodesweep.sweep.constraints import replica_ranks

BEYOND = 2
"""A curve goes on up to so many times the most nodes that were measured."""


@dataclass(frozen=True)
class CurvePoint:
    """Seconds per iteration on so many nodes, DP replicas, and the interval that holds them 95 times of 100."""

    nodes: int
    data: int
    seconds: float
    low_seconds: float
    high_seconds: float


Curve = Callable[[Sequence[TidyRow]], list[CurvePoint]]
"""Rows of a series -> what the fit says of it, by rising node count; empty where nothing can be said."""


def no_curve(rows: Sequence[TidyRow]) -> list[CurvePoint]:
    """The curve where no calibration is at hand: none."""
    return []


def by_calibrations(basis: Basis) -> Curve:
    """Curves by the fits of campaigns, for every lawful number of replicas; of weak series for doublings of nodes."""

    def curve(rows: Sequence[TidyRow]) -> list[CurvePoint]:
        case, calibration = _known(basis, rows)
        if case is None or calibration is None:
            return []
        counts = [required_count(row, "nodes") for row in rows]
        most = basis.sweep.machine.max_nodes if basis.sweep else None
        found = []
        end = min(BEYOND * max(counts), max(most or 10**9, max(counts)))
        grows = len({row[BATCH] for row in rows}) > 1
        cases = _grown(case, counts, end) if grows else _replicated(case, min(counts), end)
        for one in cases:
            estimate = calibration.estimate(one)
            if estimate is not None:
                times = (estimate.seconds, estimate.low_seconds, estimate.high_seconds)
                found.append(CurvePoint(one.nodes, one.data, *times))
        return found if len(found) > 1 else []

    return curve


def _known(basis: Basis, rows: Sequence[TidyRow]) -> tuple[Dimensions | None, Calibration | None]:
    found = (RowContext(basis, row) for row in rows)
    return next(((one.case, one.calibration) for one in found if one.case and one.calibration), (None, None))


def _replicated(case: Dimensions, fewest: int, most: int) -> list[Dimensions]:
    """The case at every node count from the fewest to the most that its batch and its ranks split over."""
    found = []
    for data in divisors(case.global_batch // case.micro_batch):
        ranks = data * replica_ranks(vars(case))
        nodes, left = divmod(ranks, case.ranks_per_node)
        if not left and fewest <= nodes <= most:
            found.append(case.changed(nodes=nodes, data=data))
    return [one for one in found if one.is_lawful]


def _grown(case: Dimensions, counts: Sequence[int], most: int) -> list[Dimensions]:
    """The case on these numbers of nodes and on doublings of the fewest, with as much of the batch for each rank."""
    doublings = takewhile(lambda count: count <= most, (min(counts) * 2**power for power in range(most.bit_length())))
    ranks_of_case, replica = case.nodes * case.ranks_per_node, replica_ranks(vars(case))
    found = []
    for nodes in sorted({*counts, *doublings}):
        ranks = nodes * case.ranks_per_node
        (data, left), (batch, rest) = divmod(ranks, replica), divmod(case.global_batch * ranks, ranks_of_case)
        if not left and not rest:
            found.append(case.changed(nodes=nodes, data=data, global_batch=batch))
    return [one for one in found if one.is_lawful]
