"""Time limits of jobs, derived from predictions where the config names none."""

from dataclasses import replace

from nodesweep.common.errors import LayoutError
from nodesweep.performance.calibration import Calibration
from nodesweep.performance.calibration.files import read_calibrations
from nodesweep.performance.forecast import forecast
from nodesweep.schedulers import SCHEDULERS
from nodesweep.sweep.layout import Layout
from nodesweep.sweep.study import Study


def with_limits(study: Study) -> Study:
    """The study with time limits by prediction, for layouts of a batch system whose config does not say how long."""
    unsaid = [
        layout
        for layout in study.layouts.values()
        if (layout.expected_seconds, layout.machine.elapse_limit_seconds) == (None, None)
        and SCHEDULERS[layout.machine.scheduler].is_batch
    ]
    known = read_calibrations(study) if unsaid else {}
    if not known:
        return study
    limited = {layout.slug: _limited(layout, known.get(layout.stack)) for layout in unsaid}
    layouts = tuple(limited.get(slug, layout) for slug, layout in study.layouts.items())
    return replace(study, expansion=replace(study.expansion, layouts=layouts))


def _limited(layout: Layout, calibration: Calibration | None) -> Layout:
    """A layout that is expected to take what its runs predict; its limit is no lower than the upper end of that."""
    time, run = forecast(layout, calibration).time, layout.iterations
    if time is None or time.guess:
        return layout
    seconds = run.startup_seconds + run.total * max(time.seconds, time.high_seconds / run.time_margin)
    try:
        return replace(layout, expected_seconds=seconds)
    except LayoutError:
        return layout  # longer than any queue takes: it keeps the longest limit of its queue
