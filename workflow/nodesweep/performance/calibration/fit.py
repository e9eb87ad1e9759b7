"""Measured runs of one campaign -> its calibration. It imports scipy, which takes a second: only where needed."""

from collections.abc import Iterable, Sequence

from nodesweep.performance.dimensions import Dimensions
from nodesweep.performance.timing import no_time_formula

from . import Calibration
from . import memory_fit as memories
from . import probe as probes
from . import time_fit as times
from .observations import ExcludedRun, Observation


def calibrate(
    campaign: str,
    observations: Sequence[Observation],
    excluded: Iterable[ExcludedRun] = (),
    targets: Sequence[Dimensions] = (),
) -> Calibration:
    """Fit time and memory of the runs of a campaign. `targets`: the cases that are to be predicted."""
    time = times.fit(observations, targets, each=True)
    probe = None
    if time.refusal and time.model is not None:
        cases = [*targets, *(one.case for one in observations)]
        probe = probes.cheapest(time.model, (case for case in cases if not no_time_formula(case)))
    return Calibration(
        campaign=campaign,
        time=time,
        memory=memories.fit(observations),
        left_out=tuple(excluded),
        probe=probe,
    )
