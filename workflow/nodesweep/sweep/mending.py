"""What would mend a point that breaks a law: the nearest values with which the whole point runs, each tried."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

from nodesweep.common.errors import LayoutError, NodesweepError
from nodesweep.config.layout_fields import AXES

from .broken_law import BrokenLaw, Choice, LawsBroken
from .constraints import WORLD_SIZE, broken_by, broken_laws, with_defaults
from .points import Point

_MOST_REASONS = 2
"""Reasons that a sentence names why nothing alone would do."""
Build = Callable[[Point, str, int], Any]
"""What makes a layout of a point in which a field has another value; raises NodesweepError where it is none."""


@dataclass
class Mending:
    """What would mend the points of one sweep; a point that was tried once is not tried again."""

    build: Build
    tried: dict[Any, str] = field(default_factory=dict)

    def sentence(self, point: Point, error: LayoutError) -> str:
        """What a point breaks, and which single value would mend it, or what holds that back."""
        if not isinstance(error, LawsBroken):
            return str(error)
        trial = _Trial(self, point, error)
        first, *others = trial.broken
        for choice in dict.fromkeys(choice for broken in trial.broken for choice in broken.choices):
            if near := trial.nearest(choice):
                words = choice.words or f"nearest {choice.called}: {near}"
                return "; or ".join(filter(None, (f"{first.numbers}; {words}", first.or_else)))
        held_back = first.in_config or _held_back(others, trial)
        return "; or ".join(filter(None, ("; ".join(filter(None, (first.numbers, held_back))), first.or_else)))


def _held_back(others: list[BrokenLaw], trial: "_Trial") -> str:
    """Why no single value would do; empty where the law knows of none."""
    if trial.vain:
        found = [f"{value}: {law}" for value, law in trial.vain.items()]
        return f"no single near value mends it ({', '.join(found)})"
    more = ", and ".join(other.numbers for other in others[:_MOST_REASONS])
    return f"no single near value mends it: {more}" if more else ""


class _Trial:
    """What other values a point could have; `vain`: those that mend what is broken, and the other laws they break."""

    def __init__(self, mending: Mending, point: Point, error: LawsBroken) -> None:
        self.mending, self.point = mending, point
        self.broken = [error.first, *(one for one in broken_laws(error.values) if one != error.first)]
        self.vain: dict[str, str] = {}
        self.idle: set[str] = set()
        self.seen: set[str] = set()
        self.known = with_defaults(error.values)
        self.laws = {one.law for one in self.broken}
        self.numbers = {one.numbers for one in self.broken}

    def nearest(self, choice: Choice) -> str:
        """The values of a choice that mend the point, as words; empty where the field has nothing to do with it."""
        return "" if choice.field in self.idle else choice.nearest(partial(self.mends, choice))

    def mends(self, choice: Choice, value: int) -> bool:
        """Whether the point breaks no law with another value."""
        if choice.field in self.idle:
            return False
        broken = self._by_values(choice, value) or self._by_all(choice, value)
        if broken and broken not in self.laws and len(self.vain) < _MOST_REASONS:
            self.vain[f"{choice.called} {value}"] = broken
        return not broken

    def _by_values(self, choice: Choice, value: int) -> str:
        """The law it breaks of those between values alone, which are checked quickly; one of those from before, if any.

        A law that is broken with the same numbers as before is none that the field has to do with.
        """
        if self.point.expressions or choice.field not in AXES:
            return ""
        known = {**self.known, choice.field: value}
        known["ranks"] = known["nodes"] * known["ranks_per_node"]
        if self.point.fields["data"] is None and choice.field != "data":
            known["data"] = WORLD_SIZE.solved("data", {**known, "data": None})
        laws = broken_by(known)
        if choice.field not in self.seen:
            self.seen.add(choice.field)
            whole = list(laws)
            if any(one.numbers in self.numbers for one in whole):
                self.idle.add(choice.field)
            laws = iter(whole)
        first = next(laws, None)
        if first is None or first.law in self.laws:
            return first.law if first else ""
        return next((one.law for one in laws if one.law in self.laws), first.law)

    def _by_all(self, choice: Choice, value: int) -> str:
        """The first law it breaks of all, those of the machine, the conditions and the workload among them."""
        tried, key = self.mending.tried, None
        if choice.field in AXES:
            other = changed(self.point, choice.field, value)
            key = (other.block, *other.expressions.values(), *other.shown().values())
            if key in tried:
                return tried[key]
        try:
            self.mending.build(self.point, choice.field, value)
            found = ""
        except LayoutError as error:
            found = error.law
        except NodesweepError:
            found = "config"
        if key is not None:
            tried[key] = found
        return found


def changed(point: Point, name: str, value: int) -> Point:
    """A point whose axis has another value, in place of its expression where it has one."""
    expressions = {other: source for other, source in point.expressions.items() if other != name}
    return replace(point, fields={**point.fields, name: value}, expressions=expressions)
