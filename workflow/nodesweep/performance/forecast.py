"""What a layout will take: memory with a verdict, seconds with an interval, node-hours; and what that rests on."""

from dataclasses import dataclass, replace
from typing import Literal

from nodesweep.common.units import MIB, TERA
from nodesweep.config.layout_fields import LAYOUT_FIELDS
from nodesweep.config.machine import Machine, peak_of
from nodesweep.config.training import MemoryConstants
from nodesweep.config.workload import Workload
from nodesweep.sweep.layout import Layout

from .calibration import Calibration
from .calibration.memory_model import MemoryModel
from .cost import node_hours
from .dimensions import Dimensions
from .least_state import knows_state, least_state_bytes
from .memory import MemoryPeak, fitted_factor, no_formula, peak
from .timing import TimeParts, no_time_formula, passes, time_parts

MemoryVerdict = Literal["fits", "tight", "will not fit", "uncertain", ""]
GUESSED = MemoryConstants(process_mib=500, allocator_factor=1.1, allocator_factor_without_recomputation=1.1)
"""What a software stack may add to memory; a guess."""
LEAST = MemoryConstants(process_mib=0, allocator_factor=0.7, allocator_factor_without_recomputation=0.7)
"""No software stack that was fitted took less: what does not fit even so is hopeless before anything was measured."""
TIGHT = 0.05
"""A prediction by runs so near the limit, relative, is called tight; one by constants of a workload by their error."""
MOST_ERROR = 0.05
"""Relative standard error of a predicted peak from which on it decides nothing but the hopeless."""
GUESSED_SHARE = 0.3
GUESSED_FACTOR = 3.0
"""A guess of time: this share of a node's peak, give or take this factor."""


@dataclass(frozen=True)
class MemoryForecast:
    """The peak of a rank in bytes, against what it may use; `sure`: whether its constants were fitted for such a run.

    `peak`: None where no formula gives it. `least_bytes`: the peak where all that is not known is at its best, of which
    only weights, gradients and optimizer states are counted where there is no formula; 0 where nothing is known.
    `source`: what the constants rest on, or why there is no peak. `margin`: how far the peak may be off, relative.
    """

    peak: MemoryPeak | None
    limit_bytes: float | None
    least_bytes: float
    sure: bool
    source: str
    margin: float = TIGHT

    @property
    def bytes(self) -> float | None:
        """The predicted peak."""
        return self.peak.highest_bytes if self.peak else None

    @property
    def verdict(self) -> MemoryVerdict:
        """Whether it fits; empty where the machine does not say how much there is, or nothing how much it takes."""
        if self.limit_bytes is None:
            return ""
        if self.peak is None:
            return "will not fit" if self.least_bytes > self.limit_bytes else ""
        if (1 - self.margin) * min(self.least_bytes, self.peak.highest_bytes) > self.limit_bytes:
            return "will not fit"
        if not self.sure:
            return "uncertain"
        return "tight" if self.peak.highest_bytes > (1 - self.margin) * self.limit_bytes else "fits"


@dataclass(frozen=True)
class TimeForecast:
    """Seconds of an iteration with the interval that holds them 95 times of 100; `guess`: it rests on no run.

    `by`: what makes the interval as wide as it is. `source`: what the prediction rests on.
    """

    parts: TimeParts
    low_seconds: float
    high_seconds: float
    by: str
    source: str
    guess: bool = False

    @property
    def seconds(self) -> float:
        """The predicted time."""
        return self.parts.total_seconds


@dataclass(frozen=True)
class Forecast:
    """What a layout is expected to take; no time where nothing is known of it.

    `refusal`: why the runs there are do not tell the time, where there are any.
    """

    case: Dimensions
    memory: MemoryForecast
    time: TimeForecast | None
    node_hours: float | None
    most_node_hours: float | None
    refusal: str = ""


def forecast(layout: Layout, calibration: Calibration | None = None) -> Forecast:
    """What a layout takes by the calibration of its campaign, else by what its config says, else by a guess."""
    case = Dimensions.of(layout)
    time = _time(layout, case, calibration)
    run = layout.iterations

    def hours(seconds: float) -> float:
        return node_hours(run.startup_seconds + run.total * seconds, layout.nodes)

    return Forecast(
        case=case,
        memory=memory_of(case, layout.machine, layout.workload, calibration),
        time=time,
        node_hours=hours(time.seconds) if time else None,
        most_node_hours=hours(time.high_seconds) if time else None,
        refusal=calibration.refusal(case) if calibration and (time is None or time.guess) else "",
    )


def memory_of(
    case: Dimensions, machine: Machine, workload: Workload, calibration: Calibration | None
) -> MemoryForecast:
    """The peak of a rank, by fitted constants, by those of the workload's file, or by guessed ones."""
    limit = machine.memory_mib_per_node
    limit_bytes = None if limit is None else limit * MIB / machine.ranks_per_node
    if reason := no_formula(case):
        states = least_state_bytes(case) if knows_state(case, workload) else 0.0
        return MemoryForecast(None, limit_bytes, states, sure=False, source=reason)
    model = calibration.memory.model if calibration else None
    campaign = calibration.campaign if calibration else ""
    refusal = _refusal(case, model, campaign) if model else ""
    if model and not refusal:
        found = peak(case, model.constants)
        return MemoryForecast(found, limit_bytes, found.highest_bytes, sure=True, source=_runs(model, campaign))
    if workload.memory_constants is not None:
        return _by_workload(case, limit_bytes, workload.memory_constants, refusal)
    if model is not None:
        constants, least = model.constants, _at_least(model.constants)
    else:
        constants, least, refusal = GUESSED, LEAST, "no run has told its constants"
    return MemoryForecast(
        peak=peak(case, constants),
        limit_bytes=limit_bytes,
        least_bytes=peak(case, least).highest_bytes,
        sure=False,
        source=f"a guess: {refusal}",
    )


def _refusal(case: Dimensions, model: MemoryModel, campaign: str) -> str:
    """Why constants fitted to runs do not foresee a case; empty where they do."""
    if fitted_factor(case, model.constants) is None:
        return "no run of its kind tells"
    if model.error_bytes(case) > MOST_ERROR * peak(case, model.constants).later_bytes:
        return f"{_runs(model, campaign)} leave an error of more than {100 * MOST_ERROR:g} %"
    return ""


def _runs(model: MemoryModel, campaign: str) -> str:
    return f"{model.rows} run{'' if model.rows == 1 else 's'} of campaign {campaign}"


def _by_workload(case: Dimensions, limit_bytes: float | None, given: MemoryConstants, refusal: str) -> MemoryForecast:
    """The peak by the constants of the workload's file; not sure where these have no factor for its recomputation.

    `refusal`: why it does not go by runs, where there are any.
    """
    found, sure = peak(case, given), fitted_factor(case, given) is not None
    least = found if sure else peak(case, _at_least(given))
    recomputation = LAYOUT_FIELDS["activation_checkpointing"].phrase(case.activation_checkpointing)
    missing = "" if sure else f", without a factor for {recomputation}"
    source = f"workload.memory_constants{missing}{f'; {refusal}' if refusal else ''}"
    margin = given.error_percent / 100
    return MemoryForecast(found, limit_bytes, least.highest_bytes, sure=sure, source=source, margin=margin)


def _at_least(constants: MemoryConstants) -> MemoryConstants:
    return LEAST.model_copy(update={"process_mib": constants.process_mib})


def _time(layout: Layout, case: Dimensions, calibration: Calibration | None) -> TimeForecast | None:
    found = calibration.estimate(case) if calibration else None
    if found is not None and calibration is not None:
        source = f"{len(calibration.runs)} runs of campaign {calibration.campaign}"
        return TimeForecast(found.parts, found.low_seconds, found.high_seconds, found.by, source)
    guess = _guessed(layout, case) if layout.expected_seconds is None else _expected(layout, case)
    reason = calibration.refusal(case) if calibration else no_time_formula(case)
    return replace(guess, source=f"{guess.source}; {reason}") if guess and reason else guess


def _expected(layout: Layout, case: Dimensions) -> TimeForecast:
    """What the config expects of an iteration; the margin of its time limits says how surely."""
    run = layout.iterations
    seconds = ((layout.expected_seconds or 0.0) - run.startup_seconds) / run.total
    return TimeForecast(
        parts=time_parts(case, seconds / passes(case), 0.0),
        low_seconds=seconds / run.time_margin,
        high_seconds=seconds * run.time_margin,
        by="nothing was measured",
        source="a guess: iterations.expected_seconds of the config",
        guess=True,
    )


def _guessed(layout: Layout, case: Dimensions) -> TimeForecast | None:
    """A roofline: a share of the peak of the node, pipeline bubble added; None where peak or FLOPs are not known."""
    best = peak_of(layout.machine, layout.precision, layout.frequency_ghz)
    if best is None or not case.knows("stage_flops"):
        return None
    rank = GUESSED_SHARE * best.tflops_per_node * TERA / layout.ranks_per_node
    guessed = time_parts(case, case.stage_flops / case.tensor / rank, 0.0)
    seconds = guessed.total_seconds
    share = f"{100 * GUESSED_SHARE:.0f} % of a node's peak of {best.tflops_per_node:g} TFLOPs"
    return TimeForecast(
        parts=guessed,
        low_seconds=seconds / GUESSED_FACTOR,
        high_seconds=seconds * GUESSED_FACTOR,
        by="nothing was measured",
        source=f"a guess: {share}",
        guess=True,
    )
