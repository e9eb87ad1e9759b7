"""Seconds per iteration of measured runs -> the parameters of `timing`, with their uncertainty; or why there are none.

A micro batch takes a stage a = W A (1/t + rho + kappa [t > 1]) (1 + q w0/w) exp(delta) seconds: W its 1e12
operations, A the seconds of so many on one rank, rho what tensor parallelism does not divide, kappa what its ranks say
to each other, q what small micro batches cost (w their tokens, w0 the fewest measured), delta what is particular to one
kind of stage. Priors draw them weakly to what is usual, so that the measured decide where they can, and what was
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
from statistics import median

import numpy

from nodesweep.performance.dimensions import Dimensions
from nodesweep.performance.timing import FORMS

from .observations import Observation
from .sync_form_fit import FormFit, Rows, short
from .time_model import DELTA_SPREAD, FIRST_NOISE, LEAST_SIGNIFICANCE, Form, Run, TimeFit, TimeModel, kind_of, reference

LEAST_NOISE = 0.003
"""Relative noise of a measured time at least."""
ROUNDS = 3
"""Of finding the noise of the times and the scatter of the kinds, which the next round then goes by."""
TELLS_ITSELF = 0.5
"""From this leverage on a run is fitted by itself, and what the others say of it is found by fitting them alone."""
FAR = 0.1
"""Beyond such an error the others are fitted alone too: e / (1 - h) is for small ones."""
MOST_REFITS = 20
CONTRADICTION = 0.04
"""Runs of one layout that differ by more are taken for two software stacks'; the study's differ by 5 % and more."""
MOST_SCATTERS = 3
"""Or by so many times what their iterations scatter, if that is more."""


def fit(observations: Sequence[Observation], targets: Iterable[Dimensions] = (), each: bool = False) -> TimeFit:
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


def _averaged(timed: Sequence[Observation]) -> tuple[TimeModel, list[FormFit], numpy.ndarray]:
    """All forms of the sync with their weights; the noise of the times is that of the leave-one-out errors."""
    noise, spread, rows = _first_noise(timed), DELTA_SPREAD, Rows.of(timed)
    for _ in range(ROUNDS):
        fits = [FormFit(rows, name, noise, spread) for name in FORMS]
        squares = [max(one.square_error, LEAST_NOISE**2 / 10) for one in fits]
        weights = _weights(squares, len(timed))
        if rows.tell_noise:
            noise = max(LEAST_NOISE, math.sqrt(_mean(weights, squares)))
        spread = max(DELTA_SPREAD, _mean(weights, [one.spread for one in fits]))
    forms = tuple(
        replace(one.form(), weight=short(weight), left_out_error=short(numpy.sqrt(square)))
        for one, weight, square in zip(fits, weights, squares, strict=True)
    )
    return _model(forms, timed, noise), fits, weights


def _first_noise(timed: Sequence[Observation]) -> float:
    """What is taken for the noise of times until runs tell it: as much as the iterations of most runs scatter."""
    known = [one.scatter for one in timed if one.scatter is not None]
    return max(FIRST_NOISE, median(known)) if known else FIRST_NOISE


def _run(
    timed: Sequence[Observation], number: int, model: TimeModel, fits: Sequence[FormFit], weights: numpy.ndarray
) -> Run:
    """A run, and what the others say of it, by e / (1 - h) where that is small, else by the model without it."""
    one, leverage = timed[number], max(fit.leverage[number] for fit in fits)
    found = model.estimate(one.case)
    error: float | None = _mean(weights, [fit.left_out_errors[number] for fit in fits])
    sigma: float | None = max(found.sigma, model.noise / max(1 - leverage, 1e-3) ** 0.5)
    far = max(abs(fit.left_out_errors[number]) for fit in fits) > FAR
    without = _without(timed, number, model) if (leverage > TELLS_ITSELF or far) and len(timed) > 1 else None
    if without is not None:
        told = None if without.refusal(one.case) else without.estimate(one.case)
        error, sigma = (told.seconds / one.seconds - 1, told.sigma) if told else (None, None)
    return Run(one.name, one.seconds, *map(_known, (found.seconds / one.seconds - 1, error, sigma)))


def _without(timed: Sequence[Observation], number: int, model: TimeModel) -> TimeModel | None:
    """The model of the others: of few runs fitted again; of many, of which one tells little, without its kind.

    None for one of many that has others of its kind.
    """
    if len(timed) <= MOST_REFITS:
        others = [*timed[:number], *timed[number + 1 :]]
        rows = Rows.of(others)
        fits = [FormFit(rows, form.name, model.noise, form.kind_spread).form() for form in model.forms]
        weighted = (replace(one, weight=form.weight) for one, form in zip(fits, model.forms, strict=True))
        return _model(tuple(weighted), others, model.noise)
    kind = kind_of(timed[number].case)
    if any(stage.kind == kind and stage.rows > 1 for stage in model.forms[0].stages):
        return None
    stripped = (
        replace(form, stages=tuple(stage for stage in form.stages if stage.kind != kind)) for form in model.forms
    )
    return replace(model, forms=tuple(stripped))


def _model(forms: tuple[Form, ...], timed: Sequence[Observation], noise: float) -> TimeModel:
    cases = [one.case for one in timed]
    return TimeModel(forms, short(noise), len(timed), *reference(cases), max(case.data for case in cases))


def _known(value: float | None) -> float | None:
    return None if value is None else short(value)


def _mean(weights: numpy.ndarray, values: Sequence[float]) -> float:
    return float(numpy.dot(weights, values))


def _undetermined(model: TimeModel, measured: Sequence[Dimensions], targets: Sequence[Dimensions]) -> str:
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
    if worst <= max(CONTRADICTION, MOST_SCATTERS * _first_noise(timed)):
        return ""
    return (
        f"{low.name} ({low.seconds:.4g} s) and {high.name} ({high.seconds:.4g} s) are the same layout, "
        f"{100 * worst:.0f} % apart: they are not of one software stack; tell them apart by `campaign`"
    )
