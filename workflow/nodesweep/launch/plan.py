"""Every point of a sweep, what runs and what does not and why, what it will take, as CSV and markdown."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType

from nodesweep.performance.forecast import Forecast
from nodesweep.sweep.layout import Layout
from nodesweep.sweep.study import Study

from .decisions import NEVER_SUBMITTED, Decisions, NotRun
from .journal import State


@dataclass(frozen=True)
class Planned:
    """A layout of the plan: what is foreseen of it, its place in the queue from 1, or why it is not to run.

    `ended`: how its runs ended, where it needs no more; else empty. `jobs`: runs of it that a launch submits, at least
    and at most.
    """

    layout: Layout
    forecast: Forecast
    order: int | None
    not_run: NotRun | None
    ended: str = ""
    jobs: tuple[int, int] = (1, 1)

    @property
    def node_hours(self) -> float | None:
        """What all jobs that a launch may submit for it are foreseen to use, or what is saved of what is not run."""
        hours = self.forecast.node_hours
        return None if hours is None else hours * self.jobs[1]

    @property
    def runs(self) -> bool:
        """Whether the next launch runs it."""
        return self.not_run is None and not self.ended


def planned(
    study: Study, decisions: Decisions, ended: Mapping[str, str], states: Mapping[str, State] = MappingProxyType({})
) -> list[Planned]:
    """All layouts in the order of the config, as a launcher would decide on them now, each by itself.

    `ended`: how those ended, by slug, that need no more runs. `states`: of their journals, where they have any.
    """
    decided = {slug: _decided(slug, decisions, ended.get(slug, ""), states) for slug in study.runs}
    order, found = 0, {}
    for slug in sorted(study.runs, key=decisions.rank):
        row = study.runs[slug].row
        if row in found:
            continue
        runs = study.runs_of(row)
        one = _of_runs(study, decisions, runs, {run.slug: decided[run.slug] for run in runs})
        if one.runs and decided[slug] != _TO_RUN:
            continue  # its place is that of its first run that is left
        order += one.runs
        found[row] = replace(one, order=order) if one.runs else one
    return [found[slug] for slug in study.layouts]


@dataclass(frozen=True)
class _DecidedRun:
    """What becomes of one run: why it is not to be, or how it ended; neither where it is to be."""

    not_run: NotRun | None = None
    ended: str = ""


_TO_RUN = _DecidedRun()


def _decided(slug: str, decisions: Decisions, outcome: str, states: Mapping[str, State]) -> _DecidedRun:
    state = states.get(slug, NEVER_SUBMITTED)
    if state.problem:
        return _DecidedRun(NotRun("held", state.problem))
    if outcome:
        return _DecidedRun(ended=outcome)
    not_run = decisions.not_run(slug, state)
    return _TO_RUN if not_run is None or not_run.for_now else _DecidedRun(not_run)


def _of_runs(study: Study, decisions: Decisions, runs: list[Layout], decided: Mapping[str, _DecidedRun]) -> Planned:
    """A layout of the plan by what becomes of each of its runs."""
    first, repeats = runs[0], study.sweep.repeats
    left = [run.repeat for run in runs if decided[run.slug] == _TO_RUN]
    sure = len(left) if repeats.until_percent is None else sum(number <= repeats.at_least for number in left)
    one = Planned(first, decisions.forecast(first.slug), None, None)
    if left:
        return replace(one, jobs=(sure, len(left)))
    ends = [decided[run.slug].ended for run in runs if decided[run.slug].ended]
    if ends:
        return replace(one, ended=ends[0] if len(set(ends)) == 1 else ", ".join(ends))
    return replace(one, not_run=decided[first.slug].not_run, jobs=(len(runs), len(runs)))
