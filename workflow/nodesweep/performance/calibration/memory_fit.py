"""Measured peaks -> the constants C and phi of `memory`, with their uncertainty; or why there are none.

Robust least squares on relative residuals (scipy.optimize.least_squares, soft_l1). A run that ran out of memory shows
what there was, not what it needed, so it is left out. phi has a value of its own without activation checkpointing.
"""

from collections.abc import Sequence

import numpy

from nodesweep.common.arrays import FloatArray
from nodesweep.common.units import MIB
from nodesweep.config.training import FACTORS, MemoryConstants
from nodesweep.performance.dimensions import Dimensions
from nodesweep.performance.memory import no_formula, peak

from .least_squares import LeastSquaresSolution, kept_digits, solve
from .memory_model import FittedPeak, MemoryFit, MemoryModel
from .observations import Observation

NOISE = 0.01
"""Relative noise of a peak, and of the formula."""
FACTOR_PRIOR = (1.1, 0.15)
"""Mean and standard deviation of phi where two peaks of nearly the same layout leave it open."""
_PARAMETERS = 3
"""C, phi with activation checkpointing, phi without."""


def fit(observations: Sequence[Observation]) -> MemoryFit:
    """The constants of runs of one software stack."""
    measured = [one for one in observations if one.memory_mib is not None]
    whole = [one for one in measured if not one.limited and not no_formula(one.case)]
    if len(whole) < 2:
        ended = ", all others ran out of memory or failed" if len(whole) < len(measured) else ""
        ended = next((f", {reason}" for one in measured if (reason := no_formula(one.case))), ended)
        runs = "no run" if not whole else "1 run"
        return MemoryFit(refusal=f"{runs} with the peak of what it needed{ended}; it takes two")
    cases = [one.case for one in whole]
    peaks_mib = numpy.array([one.memory_mib for one in whole], dtype=float)
    kinds = sorted({case.activation_checkpointing for case in cases}, reverse=True)
    found = _solved(cases, peaks_mib, kinds)
    inverse = numpy.linalg.pinv(found.jacobian.T @ found.jacobian, hermitian=True)
    residuals = found.residuals[: len(whole)] * NOISE
    left_out = residuals / numpy.maximum(1 - _leverages(found, inverse, len(whole)), 0.01)
    return MemoryFit(
        _model(found.parameters, kinds, inverse, residuals),
        runs=tuple(
            FittedPeak(one.name, float(mib), kept_digits(error))
            for one, mib, error in zip(whole, peaks_mib, left_out, strict=True)
        ),
    )


def _model(parameters: FloatArray, kinds: Sequence[bool], inverse: FloatArray, residuals: FloatArray) -> MemoryModel:
    factors = dict(zip(kinds, map(kept_digits, parameters[1:]), strict=True))
    fitted = [0, *(1 if recomputed else 2 for recomputed in kinds)]
    covariance = numpy.zeros((_PARAMETERS, _PARAMETERS))
    covariance[numpy.ix_(fitted, fitted)] = inverse
    return MemoryModel(
        MemoryConstants(
            process_mib=kept_digits(parameters[0]),
            allocator_factor=factors.get(True),
            allocator_factor_without_recomputation=factors.get(False),
        ),
        covariance=tuple(tuple(map(kept_digits, row)) for row in covariance),
        error=kept_digits(numpy.sqrt(numpy.mean(residuals**2))),
        rows=len(residuals),
    )


def _leverages(found: LeastSquaresSolution, inverse: FloatArray, runs: int) -> FloatArray:
    """How far each run determines what is fitted to it, from 0 to 1."""
    of_runs = found.jacobian[:runs]
    leverages: FloatArray = numpy.einsum("ij,jk,ik->i", of_runs, inverse, of_runs)
    return leverages


def _solved(cases: Sequence[Dimensions], peaks_mib: FloatArray, kinds: Sequence[bool]) -> LeastSquaresSolution:
    """Fit process MiB and the factor of each kind of recomputation."""
    mean, spread = FACTOR_PRIOR

    def residuals(x: FloatArray) -> FloatArray:
        factors = dict(zip(kinds, x[1:], strict=True))
        constants = [
            MemoryConstants.model_construct(
                process_mib=x[0],
                allocator_factor=factors[case.activation_checkpointing],
                allocator_factor_without_recomputation=factors[case.activation_checkpointing],
            )
            for case in cases
        ]
        predicted = [peak(case, each).later_bytes / MIB for case, each in zip(cases, constants, strict=True)]
        return numpy.concatenate([(numpy.array(predicted) / peaks_mib - 1) / NOISE, (x[1:] - mean) / spread])

    least, most = FACTORS
    start = numpy.r_[0.1 * peaks_mib.min(), numpy.full(len(kinds), mean)]
    bounds = (numpy.r_[0, numpy.full(len(kinds), least)], numpy.r_[numpy.inf, numpy.full(len(kinds), most)])
    scale = numpy.r_[0.1 * peaks_mib.min(), numpy.full(len(kinds), 0.1)]
    return solve(residuals, start, bounds=bounds, scale=scale)
