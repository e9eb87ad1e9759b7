"""Seconds per iteration of measured runs -> the parameters of `timing`, with their uncertainty; or why there are none.

A micro batch takes a stage a = W A (1/t + rho + kappa [t > 1]) (1 + q w0/w) exp(delta) seconds: W its 1e12
operations, A the seconds of so many on one rank, rho what tensor parallelism does not divide, kappa what its ranks say
to each other, q what small micro batches cost (w their tokens, w0 the fewest measured), delta what is particular to one
kind of stage. Weak priors draw the parameters to usual values: measured times decide where they can, and the interval
of what was never measured is wide.

Robust least squares on relative residuals (scipy.optimize.least_squares, soft_l1), no parameter below 0, once for
each form of the sync. The forms are averaged by weights proportional to (mean square leave-one-out error)^(-n/2), the
likelihood of the rows had each been predicted by the others. Leave-one-out errors follow from residual e and leverage
h, e / (1 - h); where a run is alone of its kind the others are fitted again.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from statistics import median

import numpy

from nodesweep.common.arrays import FloatArray
from nodesweep.performance.dimensions import Dimensions
from nodesweep.performance.timing import FORMS, no_time_formula

from .least_squares import kept_digits
from .observations import Observation
from .sync_form_fit import RunArrays, SyncFormFit
from .time_model import (
    DELTA_SPREAD,
    FIRST_NOISE,
    LEAST_SIGNIFICANCE,
    FittedRun,
    SyncForm,
    TimeFit,
    TimeModel,
    kind_of,
    reference,
)

LEAST_NOISE = 0.003
"""Relative noise of a measured time at least."""
ROUNDS = 3
"""Rounds of fitting; each takes the noise of the times and the scatter of the kinds from the round before."""
DETERMINES_ITSELF = 0.5
"""From this leverage on a run determines its own fit, and what the others predict of it takes a fit without it."""
FAR = 0.1
"""Beyond such an error the others are fitted alone too: e / (1 - h) is for small ones."""
MOST_REFITS = 20
CONTRADICTION = 0.04
"""Runs of one layout that differ by more are taken for two software stacks'; the study's differ by 5 % and more."""
MOST_SCATTERS = 3
"""Runs of one layout may also differ by so many times the scatter of their iterations, if that is more."""


@dataclass(frozen=True)
class TimedRun:
    """A run with a time: seconds per iteration, and the relative scatter of its iterations, None where unknown.

    `rounding`: by how much the seconds may be rounded, relative.
    """

    name: str
    case: Dimensions
    seconds: float
    scatter: float | None
    rounding: float


@dataclass(frozen=True)
class _AveragedForms:
    """All forms of the sync fitted to the same runs, with their weights, and the model that they make."""

    model: TimeModel
    fits: Sequence[SyncFormFit]
    weights: FloatArray


def fit(observations: Sequence[Observation], targets: Iterable[Dimensions] = (), each: bool = False) -> TimeFit:
    """The time model of runs of one software stack. `targets`: cases it is to predict beside those of the runs.

    `each`: also find what the other runs predict of each run, which takes a fit for many of them.
    """
    timed = [
        TimedRun(one.name, one.case, one.seconds, one.scatter, one.rounding)
        for one in observations
        if one.seconds is not None and not no_time_formula(one.case)
    ]
    untold = next((why for one in observations if one.seconds is not None and (why := no_time_formula(one.case))), "")
    if not timed and untold:
        return TimeFit(refusal=f"no run tells the time of another: {untold}")
    if not timed:
        return TimeFit(refusal="no run with a time; it takes two to tell anything")
    contradiction = _contradiction(timed)
    if contradiction:
        return TimeFit(refusal=contradiction)
    averaged = _averaged(timed)
    runs = tuple(_fitted_run(timed, number, averaged) for number in range(len(timed))) if each else ()
    if len(timed) == 1:
        return TimeFit(averaged.model, "1 run with a time; it takes two to tell anything", runs)
    return TimeFit(averaged.model, _undetermined(averaged.model, [one.case for one in timed], list(targets)), runs)


def _averaged(timed: Sequence[TimedRun]) -> _AveragedForms:
    """Fit all forms of the sync; the noise of the times is that of the leave-one-out errors."""
    noise, spread, runs = _first_noise(timed), DELTA_SPREAD, _arrays(timed)
    for _ in range(ROUNDS):
        fits = [SyncFormFit(runs, name, noise, spread) for name in FORMS]
        squares = [max(one.square_error, LEAST_NOISE**2 / 10) for one in fits]
        weights = _weights(squares, len(timed))
        if runs.tell_noise:
            noise = max(LEAST_NOISE, math.sqrt(_mean(weights, squares)))
        spread = max(DELTA_SPREAD, _mean(weights, [one.spread for one in fits]))
    forms = tuple(
        replace(one.form(), weight=kept_digits(weight), left_out_error=kept_digits(math.sqrt(square)))
        for one, weight, square in zip(fits, weights, squares, strict=True)
    )
    return _AveragedForms(_model(forms, timed, noise), fits, weights)


def _arrays(timed: Sequence[TimedRun]) -> RunArrays:
    return RunArrays.of([one.case for one in timed], [one.seconds for one in timed], [one.rounding for one in timed])


def _first_noise(timed: Sequence[TimedRun]) -> float:
    """The noise of times before runs tell it: as much as the iterations of most runs scatter."""
    scatters = [one.scatter for one in timed if one.scatter is not None]
    return max(FIRST_NOISE, median(scatters)) if scatters else FIRST_NOISE


def _fitted_run(timed: Sequence[TimedRun], number: int, averaged: _AveragedForms) -> FittedRun:
    """A run, and what the others predict of it: by e / (1 - h) where that is small, else by a model without it."""
    one, model = timed[number], averaged.model
    leverage = max(fit.leverage[number] for fit in averaged.fits)
    errors = [fit.left_out_errors[number] for fit in averaged.fits]
    found = model.estimate(one.case)
    error: float | None = _mean(averaged.weights, errors)
    sigma: float | None = max(found.sigma, model.noise / max(1 - leverage, 1e-3) ** 0.5)
    far = max(abs(of_form) for of_form in errors) > FAR
    without = _without(timed, number, model) if (leverage > DETERMINES_ITSELF or far) and len(timed) > 1 else None
    if without is not None:
        by_others = None if without.refusal(one.case) else without.estimate(one.case)
        error = by_others.seconds / one.seconds - 1 if by_others else None
        sigma = by_others.sigma if by_others else None
    return FittedRun(
        one.name,
        one.seconds,
        kept_digits(found.seconds / one.seconds - 1),
        left_out_error=None if error is None else kept_digits(error),
        left_out_sigma=None if sigma is None else kept_digits(sigma),
    )


def _without(timed: Sequence[TimedRun], number: int, model: TimeModel) -> TimeModel | None:
    """The model of the other runs: few are fitted again; of many, one changes little but its kind of stage, left out.

    None for one of many whose kind of stage other runs have too.
    """
    if len(timed) <= MOST_REFITS:
        others = [*timed[:number], *timed[number + 1 :]]
        runs = _arrays(others)
        fits = [SyncFormFit(runs, form.name, model.noise, form.kind_spread).form() for form in model.forms]
        weighted = (replace(one, weight=form.weight) for one, form in zip(fits, model.forms, strict=True))
        return _model(tuple(weighted), others, model.noise)
    kind = kind_of(timed[number].case)
    if any(stage.kind == kind and stage.rows > 1 for stage in model.forms[0].stages):
        return None
    stripped = (
        replace(form, stages=tuple(stage for stage in form.stages if stage.kind != kind)) for form in model.forms
    )
    return replace(model, forms=tuple(stripped))


def _model(forms: tuple[SyncForm, ...], timed: Sequence[TimedRun], noise: float) -> TimeModel:
    cases = [one.case for one in timed]
    fewest_tokens, clock_ghz = reference(cases)
    return TimeModel(
        forms=forms,
        noise=kept_digits(noise),
        rows=len(timed),
        fewest_tokens=fewest_tokens,
        clock_ghz=clock_ghz,
        most_data=max(case.data for case in cases),
    )


def _mean(weights: FloatArray, values: Sequence[float]) -> float:
    return float(numpy.dot(weights, values))


def _undetermined(model: TimeModel, measured: Sequence[Dimensions], targets: Sequence[Dimensions]) -> str:
    """Why the runs do not determine the sync, where it could matter for one of the cases; empty where they do."""
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
            shown = f"{seconds if seconds > error / 1000 else 0:.3g} s, give or take {error:.2g}, of {total:.4g} s"
            return f"the runs do not tell the DP sync: {shown} at DP {case.data}; they go up to DP {most}"
    return ""


def _weights(squares: Sequence[float], count: int) -> FloatArray:
    """Weights proportional to the mean squares to the power of -count / 2; their sum is 1."""
    logs = -count / 2 * numpy.log(squares)
    weights = numpy.exp(logs - logs.max())
    normalized: FloatArray = weights / weights.sum()
    return normalized


def _contradiction(timed: Sequence[TimedRun]) -> str:
    """The two runs of one case that differ most, where they differ too much for one software stack; else empty."""
    same: dict[Dimensions, list[TimedRun]] = {}
    for one in timed:
        same.setdefault(one.case, []).append(one)
    pairs = [pair for group in same.values() for pair in combinations(sorted(group, key=lambda one: one.seconds), 2)]
    apart = [(high.seconds / low.seconds - 1 - low.rounding - high.rounding, low, high) for low, high in pairs]
    worst, low, high = max(apart, key=lambda found: found[0], default=(0.0, timed[0], timed[0]))
    if worst <= max(CONTRADICTION, MOST_SCATTERS * _first_noise(timed)):
        return ""
    percent = 100 * (high.seconds / low.seconds - 1)
    return (
        f"{low.name} ({low.seconds:.4g} s) and {high.name} ({high.seconds:.4g} s) are the same layout, "
        f"{percent:.0f} % apart: they are not of one software stack; tell them apart by `campaign`"
    )
