"""The fitted time model: what it predicts of a case, how surely, and what it cannot tell."""

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from nodesweep.performance.dimensions import Dimensions
from nodesweep.performance.timing import FORMS, Parts, parts, passes

TERA = 1e12
DELTA_SPREAD = 0.12
"""How far kinds of stage scatter about what they have in common, relative (one sigma), at least."""
FIRST_NOISE = 0.01
"""What is taken for the relative noise of a measured time until there are rows to tell."""
SIGMAS = 1.96
"""Intervals hold 95 of 100."""
LEAST_SIGNIFICANCE = 1.5
"""The sync counts as known from so many times its standard error on."""
MATTERS = 0.02
MATTERS_NOISES = 3
"""What is unknown matters from this share of an iteration on, or from so many times the noise of the times."""


@lru_cache(maxsize=65536)
def kind_of(case: Dimensions) -> str:
    """What makes two stages work through a micro batch in the same time, as words."""
    training = {name: value for name, value in case.training if value != type(case.training).model_fields[name].default}
    words = [
        f"MP {case.tensor}",
        f"PP {case.pipeline}",
        f"MBS {case.micro_batch}",
        f"sequence {case.sequence_length}",
        "AC" if case.activation_checkpointing else "no AC",
        f"{case.frequency_ghz:g} GHz" if case.frequency_ghz else "",
        f"{case.layers} x {case.hidden_size} / {case.attention_heads}",
        f"FFN {case.ffn_width}" if case.ffn_width != 4 * case.hidden_size else "",
        f"vocabulary {case.vocab_size}",
        case.precision,
        *(f"{name} {value}" for name, value in training.items()),
    ]
    return ", ".join(word for word in words if word)


def reference(cases: Sequence[Dimensions]) -> tuple[int, float]:
    """The fewest tokens of a micro batch, and the clock most cases have, 0 where none is known."""
    clocks = Counter(case.frequency_ghz or 0.0 for case in cases)
    return min(case.micro_batch * case.sequence_length for case in cases), clocks.most_common(1)[0][0]


@dataclass(frozen=True)
class Base:
    """`work`: 1e12 operations of a micro batch in a stage, at the clock of reference; `small`: w0/w."""

    work: float
    small: float

    @classmethod
    def of(cls, case: Dimensions, tokens: int, clock_ghz: float) -> "Base":
        """That of a case."""
        slower = clock_ghz / case.frequency_ghz if clock_ghz and case.frequency_ghz else 1.0
        return cls(case.stage_flops / TERA * slower, tokens / (case.micro_batch * case.sequence_length))


@dataclass(frozen=True)
class Stage:
    """A measured kind of stage: seconds of a micro batch, variance of their logarithm, its covariance with the sync."""

    kind: str
    micro_batch_seconds: float
    variance: float
    sync_covariance: float
    rows: int


@dataclass(frozen=True)
class Form:
    """One form of the sync with its weight, and what was fitted under it.

    `covariance`: of (log rate_seconds, rho, small, sync_seconds, kappa). `left_out_error`: root mean square, relative.
    `kind_spread`: how far a kind of stage that was never measured may be off what the others say of it, relative.
    """

    name: str
    weight: float
    left_out_error: float
    rate_seconds: float
    rho: float
    kappa: float
    small: float
    sync_seconds: float
    covariance: tuple[tuple[float, ...], ...]
    stages: tuple[Stage, ...]
    kind_spread: float

    def micro_batch(self, case: Dimensions, base: Base) -> tuple[float, float, float, bool]:
        """Seconds of a micro batch in a stage, variance of their logarithm, its covariance with the sync; measured?"""
        kind = kind_of(case)
        for stage in self.stages:
            if stage.kind == kind:
                return stage.micro_batch_seconds, stage.variance, stage.sync_covariance, True
        says = float(case.tensor > 1)
        split, fixed = 1 / case.tensor + self.rho + self.kappa * says, 1 + self.small * base.small
        seconds = base.work * self.rate_seconds * split * fixed
        slope = (1.0, 1 / split, base.small / fixed, 0.0, says / split)
        variance = sum(a * b * self.covariance[i][j] for i, a in enumerate(slope) for j, b in enumerate(slope))
        shared = sum(a * self.covariance[i][3] for i, a in enumerate(slope))
        return seconds, variance + self.kind_spread**2, shared, False

    @property
    def sync_error(self) -> float:
        """Standard error of the sync's seconds."""
        return math.sqrt(max(self.covariance[3][3], 0.0))


@dataclass(frozen=True)
class Estimate:
    """A predicted iteration: its parts, and an interval that holds the measured time 95 times of 100.

    `by`: what makes the interval as wide as it is, in words. `measured_kind`: whether its kind of stage was measured.
    """

    parts: Parts
    low_seconds: float
    high_seconds: float
    by: str
    measured_kind: bool

    @property
    def seconds(self) -> float:
        """The predicted time."""
        return self.parts.total_seconds

    @property
    def sigma(self) -> float:
        """Its relative standard error."""
        return math.log(self.high_seconds / self.seconds) / SIGMAS


@dataclass(frozen=True)
class TimeModel:
    """The forms of the sync and what they have in common.

    `noise`: relative, of a measured time. `fewest_tokens`, `clock_ghz`: of reference. `most_data`: the largest DP.
    """

    forms: tuple[Form, ...]
    noise: float
    rows: int
    fewest_tokens: int
    clock_ghz: float
    most_data: int

    @property
    def sync_significance(self) -> float:
        """The sync over its standard error, the mean of the forms."""
        ratios = [form.sync_seconds / form.sync_error if form.sync_error else 0.0 for form in self.forms]
        return _mean([form.weight for form in self.forms], ratios)

    def sync(self, case: Dimensions) -> tuple[float, float]:
        """Seconds of the sync of a case, and their standard error; the mean of the forms."""
        weights, factors = [form.weight for form in self.forms], [FORMS[form.name](case.data) for form in self.forms]
        seconds = [form.sync_seconds * factor for form, factor in zip(self.forms, factors, strict=True)]
        errors = [form.sync_error * factor for form, factor in zip(self.forms, factors, strict=True)]
        return _mean(weights, seconds), _mean(weights, errors)

    @property
    def matters(self) -> float:
        """From which share of an iteration on what is unknown matters."""
        return max(MATTERS, MATTERS_NOISES * self.noise)

    def _as_measured(self, case: Dimensions) -> Dimensions:
        """A case without its clock where no run tells its own."""
        return case if self.clock_ghz else case.changed(frequency_ghz=None)

    def refusal(self, case: Dimensions) -> str:
        """Why nothing may be said of a case: it hangs on a sync that the runs do not tell; empty where it may."""
        case = self._as_measured(case)
        if case.data > 1 and self.most_data == 1:
            return f"all runs have DP 1: of the DP sync of DP {case.data} they tell nothing"
        if self.sync_significance >= LEAST_SIGNIFICANCE or 2 * self._error_by_sync(case) <= self.matters:
            return ""
        return f"the runs go up to DP {self.most_data} and do not tell the DP sync of DP {case.data}"

    def _error_by_sync(self, case: Dimensions) -> float:
        """The part of a prediction's relative standard error that would go if the sync were known."""
        base = Base.of(case, self.fewest_tokens, self.clock_ghz)
        variances = []
        for form in self.forms:
            micro, _, shared, _ = form.micro_batch(case, base)
            factor, spent, variance = FORMS[form.name](case.data), micro * passes(case), form.covariance[3][3]
            along = (spent * shared + factor * variance) / (spent + factor * form.sync_seconds)
            variances.append(along**2 / variance if variance else 0.0)
        return math.sqrt(_mean([form.weight for form in self.forms], variances))

    def estimate(self, case: Dimensions) -> Estimate:
        """What an iteration of a case takes."""
        case = self._as_measured(case)
        base = Base.of(case, self.fewest_tokens, self.clock_ghz)
        of_forms = [self._of_form(form, case, base) for form in self.forms]
        weights = [form.weight for form in self.forms]
        mean = Parts(*(_mean(weights, values) for values in zip(*(found[0] for found in of_forms), strict=True)))
        seconds = mean.total_seconds
        totals = [sum(found[0]) for found in of_forms]
        sources = {
            "the noise of the measured times": self.noise**2,
            "the form of the DP sync": _mean(weights, [(total / seconds - 1) ** 2 for total in totals]),
            "the time of a micro batch": _mean(weights, [found[1] for found in of_forms]) / seconds**2,
            "the size of the DP sync": _mean(weights, [found[2] for found in of_forms]) / seconds**2,
        }
        shared = _mean(weights, [found[3] for found in of_forms]) / seconds**2
        sigma = math.sqrt(max(sum(sources.values()) + shared, self.noise**2))
        measured = of_forms[0][4]
        by = max(sources, key=lambda name: sources[name])
        if by == "the time of a micro batch" and not measured:
            by = "its kind of stage was never measured"
        return Estimate(mean, seconds * math.exp(-SIGMAS * sigma), seconds * math.exp(SIGMAS * sigma), by, measured)

    def _of_form(
        self, form: Form, case: Dimensions, base: Base
    ) -> tuple[tuple[float, float, float, float], float, float, float, bool]:
        """Parts in seconds; variances of micro batches and of the sync and twice their covariance, in s^2; measured?"""
        micro, variance, shared, measured = form.micro_batch(case, base)
        factor = FORMS[form.name](case.data)
        found = parts(case, micro, form.sync_seconds * factor)
        spent = micro * passes(case)
        return (
            (found.compute_seconds, found.bubble_seconds, found.sync_seconds, found.sharing_seconds),
            variance * spent**2,
            form.covariance[3][3] * factor**2,
            2 * spent * factor * shared,
            measured,
        )


@dataclass(frozen=True)
class Run:
    """A run that was used: how far, relative, the model is off it, and one of the other runs alone, if these tell.

    `left_out_sigma`: the relative standard error of what the others say.
    """

    name: str
    seconds: float
    error: float
    left_out_error: float | None = None
    left_out_sigma: float | None = None


@dataclass(frozen=True)
class TimeFit:
    """What runs say of time: a model, and the reason why nothing may be said by it, empty where it may.

    A model that is refused still orders what to run next: its intervals are as wide as what it does not know.
    """

    model: TimeModel | None = None
    refusal: str = ""
    runs: tuple[Run, ...] = ()


def _mean(weights: Sequence[float], values: Sequence[Any]) -> float:
    return math.fsum(weight * value for weight, value in zip(weights, values, strict=True))
