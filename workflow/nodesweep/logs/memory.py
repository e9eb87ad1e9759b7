"""Peaks of memory over the ranks and the lines of a log."""

from collections.abc import Iterable
from dataclasses import dataclass, field


@dataclass(frozen=True)
class RankMemory:
    """The highest figures a rank reported, and the line of its highest allocation."""

    rank: int
    peak_allocated_mib: float
    peak_reserved_mib: float
    line: int


@dataclass(frozen=True)
class NodeMemory:
    """The highest use of a node's memory that any node reported, and where."""

    peak_used_mib: float
    line: int


@dataclass
class MemoryPeaks:
    """Peaks so far; trainers reset theirs or print them again, so the highest of all lines counts."""

    ranks: dict[int, RankMemory] = field(default_factory=dict)
    node: NodeMemory | None = None

    def add_rank(self, rank: int, allocated_mib: float, reserved_mib: float, line: int) -> None:
        """Take one rank's report into account."""
        known = self.ranks.get(rank)
        if known is not None and known.peak_allocated_mib >= allocated_mib:
            line = known.line
            allocated_mib = known.peak_allocated_mib
        reserved_mib = max(reserved_mib, known.peak_reserved_mib if known else 0.0)
        self.ranks[rank] = RankMemory(rank, allocated_mib, reserved_mib, line)

    def add_node(self, used_mib: float, line: int) -> None:
        """Take one node's report into account."""
        if self.node is None or used_mib > self.node.peak_used_mib:
            self.node = NodeMemory(used_mib, line)


def highest(ranks: Iterable[RankMemory], figure: str) -> RankMemory | None:
    """The rank whose `figure` (a field of RankMemory) is highest, the first in the log where several are."""
    return max(ranks, key=lambda memory: (getattr(memory, figure), -memory.line), default=None)
