"""Peaks of memory over the ranks and the lines of a log."""

from collections.abc import Iterable
from dataclasses import dataclass, field

PEAKS = ("peak_allocated_mib", "peak_reserved_mib")
"""Names of the peaks that a rank may report."""


@dataclass(frozen=True)
class RankMemory:
    """The highest peaks that a rank reported, None where it reports none; `line` holds its highest allocation."""

    rank: int
    peak_allocated_mib: float | None
    peak_reserved_mib: float | None
    line: int


@dataclass(frozen=True)
class NodeMemory:
    """The highest use of a node's memory that any node reported, where, and how many ranks reported theirs."""

    peak_used_mib: float
    line: int
    ranks: int = 1


@dataclass
class MemoryPeaks:
    """Peaks so far; trainers reset theirs or print them again, so the highest of all lines counts."""

    ranks: dict[int, RankMemory] = field(default_factory=dict)
    node: NodeMemory | None = None
    _reporters: set[int] = field(default_factory=set)

    def add_rank(self, rank: int, allocated_mib: float | None, reserved_mib: float | None, line: int) -> None:
        """Take one rank's report into account."""
        earlier = self.ranks.get(rank, RankMemory(rank, None, None, line))
        allocated = _higher(earlier.peak_allocated_mib, allocated_mib)
        reserved = _higher(earlier.peak_reserved_mib, reserved_mib)
        before = (earlier.peak_allocated_mib, earlier.peak_reserved_mib)
        leading = allocated != before[0] if allocated is not None else reserved != before[1]
        self.ranks[rank] = RankMemory(rank, allocated, reserved, line if leading else earlier.line)

    def add_node(self, rank: int, used_mib: float, line: int) -> None:
        """Take a rank's report on its node into account."""
        self._reporters.add(rank)
        if self.node is not None and used_mib <= self.node.peak_used_mib:
            used_mib, line = self.node.peak_used_mib, self.node.line
        self.node = NodeMemory(used_mib, line, len(self._reporters))


def highest(ranks: Iterable[RankMemory], figure: str) -> RankMemory | None:
    """The rank whose `figure` (a field of RankMemory) is highest, the first in the log where several are."""
    reported = [memory for memory in ranks if getattr(memory, figure) is not None]
    return max(reported, key=lambda memory: (getattr(memory, figure), -memory.line), default=None)


def _higher(one: float | None, other: float | None) -> float | None:
    return one if other is None else other if one is None else max(one, other)
