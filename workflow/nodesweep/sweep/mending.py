"""What would mend a point that breaks a law: the nearest values with which the whole point runs, each tried."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

from nodesweep.common.errors import LayoutError, NodesweepError
from nodesweep.config.layout_fields import AXES

from .broken_law import BrokenLaw, Choice, LawsBroken
from .constraints import broken_laws, completed
from .points import Point

_MOST_REASONS = 2
"""Reasons that a sentence names why nothing alone would do."""
Build = Callable[[Point, str, int], Any]
"""What makes a layout of a point in which a field has another value; raises NodesweepError where it is none."""


@dataclass
class Mending:
    """What would mend the points of one sweep; a point that was tried once is not tried again."""

    build: Build
    tried: dict[Any, set[str]] = field(default_factory=dict)

    def sentence(self, point: Point, error: LayoutError) -> str:
        """What a point breaks, and which single value would mend it, or what holds that back."""
        if not isinstance(error, LawsBroken):
            return str(error)
        first, *others = error.broken
        trial = _Trial(self, point, error)
        for choice in dict.fromkeys(choice for broken in error.broken for choice in broken.choices):
            if near := choice.nearest(partial(trial.mends, choice)):
                words = choice.words or f"nearest {choice.called}: {near}"
                return "; or ".join(filter(None, (f"{first.numbers}; {words}", first.or_else)))
        held_back = first.in_config or _held_back(others, trial)
        return "; or ".join(filter(None, ("; ".join(filter(None, (first.numbers, held_back))), first.or_else)))


def _held_back(others: list[BrokenLaw], trial: "_Trial") -> str:
    """Why no single value would do; empty where the law knows of none."""
    if trial.vain:
        found = [f"{value}: {law}" for value, law in trial.vain.items()]
        return f"no single value mends it ({', '.join(found[:_MOST_REASONS])})"
    more = ", and ".join(other.numbers for other in others[:_MOST_REASONS])
    return f"no single value mends it: {more}" if more else ""


class _Trial:
    """What other values a point could have; `vain`: those that mend what is broken, and the other laws they break."""

    def __init__(self, mending: Mending, point: Point, error: LawsBroken) -> None:
        self.mending, self.point, self.error = mending, point, error
        self.vain: dict[str, str] = {}
        self.idle: set[str] = set()

    def mends(self, choice: Choice, value: int) -> bool:
        """Whether the point breaks no law with another value."""
        if choice.field in self.idle:
            return False
        broken = self._by_values(choice, value) or self._by_all(choice, value)
        if not broken.isdisjoint(one.law for one in self.error.broken):
            return False
        if broken:
            self.vain[f"{choice.called} {value}"] = min(broken)
        return not broken

    def _by_values(self, choice: Choice, value: int) -> set[str]:
        """The laws it breaks of those between values alone, which are checked quickly.

        A law that is broken with the same numbers as before is none that the field has to do with.
        """
        if self.point.expressions or choice.field not in AXES:
            return set()
        values = {**self.error.values, choice.field: value, "ranks": None}
        if self.point.fields["data"] is None and choice.field != "data":
            values["data"] = None
        broken = broken_laws(completed(values))
        before = {(one.law, one.numbers) for one in self.error.broken}
        if any((one.law, one.numbers) in before for one in broken):
            self.idle.add(choice.field)
        return {one.law for one in broken}

    def _by_all(self, choice: Choice, value: int) -> set[str]:
        """The first law it breaks of all, those of the machine, the conditions and the workload among them."""
        tried, key = self.mending.tried, None
        if choice.field in AXES:
            other = changed(self.point, choice.field, value)
            key = (other.block, *other.expressions.values(), *other.shown().values())
            if key in tried:
                return tried[key]
        try:
            self.mending.build(self.point, choice.field, value)
            found = set()
        except LayoutError as error:
            found = {error.law}
        except NodesweepError:
            found = {"config"}
        if key is not None:
            tried[key] = found
        return found


def changed(point: Point, name: str, value: int) -> Point:
    """A point whose axis has another value, in place of its expression where it has one."""
    expressions = {other: source for other, source in point.expressions.items() if other != name}
    return replace(point, fields={**point.fields, name: value}, expressions=expressions)
