"""Runs of a sweep, and what was taken in from elsewhere, sorted by software stack and fitted."""

from collections.abc import Iterable, Mapping
from typing import Any

from nodesweep.common.outcomes import has_failed
from nodesweep.config.sweep import Sweep
from nodesweep.performance.calibration import Calibration
from nodesweep.performance.calibration.observations import ExcludedRun, Observation, mib_of_a_rank, observations_of
from nodesweep.performance.dimensions import Dimensions
from nodesweep.sweep.layout import Layout

from .table import LayoutRun

Found = dict[str, tuple[list[Observation], list[ExcludedRun]]]


def calibrations_of(
    sweep: Sweep, runs: Iterable[LayoutRun], foreign: Mapping[str, Iterable[Mapping[str, Any]]]
) -> dict[str, Calibration]:
    """What each campaign with a measured run says. `foreign`: rows taken in, in columns of results.csv, by campaign."""
    runs = list(runs)
    found: Found = {}
    for run in runs:
        if run.record is not None and run.status == "ended":
            _take(found.setdefault(run.layout.campaign, ([], [])), run)
    for campaign, rows in foreign.items():
        known, left_out = found.setdefault(campaign, ([], []))
        more, less = observations_of(rows, sweep.workload, sweep.model.vocab_size)
        known += more
        left_out += less
    measured = {campaign: each for campaign, each in found.items() if each[0]}
    if not measured:
        return {}
    from nodesweep.performance.calibration.fit import calibrate

    return {
        campaign: calibrate(
            campaign, known, left_out, _targets(run.layout for run in runs if run.layout.campaign == campaign)
        )
        for campaign, (known, left_out) in sorted(measured.items())
    }


def _targets(layouts: Iterable[Layout]) -> list[Dimensions]:
    return [Dimensions.of(layout) for layout in layouts]


def _take(found: tuple[list[Observation], list[ExcludedRun]], run: LayoutRun) -> None:
    """Sort a run among the observations, or among what was left out."""
    measurement, outcome = run.measurement, (run.record or {}).get("outcome")
    statistics = measurement.statistics if measurement else None
    memory = measurement.memory if measurement else None
    if statistics is None and memory is None:
        found[1].append(ExcludedRun(run.layout.slug, f"nothing was measured ({outcome})"))
        return
    found[0].append(
        Observation(
            run.layout.slug,
            Dimensions.of(run.layout),
            statistics.iteration_seconds if statistics else None,
            mib_of_a_rank(memory.peak_mib, memory.source, run.layout.ranks_per_node, run.layout.ranks)
            if memory
            else None,
            limited=has_failed(outcome),
            scatter=statistics.scatter if statistics else None,
        )
    )
