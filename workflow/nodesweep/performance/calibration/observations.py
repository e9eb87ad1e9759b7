"""What a calibration is made of: runs that were measured, each with its case, and those left out with the reason."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from nodesweep.common.outcomes import has_failed
from nodesweep.common.units import TERA
from nodesweep.config.columns import TIDY
from nodesweep.config.workload import Workload
from nodesweep.performance.dimensions import Dimensions
from nodesweep.performance.flops import hardware_flops

FEWEST_SECONDS = 1e-6
_UNKNOWN = dict.fromkeys(TIDY)
FLOPS_TOLERANCE = 0.1


@dataclass(frozen=True)
class Observation:
    """A measured run: `seconds` per iteration and `memory_mib` of a rank, each None where it is not known.

    `limited`: it ran out of memory or failed, so that its memory is not what it needed. `name`: its slug, and file and
    line where it was imported. `scatter`: half the interquartile range of its iterations, relative.
    """

    name: str
    case: Dimensions
    seconds: float | None
    memory_mib: float | None
    limited: bool = False
    scatter: float | None = None


@dataclass(frozen=True)
class LeftOut:
    """A row that says nothing to a calibration, and why."""

    name: str
    reason: str


def observations_of(
    rows: Iterable[Mapping[str, Any]], workload: Workload, vocab_size: int | None = None
) -> tuple[list[Observation], list[LeftOut]]:
    """Rows of results.csv, None for what is not known, as observations of one software stack.

    `vocab_size`: that of rows which do not say theirs. Whether activations were recomputed follows from TFLOPs and time
    where a row does not say it.
    """
    found, left_out = [], []
    for given in rows:
        row = {**_UNKNOWN, **given}
        name = name_of(row)
        case = case_of(row, workload, vocab_size)
        if case is None:
            left_out.append(LeftOut(name, "its layout is not wholly known, or does not add up"))
        elif row["iteration_seconds"] is None and row["memory_mib"] is None:
            left_out.append(LeftOut(name, f"nothing was measured ({row['outcome'] or row['state']})"))
        else:
            limited = has_failed(row["outcome"])
            seconds = row["iteration_seconds"]
            if seconds is not None and not FEWEST_SECONDS < seconds < 1 / FEWEST_SECONDS:
                seconds = None
            spread = row["iteration_seconds_half_interquartile_range"]
            scatter = spread / seconds if spread is not None and seconds else None
            found.append(Observation(name, case, seconds, row["memory_mib"], limited, scatter))
    return found, left_out


def case_of(row: Mapping[str, Any], workload: Workload, vocab_size: int | None) -> Dimensions | None:
    """The case of a row of results.csv, what it leaves to be concluded included; None where it is not wholly known."""
    completed = {**row, "vocab_size": row["vocab_size"] or vocab_size}
    if row["activation_checkpointing"] is None:
        completed["activation_checkpointing"] = _recomputed(completed)
    return Dimensions.of_row(completed, workload)


def mib_of_a_rank(mib: float, source: str | None, ranks_per_node: int, ranks: int) -> float:
    """MiB of one rank, where the figure is of a node or of the whole job."""
    shared = {"scheduler, of a node": ranks_per_node, "scheduler, of a job": ranks, "log-node-used": ranks_per_node}
    return mib / shared.get(source or "", 1)


def _recomputed(row: Mapping[str, Any]) -> bool | None:
    """Whether the operations that a row's TFLOPs and time make are those with recomputation; None where unclear."""
    names = ("layers", "hidden_size", "vocab_size", "tensor")
    sizes = {name: row[name] for name in names}
    sizes |= {"global_batch": row["global_batch_samples"], "sequence_length": row["sequence_length_tokens"]}
    tflops = row["tflops_per_node"] or row["log_tflops_per_node"]
    if None in (*sizes.values(), tflops, row["iteration_seconds"], row["nodes"]):
        return None
    done = tflops * row["iteration_seconds"] * row["nodes"] * TERA
    near = [
        recomputed
        for recomputed in (True, False)
        if abs(done / hardware_flops(**sizes, activation_checkpointing=recomputed) - 1) < FLOPS_TOLERANCE
    ]
    return near[0] if len(near) == 1 else None


def name_of(row: Mapping[str, Any]) -> str:
    """What a row is called in a calibration."""
    place = f"{row['source_file']}:{row['source_line']}" if row["source_file"] else ""
    return " ".join(part for part in (row["slug"], place) if part)
