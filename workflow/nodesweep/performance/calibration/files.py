"""Calibration files of a sweep."""

from nodesweep.common.errors import DamagedFileError, NodesweepError
from nodesweep.common.files import read_regular
from nodesweep.sweep.study import Study

from . import Calibration

_MOST_BYTES = 16 * 2**20


def read_calibrations(study: Study) -> dict[str, Calibration]:
    """What the runs of each campaign were found to say; raises NodesweepError for a file of another version."""
    found = {}
    for path in study.calibrations:
        try:
            calibration = Calibration.from_yaml(read_regular(path, _MOST_BYTES))
        except DamagedFileError:
            raise
        except NodesweepError as error:
            raise NodesweepError(f"{path}: {error}") from None
        found[calibration.campaign] = calibration
    return found
