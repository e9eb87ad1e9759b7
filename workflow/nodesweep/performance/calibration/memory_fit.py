"""Measured peaks -> the constants C and phi of `memory`, with their uncertainty; or why there are none.

Robust least squares on relative residuals (scipy.optimize.least_squares, soft_l1). A run that ran out of memory shows
what there was, not what it needed, and says nothing here. phi has a value of its own without activation
checkpointing.
"""

from collections.abc import Sequence

import numpy
from scipy.optimize import OptimizeResult, least_squares

from nodesweep.common.units import MIB
from nodesweep.config.training import FACTORS, MemoryConstants
from nodesweep.performance.memory import peak

from .memory_model import FittedPeak, MemoryFit, MemoryModel
from .observations import Observation

NOISE = 0.01
"""Relative noise of a peak, and of the formula."""
FACTOR_PRIOR = (1.1, 0.15)
"""What allocators usually take over what is asked of them: what two peaks of nearly the same make leave open."""
LOSS_SCALE = 2.0
DIGITS = 8


def fit(observations: Sequence[Observation]) -> MemoryFit:
    """The constants of runs of one software stack."""
    measured = [one for one in observations if one.memory_mib is not None]
    known = [one for one in measured if not one.limited]
    if len(known) < 2:
        ended = ", all others ran out of memory or failed" if len(known) < len(measured) else ""
        runs = "no run" if not known else "1 run"
        return MemoryFit(refusal=f"{runs} with the peak of what it needed{ended}; it takes two")
    kinds = sorted({one.case.activation_checkpointing for one in known}, reverse=True)
    found = _solved(known, kinds)
    factors = dict(zip(kinds, map(_short, found.x[1:]), strict=True))
    fitted = [0, *(1 if kind else 2 for kind in kinds)]
    inverse = numpy.linalg.pinv(found.jac.T @ found.jac, hermitian=True)
    covariance = numpy.zeros((3, 3))
    covariance[numpy.ix_(fitted, fitted)] = inverse
    residuals = found.fun[: len(known)] * NOISE
    of_rows = found.jac[: len(known)]
    leverage = numpy.einsum("ij,jk,ik->i", of_rows, inverse, of_rows)
    left_out = residuals / numpy.maximum(1 - leverage, 0.01)
    return MemoryFit(
        MemoryModel(
            MemoryConstants(
                process_mib=_short(found.x[0]),
                allocator_factor=factors.get(True),
                allocator_factor_without_recomputation=factors.get(False),
            ),
            covariance=tuple(tuple(map(_short, row)) for row in covariance),
            error=_short(numpy.sqrt(numpy.mean(residuals**2))),
            rows=len(known),
        ),
        runs=tuple(
            FittedPeak(one.name, one.memory_mib, _short(error)) for one, error in zip(known, left_out, strict=True)
        ),
    )


def _short(value: float) -> float:
    return float(f"{value:.{DIGITS}g}")


def _solved(known: Sequence[Observation], kinds: Sequence[bool]) -> OptimizeResult:
    """Process MiB and the factor of each kind of recomputation."""
    measured = numpy.array([one.memory_mib for one in known])
    mean, spread = FACTOR_PRIOR

    def residuals(x: numpy.ndarray) -> numpy.ndarray:
        factors = dict(zip(kinds, x[1:], strict=True))
        constants = [
            MemoryConstants.model_construct(
                process_mib=x[0],
                allocator_factor=factors[one.case.activation_checkpointing],
                allocator_factor_without_recomputation=factors[one.case.activation_checkpointing],
            )
            for one in known
        ]
        peaks = [peak(one.case, each).later_bytes / MIB for one, each in zip(known, constants, strict=True)]
        return numpy.r_[(numpy.array(peaks) / measured - 1) / NOISE, (x[1:] - mean) / spread]

    least, most = FACTORS
    start = numpy.r_[0.1 * measured.min(), numpy.full(len(kinds), mean)]
    bounds = (numpy.r_[0, numpy.full(len(kinds), least)], numpy.r_[numpy.inf, numpy.full(len(kinds), most)])
    scale = numpy.r_[0.1 * measured.min(), numpy.full(len(kinds), 0.1)]
    return least_squares(residuals, start, bounds=bounds, x_scale=scale, loss="soft_l1", f_scale=LOSS_SCALE)
