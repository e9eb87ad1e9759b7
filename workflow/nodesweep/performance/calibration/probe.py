"""The cheapest run that would tell what the measured ones do not.

The time of an iteration is linear in the micro batches, so that a run with a global batch of PP x DP x MBS, m = p,
tells the same parameters for a fraction of the node-hours.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from nodesweep.performance.cost import node_hours
from nodesweep.performance.dimensions import Dimensions
from nodesweep.performance.timing import FORMS, passes

from .time_model import Base, TimeModel

ENOUGH = 2.0
"""Times its standard error that the sync must be to count as told, with some in hand."""


@dataclass(frozen=True)
class Probe:
    """A run that would do; node-hours of an iteration of it, and of one of the case it stands for."""

    case: Dimensions
    node_hours: float
    whole_node_hours: float

    def __str__(self) -> str:
        case = self.case
        return (
            f"nodes {case.nodes}, DP {case.data}, MP {case.tensor}, PP {case.pipeline}, MBS {case.micro_batch}, GBS "
            f"{case.global_batch} (m = PP): {self.node_hours:.3g} node-hours an iteration instead of "
            f"{self.whole_node_hours:.3g}"
        )


def small(case: Dimensions) -> Dimensions:
    """The same with as few micro batches as there are stages, where it has more."""
    return case.changed(global_batch=min(case.global_batch, case.pipeline * case.data * case.micro_batch))


def cheapest(model: TimeModel, cases: Iterable[Dimensions]) -> Probe | None:
    """The cheapest of the cases, run small, after which the sync is known; None where no single one does it."""
    found = []
    for case in cases:
        if case.data > 1 and _significance(model, small(case)) >= ENOUGH:
            found.append(Probe(small(case), _node_hours(model, small(case)), _node_hours(model, case)))
    return min(found, key=lambda probe: probe.node_hours, default=None)


def _node_hours(model: TimeModel, case: Dimensions) -> float:
    return node_hours(model.estimate(case).seconds, case.nodes)


def _significance(model: TimeModel, case: Dimensions) -> float:
    """What the sync would be over its standard error, had a case been measured too; the mean of the forms."""
    base = Base.of(case, model.fewest_tokens, model.clock_ghz)
    total = 0.0
    for form in model.forms:
        micro, variance, shared, _ = form.micro_batch(case, base)
        factor, spent = FORMS[form.name](case.data), micro * passes(case)
        seconds = spent + form.sync_seconds * factor
        by_micro, by_sync = spent / seconds, factor / seconds
        along = by_micro * shared + by_sync * form.covariance[3][3]
        told = by_micro**2 * variance + 2 * by_micro * by_sync * shared + by_sync**2 * form.covariance[3][3]
        left = form.covariance[3][3] - along**2 / (told + model.noise**2)
        total += form.weight * (form.sync_seconds / max(left, 1e-12) ** 0.5)
    return total
