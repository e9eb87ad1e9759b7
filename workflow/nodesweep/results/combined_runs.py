"""All runs of a layout -> what stands in its row: medians over those that are results, and what tells them apart."""

from collections.abc import Sequence
from dataclasses import replace
from statistics import median
from typing import Any

from nodesweep.common.numbers import four_figures
from nodesweep.common.outcomes import is_result
from nodesweep.performance.calibration.time_model import FIRST_NOISE
from nodesweep.performance.dimensions import Dimensions

from .measure import rates_of
from .measurement import IterationStatistics, Measurement
from .rows import LayoutRun, OverRuns, SavedIterations, saved_iterations
from .times_of_runs import TimesOfRuns

FALSE_ALARMS = 0.01
"""Probability that runs are said to disagree which differ by no more than their own iterations let them."""
RUNS_DISAGREE = "runs disagree"
"""How the flag begins that runs of a layout differ by more than their iterations let them."""
MEDIANS = (
    "iteration_seconds",
    "iteration_seconds_median",
    "iteration_seconds_mean",
    "iteration_seconds_half_interquartile_range",
    "iteration_seconds_rounding",
    "log_tflops_per_node",
    "log_tflops_per_node_median",
    "log_tflops_per_node_mean",
)
"""Figures of a row that are medians over its runs."""


def combined(runs: Sequence[LayoutRun]) -> LayoutRun:
    """The row of a layout by its runs, in the order of their numbers; a single one stays as it is.

    Times are medians over the runs that are results, memory is their highest peak. Job, log, outcome and records are
    those of the run in the middle; where no run is a result, of the first that has ended, else of the first.
    """
    if len(runs) == 1:
        return runs[0]
    results = sorted(results_of(runs), key=_seconds)
    ended = [run for run in runs if run.status == "ended"]
    chosen = results[(len(results) - 1) // 2] if results else (ended or runs)[0]
    times = TimesOfRuns.of([_seconds(run) for run in results]) if len(results) > 1 else None
    over = OverRuns(chosen.layout.slug, len(results), len(ended), times, _saved(results), _stopped(results))
    measurement = chosen.measurement
    if measurement is not None:
        measurement = _with_medians(measurement, results)
        flags = (*_flags(chosen, results), *_failures(chosen, runs), *_apart(results))
        measurement = replace(measurement, flags=flags)
    return LayoutRun(runs[0].layout, chosen.status, chosen.record, measurement, over)


def results_of(runs: Sequence[LayoutRun]) -> list[LayoutRun]:
    """The runs that did their work and whose iterations have times."""
    ended = (run for run in runs if run.status == "ended" and run.record and is_result(run.record.outcome))
    return [run for run in ended if run.measurement and run.measurement.statistics]


def _statistics(run: LayoutRun) -> IterationStatistics:
    assert run.measurement is not None and run.measurement.statistics is not None
    return run.measurement.statistics


def _seconds(run: LayoutRun) -> float:
    return _statistics(run).iteration_seconds


def _with_medians(chosen: Measurement, results: Sequence[LayoutRun]) -> Measurement:
    """The measurement of the run in the middle with the medians over all, and the highest peak of memory."""
    if len(results) < 2 or chosen.statistics is None:
        return chosen
    found = [vars(_statistics(run)) for run in results]
    known = {name: [one[name] for one in found if one[name] is not None] for name in MEDIANS}
    medians = {name: median(values) for name, values in known.items() if values}
    rates = rates_of(Dimensions.of(results[0].layout), medians["iteration_seconds"])
    peaks = [run.measurement.memory for run in results if run.measurement and run.measurement.memory]
    values: dict[str, Any] = {**medians, **rates}
    return replace(
        chosen,
        statistics=replace(chosen.statistics, **values),
        memory=max(peaks, key=lambda one: one.peak_mib, default=None),
    )


def _flags(chosen: LayoutRun, results: Sequence[LayoutRun]) -> list[str]:
    """The flags of the run in the middle, and those that others have alone, with the number of the run."""
    own = chosen.measurement.flags if chosen.measurement else ()
    others: dict[str, list[int]] = {}
    for run in results:
        for flag in run.measurement.flags if run.measurement else ():
            if run is not chosen and flag not in own:
                others.setdefault(flag, []).append(run.layout.repeat)
    return [*own, *(f"run {', '.join(map(str, sorted(numbers)))}: {flag}" for flag, numbers in others.items())]


def _failures(chosen: LayoutRun, runs: Sequence[LayoutRun]) -> list[str]:
    """How those runs ended that are no results, but for the one that is shown."""
    failed = [run.record for run in runs if run.status == "ended" and run is not chosen and run.record]
    numbers = {run.record.slug: run.layout.repeat for run in runs if run.record}
    return [f"run {numbers[one.slug]}: {one.verdict}" for one in failed if not is_result(one.outcome)]


def _saved(results: Sequence[LayoutRun]) -> SavedIterations | None:
    """What runs saved together that did their work; None where all were to do all their iterations."""
    known = [saved for saved in map(saved_iterations, results) if saved is not None]
    return (
        SavedIterations(sum(one.iterations for one in known), sum(one.node_hours for one in known)) if known else None
    )


def _stopped(results: Sequence[LayoutRun]) -> str:
    """How many of several runs did not do all their iterations, and how many iterations they saved together."""
    stopped = [saved for saved in map(saved_iterations, results) if saved is not None and saved.iterations]
    if not stopped or len(results) < 2:
        return ""
    requested = sum(run.record.iterations_requested or 0 for run in results if run.record)
    saved = sum(one.iterations for one in stopped)
    return f"{len(stopped)} of {len(results)} runs stopped once enough, {saved} of {requested} iterations saved"


def _apart(results: Sequence[LayoutRun]) -> list[str]:
    """That runs disagree, if two of them differ by more than the scatter of their iterations lets them.

    By Student's t for the slowest and the fastest, with the errors of their times within them; never by less than runs
    of one layout usually differ.
    """
    if len(results) < 2:
        return []
    fastest, slowest = results[0], results[-1]
    if _seconds(slowest) / _seconds(fastest) - 1 <= FIRST_NOISE:
        return []
    from .comparison.noise import MeasuredTime, is_beyond_noise  # scipy takes a second to import

    used = [_used(run) for run in (fastest, slowest)]
    if min(map(len, used)) < 2:
        return []
    roundings = [_statistics(run).iteration_seconds_rounding or 0.0 for run in (fastest, slowest)]
    fast, slow = (
        MeasuredTime.of_series(median(series), series).rounded(rounding)
        for series, rounding in zip(used, roundings, strict=True)
    )
    pairs = len(results) * (len(results) - 1) // 2
    if not is_beyond_noise(fast, slow, FALSE_ALARMS / pairs, min(map(len, used))):
        return []
    return [f"{RUNS_DISAGREE}: {four_figures(_seconds(fastest))} to {four_figures(_seconds(slowest))} s"]


def _used(run: LayoutRun) -> list[float]:
    """The seconds of the iterations that stand for a run."""
    measurement = run.measurement
    return [measurement.series.seconds[place] or 0.0 for place in measurement.used] if measurement else []
