"""One form of the sync, fitted to measured runs, with the uncertainty of what was fitted.

The kinds of stage make the Jacobian sparse: a run depends on what all have in common and on the delta of its own kind.
Its normal matrix [[A, B], [B', D]] has a diagonal D, so that all covariances follow from those of the few parameters in
common, (A - B D^-1 B')^-1: a thousand kinds cost no more than a thousand times one.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy
from scipy.optimize import least_squares
from scipy.sparse import csr_array

from nodesweep.performance.dimensions import Dimensions
from nodesweep.performance.timing import FORMS, passes

from .observations import Observation
from .time_model import Base, Form, Stage, kind_of, reference

PRIORS = {1: (0.1, 0.1), 2: (0.0, 0.3), 4: (0.0, 0.3)}
"""Mean and standard deviation of rho, q and kappa, by their places among the parameters."""
LOSS_SCALE = 2.0
"""Residuals beyond so many times the noise count in proportion, not by their square."""
WORST_ERROR = 0.3
BASE = 5
"""Parameters before the deltas: log A, rho, q, seconds of the sync, kappa."""
SYNC = 3
MOST_DENSE_KINDS = 30
UNKNOWN = 10.0
"""Standard error of a parameter that no run tells, by its scale: a sync as long as the shortest iteration."""
NEXT_TO_NOTHING = 1e-6
"""A parameter this near its floor, by its scale, is there."""
DIGITS = 8
"""Of what is kept: beyond them results differ from one machine to the next."""


@dataclass(frozen=True)
class Rows:
    """Runs as arrays, one entry each: `kind` numbers the labels; `work` in 1e12 operations, `small` is w0/w."""

    cases: tuple[Dimensions, ...]
    labels: tuple[str, ...]
    kind: numpy.ndarray
    work: numpy.ndarray
    tensor: numpy.ndarray
    small: numpy.ndarray
    passes: numpy.ndarray
    seconds: numpy.ndarray

    @classmethod
    def of(cls, timed: Sequence[Observation]) -> "Rows":
        """Those of runs that have a time."""
        cases = tuple(one.case for one in timed)
        kinds = [kind_of(case) for case in cases]
        labels = tuple(sorted(set(kinds)))
        numbers = {label: number for number, label in enumerate(labels)}
        tokens, clock_ghz = reference(cases)
        bases = [Base.of(case, tokens, clock_ghz) for case in cases]
        return cls(
            cases=cases,
            labels=labels,
            kind=numpy.array([numbers[kind] for kind in kinds]),
            work=numpy.array([base.work for base in bases]),
            tensor=numpy.array([float(case.tensor) for case in cases]),
            small=numpy.array([base.small for base in bases]),
            passes=numpy.array([passes(case) for case in cases]),
            seconds=numpy.array([one.seconds for one in timed]),
        )

    @property
    def of_several(self) -> numpy.ndarray:
        """Which of them are not the only one of their kind."""
        return numpy.bincount(self.kind)[self.kind] > 1

    @property
    def tell_noise(self) -> bool:
        """Whether kinds that several are of leave more than their own parameters to be told."""
        counts = numpy.bincount(self.kind)
        return bool((counts[counts > 1] - 1).sum() > 2)


class FormFit:
    """The fit: `leverage` and `left_out_errors` (relative, by e / (1 - h)) of each run."""

    def __init__(self, rows: Rows, name: str, noise: float, spread: float) -> None:
        self._rows, self._name = rows, name
        self._noise, self._spread = noise, spread
        self._sync = numpy.array([FORMS[name](case.data) for case in rows.cases])
        self._solve()

    @property
    def square_error(self) -> float:
        """Mean square of the leave-one-out errors: of the runs that are not alone, where there are enough."""
        rows = self._rows
        of_runs = self.left_out_errors[rows.of_several] if rows.tell_noise else self.left_out_errors
        return float(numpy.mean(of_runs**2))

    @property
    def spread(self) -> float:
        """How far kinds of stage scatter about what they have in common."""
        return math.sqrt(float(numpy.sum(self._x[BASE:] ** 2)) / max(len(self._rows.labels) - 1, 1))

    def _solve(self) -> None:
        rows, kinds = self._rows, len(self._rows.labels)
        rate = rows.seconds / rows.passes / rows.work / (1 / rows.tensor + PRIORS[1][0])
        least = float(rows.seconds.min())
        start = numpy.r_[numpy.log(numpy.median(rate)), 0.1, 0.01, 0.01 * least, 0.01, numpy.zeros(kinds)]
        floor = numpy.r_[-numpy.inf, 0, 0, 0, 0, numpy.full(kinds, -numpy.inf)]
        scale = numpy.r_[1, 0.1, 0.1, 0.1 * least, 0.1, numpy.full(kinds, 0.1)]
        found = least_squares(
            *(self._residuals, start, self._jacobian),
            bounds=(floor, numpy.inf),
            x_scale=scale,
            loss="soft_l1",
            f_scale=LOSS_SCALE,
            tr_solver="lsmr" if kinds > MOST_DENSE_KINDS else "exact",
        )
        self._x = found.x
        at_floor = found.x[1:BASE] < NEXT_TO_NOTHING * scale[1:BASE]
        self._x[1:BASE] = numpy.where(at_floor, 0.0, found.x[1:BASE])
        self._find_covariances(csr_array(found.jac), scale[:BASE])
        errors = self._predicted(self._x) / rows.seconds - 1
        self.left_out_errors = numpy.clip(errors / numpy.maximum(1 - self.leverage, 1e-3), -WORST_ERROR, WORST_ERROR)

    def _find_covariances(self, jacobian: csr_array, scale: numpy.ndarray) -> None:
        """Of the parameters in common; of these with each delta; the variance of each delta; and the leverages."""
        runs, kind = len(self._rows.seconds), self._rows.kind
        common = jacobian[:, :BASE].toarray()
        own = numpy.asarray(jacobian[numpy.arange(runs), BASE + kind]).ravel()
        kinds = numpy.arange(len(self._rows.labels))
        drawn = numpy.asarray(jacobian[runs + len(PRIORS) + kinds, BASE + kinds]).ravel()
        normal = numpy.bincount(kind, own**2) + drawn**2
        shared = numpy.stack([numpy.bincount(kind, common[:runs, place] * own) for place in range(BASE)])
        schur = common.T @ common - shared / normal @ shared.T + numpy.diag(1 / (UNKNOWN * scale) ** 2)
        self._common = numpy.linalg.inv(schur * numpy.outer(scale, scale)) * numpy.outer(scale, scale)
        self._with_kind = -self._common @ shared / normal
        self._of_kind = 1 / normal - numpy.einsum("ik,ik->k", self._with_kind, shared) / normal
        rows = common[:runs]
        self.leverage = (
            numpy.einsum("ij,jk,ik->i", rows, self._common, rows)
            + 2 * own * numpy.einsum("ij,ji->i", rows, self._with_kind[:, kind])
            + own**2 * self._of_kind[kind]
        )

    def _micro_batch(self, x: numpy.ndarray) -> numpy.ndarray:
        rows = self._rows
        return rows.work * numpy.exp(x[0] + x[BASE + rows.kind]) * self._split(x) * (1 + x[2] * rows.small)

    def _split(self, x: numpy.ndarray) -> numpy.ndarray:
        return 1 / self._rows.tensor + x[1] + x[4] * (self._rows.tensor > 1)

    def _predicted(self, x: numpy.ndarray) -> numpy.ndarray:
        return self._micro_batch(x) * self._rows.passes + x[SYNC] * self._sync

    def _residuals(self, x: numpy.ndarray) -> numpy.ndarray:
        drawn = [(x[number] - mean) / spread for number, (mean, spread) in PRIORS.items()]
        return numpy.r_[(self._predicted(x) / self._rows.seconds - 1) / self._noise, drawn, x[BASE:] / self._spread]

    def _jacobian(self, x: numpy.ndarray) -> numpy.ndarray | csr_array:
        """Of the residuals: dense for few kinds."""
        rows, kinds = self._rows, len(self._rows.labels)
        runs = numpy.arange(len(rows.seconds))
        spent = self._micro_batch(x) * rows.passes / rows.seconds / self._noise
        slopes = self._slopes(x)
        values = [*(spent * slope for slope in slopes), spent]
        values[SYNC] = self._sync / rows.seconds / self._noise
        places = [(runs, numpy.full(len(runs), number)) for number in range(BASE)] + [(runs, BASE + rows.kind)]
        drawn = len(runs) + numpy.arange(len(PRIORS))
        deltas = numpy.arange(kinds)
        places += [(drawn, numpy.array(list(PRIORS))), (len(runs) + len(PRIORS) + deltas, BASE + deltas)]
        values += [numpy.array([1 / spread for _, spread in PRIORS.values()]), numpy.full(kinds, 1 / self._spread)]
        at = [numpy.concatenate(part) for part in zip(*places, strict=True)]
        shape = (len(runs) + len(PRIORS) + kinds, BASE + kinds)
        found = csr_array((numpy.concatenate(values), tuple(at)), shape=shape)
        return found if kinds > MOST_DENSE_KINDS else found.toarray()

    def _slopes(self, x: numpy.ndarray) -> numpy.ndarray:
        """Derivatives of the logarithm of each run's micro-batch seconds by the parameters in common."""
        rows, split = self._rows, self._split(x)
        none = numpy.zeros_like(split)
        return numpy.stack([none + 1, 1 / split, rows.small / (1 + x[2] * rows.small), none, (rows.tensor > 1) / split])

    def form(self) -> Form:
        """The parameters, and the covariances that predictions need."""
        micro, slopes, stages = self._micro_batch(self._x), self._slopes(self._x), []
        counts = numpy.bincount(self._rows.kind)
        first = {int(kind): number for number, kind in reversed(list(enumerate(self._rows.kind)))}
        for number, label in enumerate(self._rows.labels):
            slope, shared = slopes[:, first[number]], self._with_kind[:, number]
            stages.append(
                Stage(
                    kind=label,
                    micro_batch_seconds=short(micro[first[number]]),
                    variance=short(slope @ self._common @ slope + 2 * slope @ shared + self._of_kind[number]),
                    sync_covariance=short(slope @ self._common[SYNC] + shared[SYNC]),
                    rows=int(counts[number]),
                )
            )
        return Form(
            name=self._name,
            weight=0.0,
            left_out_error=0.0,
            rate_seconds=short(numpy.exp(self._x[0])),
            rho=short(self._x[1]),
            kappa=short(self._x[4]),
            small=short(self._x[2]),
            sync_seconds=short(self._x[SYNC]),
            covariance=tuple(tuple(short(value) for value in row) for row in self._common),
            stages=tuple(stages),
            kind_spread=short(self._spread),
        )


def short(value: float) -> float:
    """A number as it is kept."""
    return float(f"{value:.{DIGITS}g}")
