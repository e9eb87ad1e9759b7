"""Robust least squares as the fits of time and of memory use it, and how many digits of its results are kept."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from scipy import optimize
from scipy.sparse import csr_array

from nodesweep.common.arrays import FloatArray

LOSS_SCALE = 2.0
"""Residuals beyond so many times the noise count in proportion, not by their square."""
DIGITS = 8
"""Significant digits that are kept: beyond them results differ from one machine to the next."""


@dataclass(frozen=True)
class LeastSquaresSolution:
    """Parameters, weighted residuals, and the Jacobian of these, dense or sparse."""

    parameters: FloatArray
    residuals: FloatArray
    jacobian: FloatArray | csr_array


def solve(
    residuals: Callable[[FloatArray], FloatArray],
    start: FloatArray,
    *,
    bounds: tuple[FloatArray, FloatArray],
    scale: FloatArray,
    jacobian: Callable[[FloatArray], FloatArray | csr_array] | Literal["2-point"] = "2-point",
    solver: Literal["exact", "lsmr"] = "exact",
) -> LeastSquaresSolution:
    """The parameters with the least soft-L1 loss of the residuals, which are given in multiples of the noise."""
    found = optimize.least_squares(
        residuals,
        start,
        jacobian,
        bounds=bounds,
        x_scale=scale,
        loss="soft_l1",
        f_scale=LOSS_SCALE,
        tr_solver=solver,
    )
    return LeastSquaresSolution(found.x, found.fun, found.jac)


def kept_digits(value: float) -> float:
    """A fitted number with the digits that are kept.

    >>> kept_digits(0.123456789012)
    0.12345679
    """
    return float(f"{value:.{DIGITS}g}")
