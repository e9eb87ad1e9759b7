"""What is foreseen of a sweep's layouts, each worked out once."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from nodesweep.performance.calibration import Calibration
from nodesweep.performance.cost import SECONDS_PER_HOUR
from nodesweep.performance.forecast import Forecast, forecast
from nodesweep.sweep.layout import Layout


@dataclass(frozen=True)
class ExpectedRun:
    """Seconds that a whole run is foreseen to take; `sure` where that rests on runs or on the config."""

    seconds: float
    sure: bool


@dataclass(frozen=True)
class Forecasts:
    """Forecasts of layouts and their runs, by slug; `calibrations` by stack."""

    layouts: Mapping[str, Layout]
    calibrations: Mapping[str, Calibration]
    _by_row: dict[str, Forecast] = field(default_factory=dict)

    def of(self, slug: str) -> Forecast:
        """What is foreseen of a layout."""
        layout = self.layouts[slug]
        if layout.row not in self._by_row:
            self._by_row[layout.row] = forecast(layout, self.calibrations.get(layout.stack))
        return self._by_row[layout.row]

    def expected_run(self, slug: str) -> ExpectedRun | None:
        """What the whole run of a layout is foreseen to take; None where nothing is known of its time."""
        found, layout = self.of(slug), self.layouts[slug]
        if found.time is None or found.node_hours is None:
            return None
        sure = not found.time.guess or layout.expected_seconds is not None
        return ExpectedRun(found.node_hours * SECONDS_PER_HOUR / layout.nodes, sure)
