"""The cheapest run that would determine what the measured ones do not.

The time of an iteration is linear in the micro batches, so that a run with a global batch of PP x DP x MBS, m = p,
determines the same parameters for a fraction of the node-hours.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from nodesweep.config.layout_field import LayoutField
from nodesweep.config.layout_fields import LAYOUT_FIELDS
from nodesweep.performance.cost import node_hours
from nodesweep.performance.dimensions import Dimensions
from nodesweep.performance.timing import passes

from .time_model import TimeModel

ENOUGH = 2.0
"""Times its standard error that the sync must be to count as determined, with some in hand."""


@dataclass(frozen=True)
class Probe:
    """A run that would do; node-hours of an iteration of it, and of one of the case it stands for."""

    case: Dimensions
    node_hours: float
    whole_node_hours: float

    def __str__(self) -> str:
        counts = (row for row in LAYOUT_FIELDS.values() if row.axis and row.kind == "count")
        words = (row.phrase(self.case.maybe(row.name)) for row in counts if _is_shown(row, self.case))
        return (
            f"{', '.join(words)} (m = PP): {self.node_hours:.3g} node-hours an iteration instead of "
            f"{self.whole_node_hours:.3g}"
        )


def _is_shown(row: LayoutField, case: Dimensions) -> bool:
    """Whether a probe names a field: one that every table shows, or one whose value is not its default."""
    return row.in_tables == "always" or (row.default is not None and not row.is_default(case.maybe(row.name)))


def small(case: Dimensions) -> Dimensions:
    """A case with as few micro batches as there are stages, where it has more."""
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
    work, total = model.work_of(case), 0.0
    for form in model.forms:
        micro, factor, sync_variance = form.micro_batch(case, work), form.sync_factor(case), form.sync_variance
        spent = micro.seconds * passes(case)
        seconds = spent + form.sync_seconds * factor
        by_micro, by_sync = spent / seconds, factor / seconds
        along = by_micro * micro.sync_covariance + by_sync * sync_variance
        variance = (
            by_micro**2 * micro.variance + 2 * by_micro * by_sync * micro.sync_covariance + by_sync**2 * sync_variance
        )
        left = sync_variance - along**2 / (variance + model.noise**2)
        total += form.weight * (form.sync_seconds / max(left, 1e-12) ** 0.5)
    return total
