"""One form of the sync, fitted to measured runs, with the uncertainty of what was fitted.

The kinds of stage make the Jacobian sparse: a run depends on what all have in common and on the delta of its own kind.
Its normal matrix [[A, B], [B', D]] has a diagonal D, so that all covariances follow from those of the few parameters in
common, (A - B D^-1 B')^-1: a thousand kinds cost no more than a thousand times one.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy
from numpy.typing import NDArray
from scipy.sparse import csr_array

from nodesweep.common.arrays import FloatArray, IntArray
from nodesweep.performance.dimensions import Dimensions
from nodesweep.performance.timing import FORMS, passes

from .least_squares import kept_digits, solve
from .time_model import MicroBatchWork, StageKind, SyncForm, apart_of, kind_of, reference

WORST_ERROR = 0.3
"""Leave-one-out errors beyond this, relative, count as this."""
LOG_RATE, RHO, SMALL, SYNC, KAPPA = range(5)
"""Places of the parameters that all kinds of stage have in common: log A, rho, q, seconds of the sync, kappa."""
COMMON = 5
"""Number of the parameters in common, which stand before the deltas of the kinds."""
MOST_DENSE_KINDS = 30
UNKNOWN = 10.0
"""Standard error of a parameter that no run determines, by its scale: a sync as long as the shortest iteration."""
NEXT_TO_NOTHING = 1e-6
"""A parameter this near its floor, by its scale, is taken to be 0."""
PRIORS = {RHO: (0.1, 0.1), SMALL: (0.0, 0.3), KAPPA: (0.0, 0.3)}
"""Mean and standard deviation of rho, q and kappa, by their places among the parameters."""
MEASURED_KAPPA_SPREAD = 3.0
"""Standard deviation of kappa where runs with and without MP tell it: MP 2 may be far slower than one rank alone."""


@dataclass(frozen=True)
class RunArrays:
    """Measured runs as arrays with one entry a run.

    `labels`: the kinds of stage in words. `kind`: the number of each run's label. `work`: 1e12 operations of a micro
    batch. `small`: the fewest tokens of a micro batch over its tokens, w0/w. `passes`: micro batches whose time passes.
    `rounding`: of the seconds, relative, at most: any error up to that is as likely as any other.
    """

    cases: tuple[Dimensions, ...]
    labels: tuple[str, ...]
    kind: IntArray
    work: FloatArray
    tensor: FloatArray
    small: FloatArray
    passes: FloatArray
    seconds: FloatArray
    rounding: FloatArray

    @classmethod
    def of(cls, cases: Sequence[Dimensions], seconds: Sequence[float], rounding: Sequence[float]) -> "RunArrays":
        """The arrays of runs, at least one, with the seconds of an iteration of each and their relative rounding."""
        kinds = [kind_of(case) for case in cases]
        labels = tuple(sorted(set(kinds)))
        numbers = {label: number for number, label in enumerate(labels)}
        tokens, clock_ghz = reference(cases)
        works = [MicroBatchWork.of(case, tokens, clock_ghz) for case in cases]
        return cls(
            cases=tuple(cases),
            labels=labels,
            kind=numpy.array([numbers[kind] for kind in kinds]),
            work=numpy.array([one.work for one in works]),
            tensor=numpy.array([float(case.tensor) for case in cases]),
            small=numpy.array([one.small for one in works]),
            passes=numpy.array([passes(case) for case in cases]),
            seconds=numpy.array(seconds, dtype=float),
            rounding=numpy.array(rounding, dtype=float),
        )

    @property
    def rounding_sigma(self) -> FloatArray:
        """Standard deviation of the seconds by their rounding, relative."""
        sigma: FloatArray = self.rounding / math.sqrt(3)
        return sigma

    @property
    def of_several(self) -> NDArray[numpy.bool_]:
        """For each run, whether another has its kind of stage."""
        return numpy.bincount(self.kind)[self.kind] > 1

    @property
    def tell_kappa(self) -> bool:
        """Whether runs with and without tensor parallelism are there, so that its cost is measured."""
        return bool(self.tensor.min() == 1 < self.tensor.max())

    @property
    def tell_noise(self) -> bool:
        """Whether the runs determine more than their parameters, so that what is left is the noise of the times."""
        counts = numpy.bincount(self.kind)
        return bool((counts[counts > 1] - 1).sum() > 2)


class SyncFormFit:
    """One form of the sync fitted to runs: `leverage` and `left_out_errors` (relative, by e / (1 - h)) of each run.

    `noise`: relative, of a measured time. `spread`: how far kinds of stage scatter about what they have in common.
    """

    def __init__(self, runs: RunArrays, name: str, noise: float, spread: float) -> None:
        self._runs, self._name = runs, name
        self._noise, self._prior_spread = numpy.hypot(noise, runs.rounding_sigma), spread
        self._sync = numpy.array([FORMS[name](case.data) for case in runs.cases])
        self._priors = {**PRIORS, KAPPA: (0.0, MEASURED_KAPPA_SPREAD)} if runs.tell_kappa else PRIORS
        self._solve()

    @property
    def square_error(self) -> float:
        """Mean square of the leave-one-out errors: of the runs that are not alone, where there are enough.

        What logs have rounded is no error of the form: it is taken off as far as it explains an error.
        """
        runs = self._runs
        squares = numpy.maximum(self.left_out_errors**2 - runs.rounding_sigma**2, 0)
        return float(numpy.mean(squares[runs.of_several] if runs.tell_noise else squares))

    @property
    def spread(self) -> float:
        """How far the fitted kinds of stage scatter about what they have in common, relative."""
        return math.sqrt(float(numpy.sum(self._x[COMMON:] ** 2)) / max(len(self._runs.labels) - 1, 1))

    def _solve(self) -> None:
        runs, kinds = self._runs, len(self._runs.labels)
        rate = runs.seconds / runs.passes / runs.work / (1 / runs.tensor + PRIORS[RHO][0])
        least = float(runs.seconds.min())
        start = numpy.concatenate([[numpy.log(numpy.median(rate)), 0.1, 0.01, 0.01 * least, 0.01], numpy.zeros(kinds)])
        floor = numpy.concatenate([[-numpy.inf, 0, 0, 0, 0], numpy.full(kinds, -numpy.inf)])
        scale = numpy.concatenate([[1, 0.1, 0.1, 0.1 * least, 0.1], numpy.full(kinds, 0.1)])
        found = solve(
            self._residuals,
            start,
            bounds=(floor, numpy.full(COMMON + kinds, numpy.inf)),
            scale=scale,
            jacobian=self._jacobian,
            solver="lsmr" if kinds > MOST_DENSE_KINDS else "exact",
        )
        x = found.parameters
        at_floor = x[RHO:COMMON] < NEXT_TO_NOTHING * scale[RHO:COMMON]
        x[RHO:COMMON] = numpy.where(at_floor, 0.0, x[RHO:COMMON])
        self._x = x
        self._find_covariances(csr_array(found.jacobian), scale[:COMMON])
        errors = self._predicted(x) / runs.seconds - 1
        self.left_out_errors = numpy.clip(errors / numpy.maximum(1 - self.leverage, 1e-3), -WORST_ERROR, WORST_ERROR)

    def _find_covariances(self, jacobian: csr_array, scale: FloatArray) -> None:
        """Find the covariances of common parameters and of these with deltas, variances of deltas, and leverages."""
        runs, kind = len(self._runs.seconds), self._runs.kind
        common = jacobian[:, :COMMON].toarray()
        own = numpy.asarray(jacobian[numpy.arange(runs), COMMON + kind]).ravel()
        kinds = numpy.arange(len(self._runs.labels))
        of_priors = numpy.asarray(jacobian[runs + len(PRIORS) + kinds, COMMON + kinds]).ravel()
        normal = numpy.bincount(kind, own**2) + of_priors**2
        shared = numpy.stack([numpy.bincount(kind, common[:runs, place] * own) for place in range(COMMON)])
        schur = common.T @ common - shared / normal @ shared.T + numpy.diag(1 / (UNKNOWN * scale) ** 2)
        self._common = numpy.linalg.inv(schur * numpy.outer(scale, scale)) * numpy.outer(scale, scale)
        self._with_kind = -self._common @ shared / normal
        self._of_kind = 1 / normal - numpy.einsum("ik,ik->k", self._with_kind, shared) / normal
        of_runs = common[:runs]
        self.leverage = (
            numpy.einsum("ij,jk,ik->i", of_runs, self._common, of_runs)
            + 2 * own * numpy.einsum("ij,ji->i", of_runs, self._with_kind[:, kind])
            + own**2 * self._of_kind[kind]
        )

    def _micro_batch(self, x: FloatArray) -> FloatArray:
        """Seconds of a micro batch of each run."""
        runs = self._runs
        common_and_own = numpy.exp(x[LOG_RATE] + x[COMMON + runs.kind])
        seconds: FloatArray = runs.work * common_and_own * self._split(x) * (1 + x[SMALL] * runs.small)
        return seconds

    def _split(self, x: FloatArray) -> FloatArray:
        """The share of the work of a stage that each of its tensor-parallel ranks has."""
        share: FloatArray = 1 / self._runs.tensor + x[RHO] + x[KAPPA] * (self._runs.tensor > 1)
        return share

    def _predicted(self, x: FloatArray) -> FloatArray:
        """Seconds of an iteration of each run."""
        seconds: FloatArray = self._micro_batch(x) * self._runs.passes + x[SYNC] * self._sync
        return seconds

    def _residuals(self, x: FloatArray) -> FloatArray:
        """Errors over the noise of the runs, then of the priors, then the deltas over their spread."""
        of_priors = [(x[place] - mean) / spread for place, (mean, spread) in self._priors.items()]
        errors = (self._predicted(x) / self._runs.seconds - 1) / self._noise
        return numpy.concatenate([errors, of_priors, x[COMMON:] / self._prior_spread])

    def _jacobian(self, x: FloatArray) -> FloatArray | csr_array:
        """Derivatives of the residuals by the parameters, a dense array for few kinds."""
        runs, kinds = self._runs, len(self._runs.labels)
        numbers = numpy.arange(len(runs.seconds))
        spent = self._micro_batch(x) * runs.passes / runs.seconds / self._noise
        values = [*(spent * slope for slope in self._slopes(x)), spent]
        values[SYNC] = self._sync / runs.seconds / self._noise
        places = [(numbers, numpy.full(len(numbers), place)) for place in range(COMMON)]
        places.append((numbers, COMMON + runs.kind))
        of_priors = len(numbers) + numpy.arange(len(PRIORS))
        deltas = numpy.arange(kinds)
        places += [(of_priors, numpy.array(list(PRIORS))), (len(numbers) + len(PRIORS) + deltas, COMMON + deltas)]
        values += [
            numpy.array([1 / spread for _, spread in self._priors.values()]),
            numpy.full(kinds, 1 / self._prior_spread),
        ]
        at = tuple(numpy.concatenate(part) for part in zip(*places, strict=True))
        shape = (len(numbers) + len(PRIORS) + kinds, COMMON + kinds)
        found = csr_array((numpy.concatenate(values), at), shape=shape)
        return found if kinds > MOST_DENSE_KINDS else found.toarray()

    def _slopes(self, x: FloatArray) -> FloatArray:
        """Derivatives of the logarithm of each run's micro-batch seconds by the parameters in common, one row each."""
        runs, split = self._runs, self._split(x)
        none = numpy.zeros_like(split)
        by_small = runs.small / (1 + x[SMALL] * runs.small)
        return numpy.stack([none + 1, 1 / split, by_small, none, (runs.tensor > 1) / split])

    def form(self) -> SyncForm:
        """The parameters, and the covariances that predictions need; its weight and error are set by the caller."""
        return SyncForm(
            name=self._name,
            weight=0.0,
            left_out_error=0.0,
            rate_seconds=kept_digits(numpy.exp(self._x[LOG_RATE])),
            rho=kept_digits(self._x[RHO]),
            kappa=kept_digits(self._x[KAPPA]),
            small=kept_digits(self._x[SMALL]),
            sync_seconds=kept_digits(self._x[SYNC]),
            covariance=tuple(tuple(kept_digits(value) for value in row) for row in self._common),
            stages=self._stages(),
            kind_spread=kept_digits(self._prior_spread),
        )

    def _stages(self) -> tuple[StageKind, ...]:
        micro, slopes, stages = self._micro_batch(self._x), self._slopes(self._x), []
        counts = numpy.bincount(self._runs.kind)
        first = {int(kind): number for number, kind in reversed(list(enumerate(self._runs.kind)))}
        for number, label in enumerate(self._runs.labels):
            slope, shared = slopes[:, first[number]], self._with_kind[:, number]
            stages.append(
                StageKind(
                    kind=label,
                    micro_batch_seconds=kept_digits(micro[first[number]]),
                    variance=kept_digits(slope @ self._common @ slope + 2 * slope @ shared + self._of_kind[number]),
                    sync_covariance=kept_digits(slope @ self._common[SYNC] + shared[SYNC]),
                    rows=int(counts[number]),
                    apart=apart_of(self._runs.cases[first[number]]),
                )
            )
        return tuple(stages)
