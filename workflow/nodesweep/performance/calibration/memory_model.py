"""Fitted constants of memory, and how surely they predict."""

import math
from dataclasses import dataclass

from nodesweep.common.units import MIB
from nodesweep.config.training import MemoryConstants
from nodesweep.performance.dimensions import Dimensions
from nodesweep.performance.memory import peak


@dataclass(frozen=True)
class MemoryModel:
    """Fitted constants; `covariance` of process MiB and the factors with and without recomputation, 0 where not fitted.

    `error`: root mean square of the residuals, relative. `rows`: number of runs they were fitted to.
    """

    constants: MemoryConstants
    covariance: tuple[tuple[float, ...], ...]
    error: float
    rows: int

    def error_bytes(self, case: Dimensions) -> float:
        """Standard error of a predicted peak."""
        found = peak(case, self.constants).of
        used = 1 if case.activation_checkpointing else 2
        slope = {0: 1.0, used: found.tensor_bytes / MIB}
        variance = sum(a * b * self.covariance[i][j] for i, a in slope.items() for j, b in slope.items())
        return math.hypot(math.sqrt(max(variance, 0.0)) * MIB, self.error * found.later_bytes)


@dataclass(frozen=True)
class FittedPeak:
    """A run that the constants were fitted to.

    `left_out_error`: how far, relative, a prediction by the other runs alone is off its peak.
    """

    name: str
    mib: float
    left_out_error: float


@dataclass(frozen=True)
class MemoryFit:
    """The constants of a campaign's peaks of memory, or the reason why there are none."""

    model: MemoryModel | None = None
    refusal: str = ""
    runs: tuple[FittedPeak, ...] = ()
