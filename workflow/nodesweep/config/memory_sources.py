"""Where a figure of memory comes from, and of what it is: one row a source that `memory_source` of a workload names."""

from dataclasses import dataclass
from typing import Literal, get_args

MemoryUnit = Literal["rank", "node", "job"]
"""What a figure of memory is of."""


@dataclass(frozen=True, kw_only=True)
class MemorySource:
    """A source of peak memory.

    `meaning`: of the figure, as the notations of tables have it. `unit`: what it is of, None where each scheduler says
    for itself. `figure`: the figure of a log that it is, in words. `of_rank`: the attribute that a rank's report has it
    in, empty where ranks report none.
    """

    name: str
    meaning: str
    unit: MemoryUnit | None = None
    figure: str = ""
    of_rank: str = ""


MEMORY_SOURCES: dict[str, MemorySource] = {
    row.name: row
    for row in (
        MemorySource(
            name="log-max-allocated",
            meaning="peak memory of a rank, the highest of all ranks (max allocated, from the log)",
            unit="rank",
            figure="the highest 'max allocated' of all ranks",
            of_rank="peak_allocated_mib",
        ),
        MemorySource(
            name="log-max-reserved",
            meaning="peak memory of a rank, the highest of all ranks (max reserved, from the log)",
            unit="rank",
            figure="the highest 'max reserved' of all ranks",
            of_rank="peak_reserved_mib",
        ),
        MemorySource(
            name="log-node-used",
            meaning="memory in use on a node, the highest report (from the log)",
            unit="node",
            figure="the highest report of a node's memory in use",
        ),
        MemorySource(
            name="scheduler",
            meaning="peak memory by the scheduler's accounts: of a rank (Slurm), a node (PJM) or the whole job (PBS)",
        ),
        MemorySource(name="none", meaning="not measured"),
    )
}
"""Every source by name."""


def by_scheduler(unit: MemoryUnit | None) -> str:
    """The column memory_source of a figure that a scheduler gives.

    >>> by_scheduler("node")
    'scheduler, of a node'
    """
    return f"scheduler, of a {unit}"


_UNITS: dict[str, MemoryUnit] = {
    **{row.name: row.unit for row in MEMORY_SOURCES.values() if row.unit},
    **{by_scheduler(unit): unit for unit in get_args(MemoryUnit)},
}


def unit_of(source: str | None) -> MemoryUnit:
    """What a figure is of, by its column memory_source; a rank for figures of hand-kept tables.

    >>> unit_of("scheduler, of a job"), unit_of("log-node-used"), unit_of(None)
    ('job', 'node', 'rank')
    """
    return _UNITS.get(source or "", "rank")
