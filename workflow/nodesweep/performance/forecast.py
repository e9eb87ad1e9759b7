"""What a layout will take: memory with a verdict, seconds with an interval, node-hours; and what that rests on."""

from dataclasses import dataclass, replace
from typing import Literal

from nodesweep.common.units import MIB
from nodesweep.config.machine import Machine, peak_of
from nodesweep.config.training import MemoryConstants
from nodesweep.config.workload import Workload
from nodesweep.sweep.layout import Layout

from .calibration import Calibration
from .cost import node_hours
from .dimensions import Dimensions
from .memory import Peak, known_factor, peak
from .timing import Parts, parts, passes

Verdict = Literal["fits", "tight", "will not fit", "uncertain", ""]
GUESSED = MemoryConstants(process_mib=500, allocator_factor=1.1, allocator_factor_without_recomputation=1.1)
"""What a software stack may add to memory; a guess."""
LEAST = MemoryConstants(process_mib=0, allocator_factor=0.7, allocator_factor_without_recomputation=0.7)
"""No software stack that was fitted took less: what does not fit even so is hopeless before anything was measured."""
TIGHT = 0.05
MOST_ERROR = 0.05
"""Relative standard error of a predicted peak from which on it decides nothing but the hopeless."""
GUESSED_SHARE = 0.3
GUESSED_FACTOR = 3.0
"""A guess of time: this share of a node's peak, give or take this factor."""


@dataclass(frozen=True)
class Memory:
    """The peak of a rank in bytes, against what it may use; `sure`: whether its constants were fitted for such a run.

    `least_bytes`: what it takes even if all that is not known is at its best. `source`: what the constants rest on.
    """

    peak: Peak
    limit_bytes: float | None
    least_bytes: float
    sure: bool
    source: str

    @property
    def bytes(self) -> float:
        """The predicted peak."""
        return max(self.peak.later_bytes, self.peak.first_bytes)

    @property
    def verdict(self) -> Verdict:
        """Whether it fits; empty where the machine does not say how much there is."""
        if self.limit_bytes is None:
            return ""
        if (1 - TIGHT) * self.least_bytes > self.limit_bytes:
            return "will not fit"
        if not self.sure:
            return "uncertain"
        return "tight" if self.bytes > (1 - TIGHT) * self.limit_bytes else "fits"


@dataclass(frozen=True)
class Time:
    """Seconds of an iteration with the interval that holds them 95 times of 100; `guess`: it rests on no run.

    `by`: what makes the interval as wide as it is. `source`: what the prediction rests on.
    """

    parts: Parts
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
    """What is foreseen of a layout; no time where nothing is known of it."""

    case: Dimensions
    memory: Memory
    time: Time | None
    node_hours: float | None
    most_node_hours: float | None


def forecast(layout: Layout, calibration: Calibration | None = None) -> Forecast:
    """What a layout takes by the calibration of its campaign, else by what its config says, else by a guess."""
    case = Dimensions.of(layout)
    time = _time(layout, case, calibration)
    hours = [None, None]
    if time is not None:
        run = layout.iterations
        spent = [run.startup_seconds + run.total * seconds for seconds in (time.seconds, time.high_seconds)]
        hours = [node_hours(seconds, layout.nodes) for seconds in spent]
    return Forecast(case, memory_of(case, layout.machine, layout.workload, calibration), time, *hours)


def memory_of(case: Dimensions, machine: Machine, workload: Workload, calibration: Calibration | None) -> Memory:
    """The peak of a rank, by fitted constants, by those of the workload's file, or by guessed ones."""
    limit = machine.memory_mib_per_node
    limit_bytes = None if limit is None else limit * MIB / machine.ranks_per_node
    model = calibration.memory.model if calibration else None
    given = workload.memory_constants
    if model is not None and known_factor(case, model.constants) is not None:
        found = peak(case, model.constants)
        error = model.error_bytes(case)
        if error <= MOST_ERROR * found.later_bytes:
            runs = f"{model.rows} run{'' if model.rows == 1 else 's'} of campaign {calibration.campaign}"
            return Memory(found, limit_bytes, max(found.later_bytes, found.first_bytes), True, runs)
    if given is not None:
        found, sure = peak(case, given), known_factor(case, given) is not None
        least = found if sure else peak(case, _at_least(given))
        missing = "" if sure else f", without a factor for {'AC' if case.activation_checkpointing else 'no AC'}"
        least_bytes = max(least.later_bytes, least.first_bytes)
        return Memory(found, limit_bytes, least_bytes, sure, f"workload.memory_constants{missing}")
    constants = model.constants if model is not None else GUESSED
    least = peak(case, _at_least(model.constants) if model is not None else LEAST)
    source = "a guess: no run of its kind tells" if model is not None else "a guess: no run has told its constants"
    return Memory(peak(case, constants), limit_bytes, max(least.later_bytes, least.first_bytes), False, source)


def _at_least(constants: MemoryConstants) -> MemoryConstants:
    return LEAST.model_copy(update={"process_mib": constants.process_mib})


def _time(layout: Layout, case: Dimensions, calibration: Calibration | None) -> Time | None:
    found = calibration.estimate(case) if calibration else None
    if found is not None and calibration is not None:
        source = f"{len(calibration.runs)} runs of campaign {calibration.campaign}"
        return Time(found.parts, found.low_seconds, found.high_seconds, found.by, source)
    guess = _guessed(layout, case) if layout.expected_seconds is None else _expected(layout, case)
    reason = calibration.refusal(case) if calibration else ""
    return replace(guess, source=f"{guess.source}; {reason}") if guess and reason else guess


def _expected(layout: Layout, case: Dimensions) -> Time:
    """What the config expects of an iteration; the margin of its time limits says how surely."""
    run = layout.iterations
    seconds = ((layout.expected_seconds or 0.0) - run.startup_seconds) / run.total
    source = "a guess: iterations.expected_seconds of the config"
    return Time(
        parts(case, seconds / passes(case), 0.0),
        *(seconds / run.time_margin, seconds * run.time_margin, "nothing was measured", source),
        guess=True,
    )


def _guessed(layout: Layout, case: Dimensions) -> Time | None:
    """A roofline: a share of the peak of the node, pipeline bubble added; None where the peak is not known."""
    best = peak_of(layout.machine, layout.workload.precision, layout.frequency_ghz)
    if best is None:
        return None
    rank = GUESSED_SHARE * best.tflops_per_node * 1e12 / layout.ranks_per_node
    guessed = parts(case, case.stage_flops / case.tensor / rank, 0.0)
    seconds = guessed.total_seconds
    share = f"{100 * GUESSED_SHARE:.0f} % of a node's peak of {best.tflops_per_node:g} TFLOPs"
    return Time(
        *(guessed, seconds / GUESSED_FACTOR, seconds * GUESSED_FACTOR, "nothing was measured", f"a guess: {share}"),
        guess=True,
    )
