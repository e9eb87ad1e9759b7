"""What a law that values break says: its name, its numbers, and the nearest values that would do."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

Values = Mapping[str, Any]
"""Values by the name of their field; one that is unknown is absent or None."""


@dataclass(frozen=True)
class BrokenLaw:
    """A law that values break: its name, the numbers that show it, and what would mend it.

    `size`: what to change, as tables call it, and `nearest`: values of it that obey the law; both are empty where no
    single value mends it. `in_config`: what to do about it in a config, where that is simpler.
    """

    law: str
    numbers: str
    size: str = ""
    nearest: str = ""
    in_config: str = ""

    @property
    def mending(self) -> str:
        """The size to change and its nearest values in words, empty where no single value mends it."""
        return f"nearest {self.size}: {self.nearest}" if self.size else ""

    @property
    def way_out(self) -> str:
        """What whoever writes a config can do."""
        return self.in_config or self.mending

    @property
    def sentence(self) -> str:
        """The numbers and the way out of whoever writes a config."""
        return f"{self.numbers}; {self.way_out}" if self.way_out else self.numbers


LawRow = tuple[tuple[str, ...], Callable[[Values], BrokenLaw | None]]
"""The values a law speaks of, and what checks it."""


def divisors(number: int) -> list[int]:
    """All divisors in rising order.

    >>> divisors(12)
    [1, 2, 3, 4, 6, 12]
    """
    low = [n for n in range(1, int(number**0.5) + 1) if number % n == 0]
    return sorted({*low, *(number // n for n in low)})


def nearest(values: Sequence[int], wanted: int) -> str:
    """The one or two values beside `wanted`, as words.

    >>> nearest([1, 2, 4, 8], 6)
    '4 or 8'
    """
    below = [value for value in values if value < wanted][-1:]
    above = [value for value in values if value > wanted][:1]
    return " or ".join(str(value) for value in below + above)


def multiples(step: int, wanted: int) -> list[int]:
    """The positive multiples of `step` on both sides of `wanted`."""
    below = wanted // step * step
    return [value for value in (below, below + step) if value > 0]
