"""The fitted time model: what it predicts of a case, how surely, and what it does not determine."""

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import compress

from nodesweep.common.units import TERA
from nodesweep.config.layout_fields import LAYOUT_FIELDS
from nodesweep.config.model_fields import MODEL_FIELDS
from nodesweep.performance.dimensions import Dimensions
from nodesweep.performance.timing import FORMS, TimeParts, passes, time_parts

DELTA_SPREAD = 0.12
"""How far kinds of stage scatter about what they have in common, relative (one sigma), at least."""
FIRST_NOISE = 0.01
"""Relative noise of a measured time where no runs tell it."""
SIGMAS = 1.96
"""Half the width of an interval that holds 95 of 100, in standard errors."""
LEAST_SIGNIFICANCE = 1.5
"""The sync counts as determined from so many times its standard error on."""
MATTERS = 0.02
MATTERS_NOISES = 3
"""What is unknown matters from this share of an iteration on, or from so many times the noise of the times."""
_SYNC = 3
"""Place of the sync's seconds among the parameters of a form's covariance."""
_HOW_MANY = ("nodes", "data", "global_batch")
"""Fields that change how many micro batches a stage works through, not how long it takes for one."""
_OF_STAGE = tuple(
    row for row in LAYOUT_FIELDS.values() if row.axis and row.name not in _HOW_MANY and not row.of_workload
)
_APART = tuple(LAYOUT_FIELDS[name] for name in ("context", "expert", "expert_tensor", "offload"))
_WEIGHTS_SHARED = 3
_SIZES_IN_ONE_WORD = ("layers", "hidden_size", "attention_heads")
_OTHER_SIZES = tuple(row for row in MODEL_FIELDS.values() if row.sets_problem and row.name not in _SIZES_IN_ONE_WORD)


@lru_cache(maxsize=65536)
def kind_of(case: Dimensions) -> str:
    """What makes two stages work through a micro batch in the same time, as words."""
    training = {name: value for name, value in case.training if value != type(case.training).model_fields[name].default}
    fields = [(row, case.maybe(row.name)) for row in _OF_STAGE]
    named = (row.in_tables == "always" or row.in_every_slug or not row.is_default(value) for row, value in fields)
    words = [
        *(row.phrase(value) for row, value in compress(fields, named)),
        f"{case.layers} x {case.hidden_size} / {case.attention_heads}",
        *(row.phrase(case.special_size(row.name)) for row in _OTHER_SIZES),
        case.precision,
        *(f"{name} {value}" for name, value in training.items()),
    ]
    return ", ".join(word for word in words if word)


def apart_of(case: Dimensions) -> str:
    """What a case has of which runs without it tell no time: CP, EP, ETP, offload, shared weights, format; as words."""
    fields = [(row, case.maybe(row.name)) for row in _APART]
    words = [row.phrase(value) for row, value in fields if not row.is_default(value)]
    sharded = ["weights shared out"] if case.training.zero_stage == _WEIGHTS_SHARED else []
    return ", ".join([*words, *sharded, case.precision])


def reference(cases: Sequence[Dimensions]) -> tuple[int, float]:
    """The fewest tokens of a micro batch, and the clock most cases have, 0 where none is known."""
    clocks = Counter(case.frequency_ghz or 0.0 for case in cases)
    return min(case.rank_tokens for case in cases), clocks.most_common(1)[0][0]


@dataclass(frozen=True)
class MicroBatchWork:
    """What a stage does for one micro batch.

    `work`: 1e12 operations, at the clock of reference. `small`: the fewest tokens of a micro batch over those of this
    one, w0/w.
    """

    work: float
    small: float

    @classmethod
    def of(cls, case: Dimensions, tokens: int, clock_ghz: float) -> "MicroBatchWork":
        """The work of a case, against the fewest tokens of a micro batch and the clock of reference."""
        slower = clock_ghz / case.frequency_ghz if clock_ghz and case.frequency_ghz else 1.0
        return cls(case.stage_flops / TERA * slower, tokens / case.rank_tokens)


@dataclass(frozen=True)
class StageKind:
    """A measured kind of stage: seconds of a micro batch, variance of their logarithm, its covariance with the sync.

    `rows`: the number of its runs. `apart`: what it has that other kinds tell nothing of; None in files of earlier
    versions, which had one and the same everywhere.
    """

    kind: str
    micro_batch_seconds: float
    variance: float
    sync_covariance: float
    rows: int
    apart: str | None = None


@dataclass(frozen=True)
class MicroBatchEstimate:
    """Seconds of a micro batch in a stage, variance of their logarithm, and its covariance with the sync.

    `measured`: whether a run had this kind of stage.
    """

    seconds: float
    variance: float
    sync_covariance: float
    measured: bool


@dataclass(frozen=True)
class SyncForm:
    """One form of the sync with its weight, and what was fitted under it.

    `covariance`: of (log rate_seconds, rho, small, sync_seconds, kappa). `left_out_error`: root mean square, relative.
    `kind_spread`: relative difference of a kind of stage that was never measured from what the others predict of it.
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
    stages: tuple[StageKind, ...]
    kind_spread: float

    def micro_batch(self, case: Dimensions, work: MicroBatchWork) -> MicroBatchEstimate:
        """Seconds of a micro batch: as measured for its kind of stage, else by what all kinds have in common."""
        kind = kind_of(case)
        for stage in self.stages:
            if stage.kind == kind:
                return MicroBatchEstimate(stage.micro_batch_seconds, stage.variance, stage.sync_covariance, True)
        is_split = float(case.tensor > 1)
        split, fixed = 1 / case.tensor + self.rho + self.kappa * is_split, 1 + self.small * work.small
        seconds = work.work * self.rate_seconds * split * fixed
        slope = (1.0, 1 / split, work.small / fixed, 0.0, is_split / split)
        variance = sum(a * b * self.covariance[i][j] for i, a in enumerate(slope) for j, b in enumerate(slope))
        shared = sum(a * self.covariance[i][_SYNC] for i, a in enumerate(slope))
        return MicroBatchEstimate(seconds, variance + self.kind_spread**2, shared, False)

    def sync_factor(self, case: Dimensions) -> float:
        """How many times `sync_seconds` the sync of a case takes."""
        return FORMS[self.name](case.data)

    @property
    def sync_variance(self) -> float:
        """Variance of the sync's seconds."""
        return self.covariance[_SYNC][_SYNC]

    @property
    def sync_error(self) -> float:
        """Standard error of the sync's seconds."""
        return math.sqrt(max(self.sync_variance, 0.0))


@dataclass(frozen=True)
class TimeEstimate:
    """A predicted iteration: its parts, and an interval that holds the measured time 95 times of 100.

    `by`: what makes the interval as wide as it is, in words.
    """

    parts: TimeParts
    low_seconds: float
    high_seconds: float
    by: str

    @property
    def seconds(self) -> float:
        """The predicted time."""
        return self.parts.total_seconds

    @property
    def sigma(self) -> float:
        """The relative standard error of the predicted time."""
        return math.log(self.high_seconds / self.seconds) / SIGMAS


@dataclass(frozen=True)
class _FormEstimate:
    """An iteration by one form: variances of micro batches and of the sync and twice their covariance, all in s^2."""

    parts: TimeParts
    micro_batch_variance: float
    sync_variance: float
    shared_variance: float
    measured: bool


@dataclass(frozen=True)
class TimeModel:
    """The forms of the sync and what they have in common.

    `noise`: relative, of a measured time. `fewest_tokens`, `clock_ghz`: of reference. `most_data`: the largest DP.
    """

    forms: tuple[SyncForm, ...]
    noise: float
    rows: int
    fewest_tokens: int
    clock_ghz: float
    most_data: int

    @property
    def sync_significance(self) -> float:
        """The sync over its standard error, the mean of the forms."""
        return self._mean([form.sync_seconds / form.sync_error if form.sync_error else 0.0 for form in self.forms])

    def sync(self, case: Dimensions) -> tuple[float, float]:
        """Seconds of the sync of a case, and their standard error; the mean of the forms."""
        factors = [form.sync_factor(case) for form in self.forms]
        seconds = [form.sync_seconds * factor for form, factor in zip(self.forms, factors, strict=True)]
        errors = [form.sync_error * factor for form, factor in zip(self.forms, factors, strict=True)]
        return self._mean(seconds), self._mean(errors)

    @property
    def matters(self) -> float:
        """From which share of an iteration on what is unknown matters."""
        return max(MATTERS, MATTERS_NOISES * self.noise)

    def work_of(self, case: Dimensions) -> MicroBatchWork:
        """The work of a micro batch of a case, against what the measured runs have."""
        return MicroBatchWork.of(case, self.fewest_tokens, self.clock_ghz)

    def refusal(self, case: Dimensions) -> str:
        """Why the time of a case is not predicted: it depends on a sync that the runs do not determine; else empty."""
        case = self._as_measured(case)
        known = {stage.apart for stage in self.forms[0].stages}
        if None not in known and (apart := apart_of(case)) not in known:
            return f"no run has {apart}: no formula tells its time by other runs"
        if case.data > 1 and self.most_data == 1:
            return f"all runs have DP 1: of the DP sync of DP {case.data} they tell nothing"
        if self.sync_significance >= LEAST_SIGNIFICANCE or 2 * self._error_by_sync(case) <= self.matters:
            return ""
        return f"the runs go up to DP {self.most_data} and do not tell the DP sync of DP {case.data}"

    def estimate(self, case: Dimensions) -> TimeEstimate:
        """What an iteration of a case takes."""
        case = self._as_measured(case)
        work = self.work_of(case)
        of_forms = [self._by_form(form, case, work) for form in self.forms]
        mean = self._mean_parts([found.parts for found in of_forms])
        seconds = mean.total_seconds
        sources = {
            "the noise of the measured times": self.noise**2,
            "the form of the DP sync": self._mean(
                [(found.parts.total_seconds / seconds - 1) ** 2 for found in of_forms]
            ),
            "the time of a micro batch": self._mean([found.micro_batch_variance for found in of_forms]) / seconds**2,
            "the size of the DP sync": self._mean([found.sync_variance for found in of_forms]) / seconds**2,
        }
        shared = self._mean([found.shared_variance for found in of_forms]) / seconds**2
        sigma = math.sqrt(max(sum(sources.values()) + shared, self.noise**2))
        by = max(sources, key=lambda name: sources[name])
        if by == "the time of a micro batch" and not of_forms[0].measured:
            by = "its kind of stage was never measured"
        return TimeEstimate(mean, seconds * math.exp(-SIGMAS * sigma), seconds * math.exp(SIGMAS * sigma), by)

    def _as_measured(self, case: Dimensions) -> Dimensions:
        """A case without its clock where no run tells its own."""
        return case if self.clock_ghz else case.changed(frequency_ghz=None)

    def _error_by_sync(self, case: Dimensions) -> float:
        """The part of a prediction's relative standard error that would go if the sync were known."""
        work, variances = self.work_of(case), []
        for form in self.forms:
            micro, factor, variance = form.micro_batch(case, work), form.sync_factor(case), form.sync_variance
            spent = micro.seconds * passes(case)
            along = (spent * micro.sync_covariance + factor * variance) / (spent + factor * form.sync_seconds)
            variances.append(along**2 / variance if variance > 0 else 0.0)
        return math.sqrt(max(self._mean(variances), 0.0))

    def _by_form(self, form: SyncForm, case: Dimensions, work: MicroBatchWork) -> _FormEstimate:
        micro, factor = form.micro_batch(case, work), form.sync_factor(case)
        spent = micro.seconds * passes(case)
        return _FormEstimate(
            parts=time_parts(case, micro.seconds, form.sync_seconds * factor),
            micro_batch_variance=micro.variance * spent**2,
            sync_variance=form.sync_variance * factor**2,
            shared_variance=2 * spent * factor * micro.sync_covariance,
            measured=micro.measured,
        )

    def _mean(self, values: Sequence[float]) -> float:
        """The mean of values, one a form, by the weights of the forms."""
        return math.fsum(form.weight * value for form, value in zip(self.forms, values, strict=True))

    def _mean_parts(self, parts: Sequence[TimeParts]) -> TimeParts:
        return TimeParts(
            compute_seconds=self._mean([one.compute_seconds for one in parts]),
            bubble_seconds=self._mean([one.bubble_seconds for one in parts]),
            sync_seconds=self._mean([one.sync_seconds for one in parts]),
            sharing_seconds=self._mean([one.sharing_seconds for one in parts]),
        )


@dataclass(frozen=True)
class FittedRun:
    """A run that the model was fitted to: how far, relative, the model is off its time.

    `left_out_error`: how far a model of the other runs alone is off, None where these do not determine its time.
    `left_out_sigma`: the relative standard error of what that model predicts.
    """

    name: str
    seconds: float
    error: float
    left_out_error: float | None = None
    left_out_sigma: float | None = None


@dataclass(frozen=True)
class TimeFit:
    """The time model of a campaign's runs; `refusal`: why nothing may be predicted by it, empty where it may.

    A model that is refused still orders what to run next: its intervals are as wide as what it does not know.
    """

    model: TimeModel | None = None
    refusal: str = ""
    runs: tuple[FittedRun, ...] = ()
