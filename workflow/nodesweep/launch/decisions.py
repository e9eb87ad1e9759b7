"""Which layout is submitted next, and which need not run: cannot fit, could pass the budget, or cannot be the best."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from nodesweep.common.outcomes import OUTCOMES, is_result
from nodesweep.common.units import GIB, TERA
from nodesweep.config.sweep import Sweep
from nodesweep.performance.best_search import SearchProgress
from nodesweep.performance.calibration import Calibration
from nodesweep.performance.calibration.time_model import kind_of
from nodesweep.performance.cost import node_hours
from nodesweep.performance.dimensions import Dimensions
from nodesweep.performance.forecast import Forecast, MemoryForecast
from nodesweep.performance.timing import passes, stage_work
from nodesweep.sweep.layout import Layout

from .forecasts import Forecasts
from .journal import State
from .repeats import RepeatsProgress, round_places

ABOVE = 1 + 1e-9
"""What needs no more than a run that ended well is not pruned by one that ran out of memory: that had other reasons."""
NEVER_SUBMITTED = State()
Why = Literal["pruned", "skipped", "held"]
_EXCEEDED_MEMORY = tuple(row.name for row in OUTCOMES.values() if row.peak_memory == "exceeded")


@dataclass(frozen=True)
class NotRun:
    """A layout that is not submitted, and why.

    Pruned for memory, skipped by the budget, the search or since no more runs of its layout are needed, or held since
    its files do not tell whether it runs.

    `for_now`: it may be once running jobs have ended and used less than they could have.
    """

    outcome: Why
    reason: str
    for_now: bool = False


@dataclass(frozen=True)
class Ran:
    """What a run that has ended tells: its outcome, and seconds per iteration where it got that far, its cost.

    `scatter`: half the interquartile range of its iterations, relative.
    """

    outcome: str
    seconds: float | None
    node_hours: float
    scatter: float | None = None


@dataclass
class _OutOfMemory:
    """The least demanding run of a stack that ran out of memory."""

    slug: str
    needed_bytes: float


@dataclass
class Decisions:
    """What is known of a sweep's layouts, and what follows for those that wait.

    `layouts`: all runs, by slug in the order of the config; `calibrations` by stack. `spent_node_hours`: of all jobs
    that have ended.
    """

    sweep: Sweep
    layouts: Mapping[str, Layout]
    calibrations: Mapping[str, Calibration]
    spent_node_hours: float = 0.0
    forecasts: Forecasts = field(init=False)
    _out_of_memory: dict[str, _OutOfMemory] = field(default_factory=dict)
    _survived: dict[str, float] = field(default_factory=dict)
    _ranks: dict[str, tuple[float, ...]] = field(default_factory=dict)
    _places: dict[str, float] = field(default_factory=dict)
    _later: dict[str, tuple[float, ...]] = field(default_factory=dict)
    _search: SearchProgress | None = None
    _repeats: RepeatsProgress = field(init=False)

    def __post_init__(self) -> None:
        self.forecasts = Forecasts(self.layouts, self.calibrations)
        self._places = {slug: float(place) for place, slug in enumerate(self.layouts)}
        self._repeats = RepeatsProgress(self.sweep.repeats, self.layouts)
        for slug, place in round_places(self.layouts, self.sweep.repeats.seed).items():
            self._later[slug] = (math.inf, place)
        if self.sweep.search is not None:
            rows = {slug: layout for slug, layout in self.layouts.items() if layout.repeat == 1}
            cases = {slug: Dimensions.of(layout) for slug, layout in rows.items()}
            self._search = SearchProgress(self.sweep.search, rows, cases)

    @property
    def searches(self) -> bool:
        """Whether ranks change with every run that ends."""
        return self._search is not None

    @property
    def awaits_ends(self) -> bool:
        """Whether the next submission depends on the result of the run that just ended.

        Without search, budget and `until_percent` it does so only once memory ran out: what went well since then lifts
        the bound.
        """
        return self.needs_times or self.sweep.budget_node_hours is not None or bool(self._out_of_memory)

    @property
    def needs_times(self) -> bool:
        """Whether what comes next depends on the time of an iteration of the runs that end."""
        return self.searches or self.sweep.repeats.until_percent is not None

    def forecast(self, slug: str) -> Forecast:
        """What is foreseen of a layout."""
        return self.forecasts.of(slug)

    def ended(self, slug: str, ran: Ran) -> None:
        """Take in how a run ended."""
        self.spent_node_hours += ran.node_hours
        self._repeats.ended(slug, ran.outcome, ran.seconds)
        if self._search is not None:
            seconds = ran.seconds if (typical := self._repeats.typical_seconds(slug)) is None else typical
            self._search.ended(self.layouts[slug].row, seconds, ran.scatter)
        if not is_result(ran.outcome) and ran.outcome not in _EXCEEDED_MEMORY:
            return
        stack, needed = self.layouts[slug].stack, self.forecast(slug).memory.bytes
        if needed is None:
            return
        if is_result(ran.outcome):
            self._survived[stack] = max(needed, self._survived.get(stack, 0.0))
            return
        known = self._out_of_memory.get(stack)
        if known is None or needed < known.needed_bytes:
            self._out_of_memory[stack] = _OutOfMemory(slug, needed)

    def reopened(self, slug: str) -> None:
        """Take in that a run is to be made again, so that how it ended keeps no other run of its layout back."""
        self._repeats.reopened(slug)

    def rank(self, slug: str) -> tuple[float, ...]:
        """The place of a layout in the queue: the cheapest of each kind of stage first, then the cheapest.

        The cheapest tell most for least: what fits, how long a micro batch takes; the others then have predictions. A
        search takes the most promising first. Second runs come after all first ones, and so on.
        """
        if slug in self._later:
            return self._later[slug]
        if self._search is not None:
            return (self._search.rank(slug), self._places[slug])
        if not self._ranks:
            self._rank_all()
        return self._ranks[slug]

    def _rank_all(self) -> None:
        rows = [slug for slug in self.layouts if slug not in self._later]
        costs = {slug: (relative_cost(self.forecast(slug)), number) for number, slug in enumerate(rows)}
        kinds: set[tuple[str, str]] = set()
        for slug in sorted(costs, key=lambda slug: costs[slug]):
            kind = (self.layouts[slug].stack, kind_of(self.forecast(slug).case))
            self._ranks[slug] = (float(kind in kinds), *costs[slug])
            kinds.add(kind)

    def not_run(self, slug: str, state: State = NEVER_SUBMITTED, reserved_node_hours: float = 0.0) -> NotRun | None:
        """Why a layout is not to be run now; None where it is. `reserved_node_hours`: what running jobs may yet use.

        `state`: of its journal. What somebody asked for is run, and what ran before is not pruned.
        """
        if state.asked:
            return None
        by_memory = None if state.attempt else self._by_memory(slug)
        by_others = by_memory or self._by_search(slug) or self._by_repeats(slug)
        return by_others or self._by_budget(slug, reserved_node_hours) or self._by_open_repeats(slug)

    def _by_repeats(self, slug: str) -> NotRun | None:
        reason = self._repeats.needless(slug)
        return NotRun("skipped", reason) if reason else None

    def _by_open_repeats(self, slug: str) -> NotRun | None:
        reason = self._repeats.waits(slug)
        return NotRun("skipped", reason, for_now=True) if reason else None

    def _by_search(self, slug: str) -> NotRun | None:
        reason = self._search.hopeless(self.layouts[slug].row) if self._search is not None else ""
        return NotRun("skipped", reason) if reason else None

    def _by_memory(self, slug: str) -> NotRun | None:
        if self.sweep.prune == "never":
            return None
        memory, layout = self.forecast(slug).memory, self.layouts[slug]
        if memory.verdict == "will not fit":
            return NotRun("pruned", _too_much(memory))
        seen = self._out_of_memory.get(layout.stack)
        survived = self._survived.get(layout.stack, 0.0)
        if seen is None or seen.slug == slug or memory.bytes is None:
            return None
        if memory.bytes >= max(seen.needed_bytes, survived * ABOVE):
            return NotRun(
                "pruned",
                f"needs {_gib(memory.bytes)} GiB; {seen.slug} needs {_gib(seen.needed_bytes)} and ran out of memory",
            )
        return None

    def most_node_hours(self, slug: str) -> float | None:
        """What a job of a layout may use at most: by its time limit, or by a prediction that rests on runs."""
        layout, found = self.layouts[slug], self.forecast(slug)
        limit = layout.elapse_limit_seconds
        bounds = [node_hours(limit, layout.nodes)] if limit is not None else []
        if found.most_node_hours is not None and found.time is not None and not found.time.guess:
            bounds.append(found.most_node_hours)
        return min(bounds, default=None)

    def _by_budget(self, slug: str, reserved_node_hours: float) -> NotRun | None:
        budget = self.sweep.budget_node_hours
        if budget is None:
            return None
        most = self.most_node_hours(slug)
        if most is None:
            return NotRun("skipped", "no time limit and no prediction: it could pass budget_node_hours")
        left = budget - self.spent_node_hours - reserved_node_hours
        if most <= left:
            return None
        reason = f"may use {most:.3g} node-hours, and of budget_node_hours {budget:g} {max(left, 0):.3g} are left"
        return NotRun("skipped", reason, for_now=most <= left + reserved_node_hours)


def relative_cost(found: Forecast) -> float:
    """Node-hours of a layout, or what they are in proportion to where nothing is known of its time."""
    if found.node_hours is not None:
        return found.node_hours
    case: Dimensions = found.case
    return stage_work(case) / TERA * case.pipeline * case.data * passes(case)


def _too_much(memory: MemoryForecast) -> str:
    """Why a layout cannot fit, in numbers."""
    limit = f"of {_gib(memory.limit_bytes)} GiB"
    if memory.peak is None:
        return f"weights, gradients and optimizer state alone need {_gib(memory.least_bytes)} {limit}"
    least = "" if memory.sure else f", {_gib(memory.least_bytes)} at least"
    return f"needs {_gib(memory.bytes)} {limit}{least} ({memory.source})"


def _gib(count: float | None) -> str:
    return f"{(count or 0) / GIB:.1f}"
