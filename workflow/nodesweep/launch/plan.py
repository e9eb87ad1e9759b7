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

    `ended`: how it ended, where it needs no more runs; else empty.
    """

    layout: Layout
    forecast: Forecast
    order: int | None
    not_run: NotRun | None
    ended: str = ""

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
    order, found = 0, {}
    for slug in sorted(study.layouts, key=decisions.rank):
        outcome = ended.get(slug, "")
        state = states.get(slug, NEVER_SUBMITTED)
        held = NotRun("held", state.problem) if state.problem else None
        not_run = held or (None if outcome else decisions.not_run(slug, state))
        one = Planned(study.layouts[slug], decisions.forecast(slug), None, not_run, "" if held else outcome)
        order += one.runs
        found[slug] = replace(one, order=order) if one.runs else one
    return [found[slug] for slug in study.layouts]
