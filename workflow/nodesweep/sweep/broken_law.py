"""What a law that values break says: its name, its numbers, and the nearest values that would do."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from nodesweep.common.errors import LayoutError
from nodesweep.config.layout_fields import FIELDS

_MOST_TRIED = 8
"""Values on each side of what a size is that are tried."""
Values = Mapping[str, Any]
"""Values by the name of their field; one that is unknown is absent or None."""


@dataclass(frozen=True)
class Choice:
    """A size that may be changed: its field, what it is now, and the values of it that the law takes.

    They are those `given`, and the numbers that divide one, or that are a `multiple_of` one. `size`: what a sentence
    calls it, the symbol of the field where left out. `words`: what whoever writes a config does instead of giving the
    one value.
    """

    field: str
    now: int
    given: tuple[int, ...] = ()
    divides: int = 0
    multiple_of: int = 0
    size: str = ""
    words: str = ""

    @property
    def values(self) -> list[int]:
        """The values in rising order, of multiples those around what it is now."""
        found = {*self.given, *(divisors(self.divides) if self.divides else ())}
        return sorted(found.union(multiples(self.multiple_of, self.now) if self.multiple_of else ()))

    @property
    def called(self) -> str:
        """What a sentence calls it."""
        return self.size or FIELDS[self.field].symbol

    def nearest(self, takes: Callable[[int], bool] = lambda value: True) -> str:
        """The one or two values beside what it is now that something `takes`, as words."""
        values = self.values
        below = next(filter(takes, [value for value in reversed(values) if value < self.now][:_MOST_TRIED]), None)
        above = next(filter(takes, [value for value in values if value > self.now][:_MOST_TRIED]), None)
        return " or ".join(str(value) for value in (below, above) if value is not None)


@dataclass(frozen=True)
class BrokenLaw:
    """A law that values break: its name, the numbers that show it, and what would mend it.

    `choices`: the sizes of which a single other value may mend it, best first. `in_config`: what to do about it in a
    config where none of them does. `or_else`: what one may do there as well.
    """

    law: str
    numbers: str
    choices: tuple[Choice, ...] = ()
    in_config: str = ""
    or_else: str = ""

    @property
    def _choice(self) -> Choice | None:
        return next((choice for choice in self.choices if choice.nearest()), None)

    @property
    def size(self) -> str:
        """The size to change, as tables call it; empty where no single value mends it."""
        return self._choice.called if self._choice else ""

    @property
    def nearest(self) -> str:
        """The values of that size nearest to what it is that obey this law."""
        return self._choice.nearest() if self._choice else ""

    @property
    def mending(self) -> str:
        """The size to change and its nearest values in words, empty where no single value mends it."""
        return f"nearest {self.size}: {self.nearest}" if self.size else ""

    @property
    def way_out(self) -> str:
        """What whoever writes a config can do about this law alone."""
        words = (self._choice.words if self._choice else "") or self.mending or self.in_config
        return "; or ".join(filter(None, (words, self.or_else)))

    @property
    def sentence(self) -> str:
        """The numbers and the way out of whoever writes a config."""
        return f"{self.numbers}; {self.way_out}" if self.way_out else self.numbers


class LawsBroken(LayoutError):
    """A layout that breaks laws: the first of them, over these values."""

    def __init__(self, first: BrokenLaw, values: Values):
        super().__init__(first.law, first.numbers)
        self.first, self.values = first, values

    def __str__(self) -> str:
        return self.first.sentence


LawRow = tuple[tuple[str, ...], Callable[[Values], BrokenLaw | None]]
"""The values a law speaks of, and what checks it."""


@lru_cache(maxsize=4096)
def divisors(number: int) -> tuple[int, ...]:
    """All divisors in rising order.

    >>> divisors(12)
    (1, 2, 3, 4, 6, 12)
    """
    low = [n for n in range(1, int(number**0.5) + 1) if number % n == 0]
    return tuple(sorted({*low, *(number // n for n in low)}))


def multiples(step: int, wanted: int) -> tuple[int, ...]:
    """The positive multiples of `step` around `wanted`, a few on each side.

    >>> multiples(2, 3)[:4]
    (2, 4, 6, 8)
    """
    below = wanted // step
    return tuple(count * step for count in range(max(below - _MOST_TRIED + 1, 1), below + _MOST_TRIED + 1))
