"""Seconds per iteration of measured runs -> the parameters of `timing`, with their uncertainty; or why there are none.

A micro batch takes a stage a = W A (1/t + rho + kappa [t > 1]) (1 + q w0/w) exp(delta) seconds: W its 1e12
operations, A the seconds of so many on one rank, rho what tensor parallelism does not divide, kappa what its ranks say
to each other, q what small micro batches cost (w their tokens, w0 the fewest measured), delta what is particular to one
kind of stage. `PRIORS` draw them weakly to what is usual, so that the measured decide where they can, and what was
never measured has an interval that says so.

Robust least squares on relative residuals (scipy.optimize.least_squares, soft_l1), no parameter below 0, once for
each form of the sync. The forms are averaged by weights proportional to (mean square leave-one-out error)^(-n/2), the
likelihood of the rows had each been predicted by the others. Leave-one-out errors follow from residual e and leverage
h, e / (1 - h); where a run is alone of its kind the others are fitted again.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import replace
from itertools import combinations

import numpy
from scipy.optimize import least_squares

from ..case import Case
from ..timing import FORMS, passes
from .observations import Observation
from .time_model import (
    DELTA_SPREAD,
    FIRST_NOISE,
    LEAST_SIGNIFICANCE,
    Base,
    Form,
    Run,
    Stage,
    TimeFit,
    TimeModel,
    kind_of,
    reference,
)

LEAST_NOISE = 0.003
"""Relative noise of a measured time at least."""
PRIORS = {1: (0.1, 0.1), 2: (0.0, 0.3), 4: (0.0, 0.3)}
"""Mean and standard deviation of rho, q and kappa, by their places among the parameters.

Of delta 0, and `DELTA_SPREAD`, or more if measured kinds scatter more.
"""
BASE = 5
"""Parameters before the deltas: log A, rho, q, seconds of the sync, kappa."""
ROUNDS = 3
"""Of finding the noise of the times and the scatter of the kinds, which the next round then goes by."""
LOSS_SCALE = 2.0
"""Residuals beyond so many times the noise count in proportion, not by their square."""
WORST_ERROR = 0.3
TELLS_ITSELF = 0.5
"""From this leverage on a run is fitted by itself, and what the others say of it is found by fitting them alone."""
FAR = 0.1
"""Beyond such an error the others are fitted alone too: e / (1 - h) is for small ones."""
MOST_REFITS = 100
CONTRADICTION = 0.04
"""Runs of one layout that differ by more are taken for two software stacks'; the study's differ by 5 % and more."""
NEXT_TO_NOTHING = 1e-6
"""A parameter this near its floor, by its scale, is there."""
DIGITS = 8
"""Of what is kept: beyond them results differ from one machine to the next."""


def fit(observations: Sequence[Observation], targets: Iterable[Case] = (), each: bool = False) -> TimeFit:
    """The time model of runs of one software stack. `targets`: cases it is to predict beside those of the runs.

    `each`: find also what the others say of each run, which takes a fit for many of them.
    """
    timed = [one for one in observations if one.seconds is not None]
    if not timed:
        return TimeFit(refusal="no run with a time; it takes two to tell anything")
    contradiction = _contradiction(timed)
    if contradiction:
        return TimeFit(refusal=contradiction)
    model, fits, weights = _averaged(timed)
    runs = tuple(_run(timed, number, model, fits, weights) for number in range(len(timed))) if each else ()
    if len(timed) == 1:
        return TimeFit(model, "1 run with a time; it takes two to tell anything", runs)
    return TimeFit(model, _undetermined(model, [one.case for one in timed], list(targets)), runs)


def _averaged(timed: Sequence[Observation]) -> tuple[TimeModel, list["_Fit"], numpy.ndarray]:
    """All forms of the sync with their weights; the noise of the times is that of the leave-one-out errors."""
    noise, spread = FIRST_NOISE, DELTA_SPREAD
    for _ in range(ROUNDS):
        fits = [_Fit(timed, name, noise, spread) for name in FORMS]
        squares = [max(one.square_error, LEAST_NOISE**2 / 10) for one in fits]
        weights = _weights(squares, len(timed))
        if fits[0].tells_noise:
            noise = max(LEAST_NOISE, math.sqrt(_mean(weights, squares)))
        spread = max(DELTA_SPREAD, _mean(weights, [one.spread for one in fits]))
    forms = tuple(
        replace(one.form(), weight=_short(weight), left_out_error=_short(numpy.sqrt(square)))
        for one, weight, square in zip(fits, weights, squares, strict=True)
    )
    return _model(forms, timed, noise), fits, weights


def _run(
    timed: Sequence[Observation], number: int, model: TimeModel, fits: Sequence["_Fit"], weights: numpy.ndarray
) -> Run:
    """A run, and what the others say of it: fitted without it where it told its own time, up to `MOST_REFITS` runs."""
    one, leverage = timed[number], max(fit.leverage[number] for fit in fits)
    found = model.estimate(one.case)
    error: float | None = _mean(weights, [fit.left_out_errors[number] for fit in fits])
    sigma: float | None = max(found.sigma, model.noise / max(1 - leverage, 1e-3) ** 0.5)
    far = max(abs(fit.left_out_errors[number]) for fit in fits) > FAR
    if (leverage > TELLS_ITSELF or far) and 1 < len(timed) <= MOST_REFITS:
        others = [*timed[:number], *timed[number + 1 :]]
        forms = tuple(
            replace(_Fit(others, name, model.noise, model.forms[0].kind_spread).form(), weight=weight)
            for name, weight in zip(FORMS, weights, strict=True)
        )
        without = _model(forms, others, model.noise)
        told = None if without.refusal(one.case) else without.estimate(one.case)
        error, sigma = (told.seconds / one.seconds - 1, told.sigma) if told else (None, None)
    return Run(one.name, one.seconds, *map(_short, (found.seconds / one.seconds - 1, error, sigma)))


def _model(forms: tuple[Form, ...], timed: Sequence[Observation], noise: float) -> TimeModel:
    cases = [one.case for one in timed]
    return TimeModel(forms, _short(noise), len(timed), *reference(cases), max(case.data for case in cases))


def _short(value: float | None) -> float | None:
    return None if value is None else float(f"{value:.{DIGITS}g}")


def _mean(weights: numpy.ndarray, values: Sequence[float]) -> float:
    return float(numpy.dot(weights, values))


def _undetermined(model: TimeModel, measured: Sequence[Case], targets: Sequence[Case]) -> str:
    """Why the runs do not tell the sync, where it could matter for one of the cases; empty where they do."""
    most = model.most_data
    if most == 1:
        beyond = sorted({case.data for case in targets if case.data > 1})
        return (
            f"all runs have DP 1: of the DP sync of DP {beyond[0]} to {beyond[-1]} they tell nothing" if beyond else ""
        )
    if model.sync_significance >= LEAST_SIGNIFICANCE:
        return ""
    for case in sorted((*measured, *targets), key=lambda case: case.data):
        seconds, error = model.sync(case)
        total = model.estimate(case).seconds
        if seconds + 2 * error > model.matters * total:
            told = f"{seconds if seconds > error / 1000 else 0:.3g} s, give or take {error:.2g}, of {total:.4g} s"
            return f"the runs do not tell the DP sync: {told} at DP {case.data}; they go up to DP {most}"
    return ""


def _weights(squares: Sequence[float], count: int) -> numpy.ndarray:
    logs = -count / 2 * numpy.log(squares)
    weights = numpy.exp(logs - logs.max())
    return weights / weights.sum()


def _contradiction(timed: Sequence[Observation]) -> str:
    """The two runs of one case that differ most, where they differ too much for one software stack."""
    same: dict[object, list[Observation]] = {}
    for one in timed:
        same.setdefault(one.case, []).append(one)
    pairs = [pair for group in same.values() for pair in combinations(sorted(group, key=lambda one: one.seconds), 2)]
    apart = [(high.seconds / low.seconds - 1, low, high) for low, high in pairs]
    worst, low, high = max(apart, key=lambda found: found[0], default=(0.0, timed[0], timed[0]))
    if worst <= CONTRADICTION:
        return ""
    return (
        f"{low.name} ({low.seconds:.4g} s) and {high.name} ({high.seconds:.4g} s) are the same layout, "
        f"{100 * worst:.0f} % apart: they are not of one software stack; tell them apart by `campaign`"
    )


class _Fit:
    """One form of the sync, fitted to runs."""

    def __init__(self, timed: Sequence[Observation], name: str, noise: float, spread: float) -> None:
        cases = [one.case for one in timed]
        self._name, self._cases = name, cases
        self._labels = sorted({kind_of(case) for case in cases})
        self._kind = numpy.array([self._labels.index(kind_of(case)) for case in cases])
        bases = [Base.of(case, *reference(cases)) for case in cases]
        self._work = numpy.array([base.work for base in bases])
        self._tensor = numpy.array([float(case.tensor) for case in cases])
        self._small = numpy.array([base.small for base in bases])
        self._passes = numpy.array([passes(case) for case in cases])
        self._sync = numpy.array([FORMS[name](case.data) for case in cases])
        self._seconds = numpy.array([one.seconds for one in timed])
        self._noise, self._spread = noise, spread
        self._solve()

    @property
    def tells_noise(self) -> bool:
        """Whether runs of kinds that several are of leave more than their own parameters to be told."""
        counts = numpy.bincount(self._kind)
        return bool((counts[counts > 1] - 1).sum() > 2)

    @property
    def _of_several(self) -> numpy.ndarray:
        return numpy.bincount(self._kind)[self._kind] > 1

    @property
    def square_error(self) -> float:
        """Mean square of the leave-one-out errors: of the runs that are not alone, where there are enough."""
        of_runs = self.left_out_errors[self._of_several] if self.tells_noise else self.left_out_errors
        return float(numpy.mean(of_runs**2))

    @property
    def spread(self) -> float:
        """How far kinds of stage scatter about what they have in common."""
        return math.sqrt(float(numpy.sum(self._x[BASE:] ** 2)) / max(len(self._labels) - 1, 1))

    def _solve(self) -> None:
        rate = self._seconds / self._passes / self._work / (1 / self._tensor + PRIORS[1][0])
        least, kinds = float(self._seconds.min()), len(self._labels)
        start = numpy.r_[numpy.log(numpy.median(rate)), 0.1, 0.01, 0.01 * least, 0.01, numpy.zeros(kinds)]
        floor = numpy.r_[-numpy.inf, 0, 0, 0, 0, numpy.full(kinds, -numpy.inf)]
        scale = numpy.r_[1, 0.1, 0.1, 0.1 * least, 0.1, numpy.full(kinds, 0.1)]
        found = least_squares(
            *(self._residuals, start), bounds=(floor, numpy.inf), x_scale=scale, loss="soft_l1", f_scale=LOSS_SCALE
        )
        self._x = found.x
        at_floor = found.x[1:BASE] < NEXT_TO_NOTHING * scale[1:BASE]
        self._x[1:BASE] = numpy.where(at_floor, 0.0, found.x[1:BASE])
        jacobian = found.jac
        self._covariance = numpy.linalg.pinv(jacobian.T @ jacobian, hermitian=True)
        of_rows = jacobian[: len(self._seconds)]
        self.leverage = numpy.einsum("ij,jk,ik->i", of_rows, self._covariance, of_rows)
        errors = self._predicted(found.x) / self._seconds - 1
        self.left_out_errors = numpy.clip(errors / numpy.maximum(1 - self.leverage, 1e-3), -WORST_ERROR, WORST_ERROR)

    def _micro_batch(self, x: numpy.ndarray) -> numpy.ndarray:
        split = 1 / self._tensor + x[1] + x[4] * (self._tensor > 1)
        return self._work * numpy.exp(x[0]) * split * (1 + x[2] * self._small) * numpy.exp(x[BASE + self._kind])

    def _predicted(self, x: numpy.ndarray) -> numpy.ndarray:
        return self._micro_batch(x) * self._passes + x[3] * self._sync

    def _residuals(self, x: numpy.ndarray) -> numpy.ndarray:
        drawn = [(x[number] - mean) / spread for number, (mean, spread) in PRIORS.items()]
        return numpy.r_[(self._predicted(x) / self._seconds - 1) / self._noise, drawn, x[BASE:] / self._spread]

    def form(self) -> Form:
        """The parameters, and the covariances that predictions need."""
        log_seconds = numpy.log(self._micro_batch(self._x))
        stages = []
        for number, label in enumerate(self._labels):
            rows = numpy.flatnonzero(self._kind == number)
            slope = self._slope(int(rows[0]), number)
            stages.append(
                Stage(
                    kind=label,
                    micro_batch_seconds=_short(numpy.exp(log_seconds[rows[0]])),
                    variance=_short(slope @ self._covariance @ slope),
                    sync_covariance=_short(slope @ self._covariance[3]),
                    rows=len(rows),
                )
            )
        return Form(
            name=self._name,
            weight=0.0,
            left_out_error=0.0,
            rate_seconds=_short(numpy.exp(self._x[0])),
            rho=_short(self._x[1]),
            kappa=_short(self._x[4]),
            small=_short(self._x[2]),
            sync_seconds=_short(self._x[3]),
            covariance=tuple(tuple(_short(value) for value in row[:BASE]) for row in self._covariance[:BASE]),
            stages=tuple(stages),
            kind_spread=_short(self._spread),
        )

    def _slope(self, row: int, kind: int) -> numpy.ndarray:
        """Derivative of the logarithm of a stage's micro-batch seconds by all parameters."""
        slope = numpy.zeros_like(self._x)
        slope[0], slope[BASE + kind] = 1, 1
        slope[1] = 1 / (1 / self._tensor[row] + self._x[1] + self._x[4] * (self._tensor[row] > 1))
        slope[4] = slope[1] if self._tensor[row] > 1 else 0.0
        slope[2] = self._small[row] / (1 + self._x[2] * self._small[row])
        return slope
