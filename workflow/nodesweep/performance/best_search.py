"""Search for the best layout: which one to run next, and which can no longer be the best.

After each run the times of its campaign are fitted again. A layout that would have to beat its prediction by more than
its interval allows is left out; of the others the most promising comes first.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from nodesweep.common.numbers import four_figures
from nodesweep.common.units import TERA
from nodesweep.config.training import Search
from nodesweep.performance.calibration.observations import Observation
from nodesweep.performance.calibration.time_model import TimeModel
from nodesweep.sweep.layout import Layout

from .dimensions import Dimensions
from .timing import no_time_formula, passes, stage_work

_UNMEASURED_RHO = 0.1
"""The share of the work that tensor parallelism does not divide, before any run is measured: the prior of the fit."""


@dataclass(frozen=True)
class BestMeasured:
    """The best measured layout of a group: its slug, and its seconds, or node-seconds, per token."""

    slug: str
    value: float


@dataclass
class SearchProgress:
    """The state of a search: cases of the layouts by slug, and the seconds of those that ran."""

    config: Search
    layouts: Mapping[str, Layout]
    cases: Mapping[str, Dimensions]
    _seconds: dict[str, float] = field(default_factory=dict)
    _scatter: dict[str, float | None] = field(default_factory=dict)
    _models: dict[str, TimeModel | None] = field(default_factory=dict)

    def ended(self, slug: str, seconds: float | None, scatter: float | None) -> None:
        """Add a run that has ended: its seconds per iteration and their scatter, each None where it has none."""
        if seconds is not None:
            self._seconds[slug], self._scatter[slug] = seconds, scatter
            self._models.pop(self.layouts[slug].stack, None)

    def rank(self, slug: str) -> float:
        """The expected seconds, or node-seconds, per token of a layout: the lowest is to run first."""
        model, case = self._model(slug) or self._model_of_others(slug), self.cases[slug]
        seconds = model.estimate(case).seconds if model else _in_proportion(case)
        return self._value(slug, seconds)

    def hopeless(self, slug: str) -> str:
        """Why a layout cannot be the best of its group; empty while it can."""
        model, best = self._model(slug), self.best(self.group(slug))
        if model is None or best is None or best.slug == slug or no_time_formula(self.cases[slug]):
            return ""
        found = model.estimate(self.cases[slug])
        if self._value(slug, found.low_seconds) < best.value * (1 - self.config.within):
            return ""
        unit, of = self._in_words(slug, best.slug)
        seconds = (slug, found.seconds), (slug, found.low_seconds), (best.slug, self._seconds[best.slug])
        expected, low, measured = (four_figures(of(*one)) for one in seconds)
        within = f" (within {100 * self.config.within:g} %)" if self.config.within else ""
        return f"{expected} {unit} expected, {low} at best: no better than {best.slug} with {measured}{within}"

    def group(self, slug: str) -> tuple[Any, ...]:
        """The values of the fields for each of which the best is sought."""
        values = self.layouts[slug].values()
        return tuple(values.get(name) for name in self.config.for_each)

    def best(self, group: tuple[Any, ...]) -> BestMeasured | None:
        """The best measured layout of a group; None before one was measured."""
        of_group = [
            BestMeasured(slug, self._value(slug, one))
            for slug, one in self._seconds.items()
            if self.group(slug) == group
        ]
        return min(of_group, key=lambda best: best.value, default=None)

    def _value(self, slug: str, seconds: float) -> float:
        """Seconds per token, or node-seconds where the cheapest is sought."""
        case = self.cases[slug]
        return seconds * (case.nodes if self.config.best == "cheapest" else 1) / case.tokens

    def _in_words(self, slug: str, other: str) -> tuple[str, Callable[[str, float], float]]:
        """What two layouts are compared by, as plainly as they allow: a unit, and its number by slug and seconds."""
        case, best = self.cases[slug], self.cases[other]
        by_node = self.config.best == "cheapest" and case.nodes != best.nodes

        def cost(slug: str, seconds: float) -> float:
            return seconds * (self.cases[slug].nodes if by_node else 1)

        if case.tokens == best.tokens:
            return f"{'node-seconds' if by_node else 's'} an iteration", cost
        rate = "tokens per node-second" if by_node else "tokens/s"
        return rate, lambda slug, seconds: self.cases[slug].tokens / cost(slug, seconds)

    def _model_of_others(self, slug: str) -> TimeModel | None:
        """The model of other parameters of the campaign: it orders layouts, and leaves none of them out."""
        campaign = self.layouts[slug].campaign
        others = (other for other in list(self._seconds) if self.layouts[other].campaign == campaign)
        return next(filter(None, map(self._model, others)), None)

    def _model(self, slug: str) -> TimeModel | None:
        stack = self.layouts[slug].stack
        if stack not in self._models:
            from nodesweep.performance.calibration.time_fit import fit

            runs = [
                Observation(other, self.cases[other], seconds, None, scatter=self._scatter.get(other))
                for other, seconds in list(self._seconds.items())  # another thread may take in a run meanwhile
                if self.layouts[other].stack == stack and not no_time_formula(self.cases[other])
            ]
            self._models[stack] = fit(runs).model
        return self._models[stack]


def _in_proportion(case: Dimensions) -> float:
    """The time of an iteration in proportion to others, before any was measured: by operations and the bubble."""
    return stage_work(case) / TERA * (1 / case.tensor + _UNMEASURED_RHO) * passes(case)
