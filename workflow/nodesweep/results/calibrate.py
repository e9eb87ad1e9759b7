"""Runs of a sweep, and what was taken in from elsewhere, sorted by software stack and fitted."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from nodesweep.common.outcomes import has_failed, is_undecided
from nodesweep.config.sweep import Sweep
from nodesweep.config.tidy_row import TidyRow
from nodesweep.performance.calibration import Calibration
from nodesweep.performance.calibration.observations import (
    ExcludedRun,
    Observation,
    mib_of_a_rank,
    observations_of,
    workload_of_row,
)
from nodesweep.performance.dimensions import Dimensions, unknown_parts
from nodesweep.performance.timing import no_time_formula

from .measurement import IterationStatistics
from .rows import LayoutRun


@dataclass
class _CampaignRuns:
    """What a campaign is fitted to, what is excluded from that, and the cases that are to be predicted."""

    observations: list[Observation] = field(default_factory=list)
    excluded: list[ExcludedRun] = field(default_factory=list)
    targets: list[Dimensions] = field(default_factory=list)


def calibrations_of(
    sweep: Sweep, runs: Iterable[LayoutRun], foreign: Mapping[str, Iterable[TidyRow]]
) -> dict[str, Calibration]:
    """The calibration of each stack with a measured run. `foreign`: rows taken in from elsewhere, by campaign."""
    campaigns: dict[str, _CampaignRuns] = defaultdict(_CampaignRuns)
    for run in runs:
        campaign = campaigns[run.layout.stack]
        case = Dimensions.of(run.layout)
        campaign.targets += [] if no_time_formula(case) else [case]
        if run.record is not None and run.status == "ended":
            _sort_in(campaign, run)
    for name, rows in foreign.items():
        observations, excluded = observations_of(rows, lambda row: workload_of_row(row, sweep), sweep.model)
        campaigns[name].observations += observations
        campaigns[name].excluded += excluded
    measured = {name: campaign for name, campaign in sorted(campaigns.items()) if campaign.observations}
    if not measured:
        return {}
    from nodesweep.performance.calibration.fit import calibrate

    return {
        name: calibrate(name, campaign.observations, campaign.excluded, campaign.targets)
        for name, campaign in measured.items()
    }


def _sort_in(campaign: _CampaignRuns, run: LayoutRun) -> None:
    """Add an ended run to the observations of its campaign, or to what is excluded."""
    measurement, outcome = run.measurement, run.record.outcome if run.record else None
    statistics = measurement.statistics if measurement else None
    memory = measurement.memory if measurement and not is_undecided(outcome) else None
    layout, case = run.layout, Dimensions.of(run.layout)
    if case.other_parts:
        campaign.excluded.append(ExcludedRun(layout.slug, unknown_parts(case)))
        return
    if statistics is None and memory is None:
        campaign.excluded.append(ExcludedRun(layout.slug, f"nothing was measured ({outcome})"))
        return
    campaign.observations.append(
        Observation(
            name=layout.slug,
            case=case,
            seconds=statistics.iteration_seconds if statistics else None,
            memory_mib=mib_of_a_rank(memory.peak_mib, memory.source, layout.ranks_per_node, layout.ranks)
            if memory
            else None,
            limited=has_failed(outcome),
            scatter=_scatter(run, statistics) if statistics else None,
            rounding=statistics.rounding if statistics else 0.0,
        )
    )


def _scatter(run: LayoutRun, statistics: IterationStatistics) -> float | None:
    """How much times of a layout scatter: its iterations, or its runs where these are farther apart."""
    of_runs = run.over.times.reach_percent / 100 if run.over and run.over.times else None
    return max(filter(None, (statistics.scatter, of_runs)), default=statistics.scatter)
