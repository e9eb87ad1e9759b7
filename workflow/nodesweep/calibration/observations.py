"""What a calibration is made of: runs that were measured, each with its case, and those left out with the reason."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from ..case import Case
from ..config import Workload

FEWEST_SECONDS = 1e-6


@dataclass(frozen=True)
class Observation:
    """A measured run: `seconds` per iteration and `memory_mib` of a rank, each None where it is not known.

    `limited`: it ran out of memory, so that its memory is what there was and not what it needed. `name`: its slug, and
    file and line where it was imported. `nodes_hours`: None where unknown.
    """

    name: str
    case: Case
    seconds: float | None
    memory_mib: float | None
    limited: bool = False


@dataclass(frozen=True)
class LeftOut:
    """A row that says nothing to a calibration, and why."""

    name: str
    reason: str


def observations_of(rows: Iterable[Mapping[str, Any]], workload: Workload) -> tuple[list[Observation], list[LeftOut]]:
    """Rows of results.csv, None for what is not known, as observations of one software stack."""
    found, left_out = [], []
    for row in rows:
        name = _name(row)
        case = Case.of_row(row, workload)
        if case is None:
            left_out.append(LeftOut(name, "its layout is not wholly known, or does not add up"))
        elif row["iteration_seconds"] is None and row["memory_mib"] is None:
            left_out.append(LeftOut(name, f"nothing was measured ({row['outcome'] or row['state']})"))
        else:
            limited = row["outcome"] == "oom"
            seconds = row["iteration_seconds"]
            if seconds is not None and not FEWEST_SECONDS < seconds < 1 / FEWEST_SECONDS:
                seconds = None
            found.append(Observation(name, case, seconds, row["memory_mib"], limited))
    return found, left_out


def _name(row: Mapping[str, Any]) -> str:
    place = f"{row['source_file']}:{row['source_line']}" if row["source_file"] else ""
    return " ".join(part for part in (row["slug"], place) if part)
