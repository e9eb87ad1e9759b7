"""Calibration files of a sweep."""

from nodesweep.common.errors import NodesweepError
from nodesweep.sweep.study import Study

from . import Calibration


def read_calibrations(study: Study) -> dict[str, Calibration]:
    """What the runs of each campaign were found to say; raises NodesweepError for a file of another version."""
    found = {}
    for path in study.calibrations:
        try:
            calibration = Calibration.from_yaml(path.read_text())
        except NodesweepError as error:
            raise NodesweepError(f"{path}: {error}") from None
        found[calibration.campaign] = calibration
    return found
