"""Where a figure of memory comes from, and of what it is: one row a source that `memory_source` of a workload names."""

from dataclasses import dataclass
from typing import Literal, get_args

MemoryScope = Literal["rank", "node", "job"]
"""What a figure of memory is the highest use of."""


@dataclass(frozen=True)
class MemorySource:
    """A source of peak memory.

    `unit`: what its figure is of, None where the scheduler says that with each figure, or where there is no figure.
    `of_rank`: the attribute of a rank's report in a log that holds the figure, empty where ranks do not report it.
    """

    name: str
    unit: MemoryScope | None = None
    of_rank: str = ""


MEMORY_SOURCES: dict[str, MemorySource] = {
    row.name: row
    for row in (
        MemorySource("log-max-allocated", unit="rank", of_rank="peak_allocated_mib"),
        MemorySource("log-max-reserved", unit="rank", of_rank="peak_reserved_mib"),
        MemorySource("log-node-used", unit="node"),
        MemorySource("scheduler"),
        MemorySource("none"),
    )
}
"""Every source by name."""


def by_scheduler(unit: MemoryScope | None) -> str:
    """The column memory_source of a figure that a scheduler gives.

    >>> by_scheduler("node")
    'scheduler, of a node'
    """
    return f"scheduler, of a {unit}"


_UNITS: dict[str, MemoryScope] = {
    **{row.name: row.unit for row in MEMORY_SOURCES.values() if row.unit},
    **{by_scheduler(unit): unit for unit in get_args(MemoryScope)},
}


def unit_of(source: str | None) -> MemoryScope:
    """What a figure is of, by its column memory_source; a rank for figures of hand-kept tables.

    >>> unit_of("scheduler, of a job"), unit_of("log-node-used"), unit_of(None)
    ('job', 'node', 'rank')
    """
    return _UNITS.get(source or "", "rank")
