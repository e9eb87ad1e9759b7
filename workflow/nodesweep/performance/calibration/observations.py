"""Measured runs that a calibration is fitted to, and runs that are excluded, each with the reason."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from nodesweep.common.outcomes import has_failed, is_undecided
from nodesweep.common.units import TERA
from nodesweep.config.columns import TIDY
from nodesweep.config.layout_fields import LAYOUT_FIELDS
from nodesweep.config.memory_sources import unit_of
from nodesweep.config.model import Model
from nodesweep.config.model_fields import MODEL_FIELDS
from nodesweep.config.parameters import parameters_of
from nodesweep.config.sweep import Sweep
from nodesweep.config.tidy_row import TidyRow, TidyValue, field_of, number_of, text_of
from nodesweep.config.workload import Workload
from nodesweep.performance.dimensions import Dimensions, unknown_parts
from nodesweep.sweep.trainer_command import workload_by_command

FEWEST_SECONDS = 1e-6
"""Seconds per iteration below this, or above its inverse, are taken for an error of the table."""
FLOPS_TOLERANCE = 0.1
_UNKNOWN: TidyRow = dict.fromkeys(TIDY)


@dataclass(frozen=True)
class Observation:
    """A measured run: `seconds` per iteration and `memory_mib` of a rank, each None where it is not known.

    `limited`: it ran out of memory or failed, so that its memory is not what it needed. `name`: its slug, and file and
    line where it was imported. `scatter`: half the interquartile range of its iterations, relative. `rounding`: by how
    much its log may have rounded the seconds, relative.
    """

    name: str
    case: Dimensions
    seconds: float | None
    memory_mib: float | None
    limited: bool = False
    scatter: float | None = None
    rounding: float = 0.0


@dataclass(frozen=True)
class ExcludedRun:
    """A run that a calibration cannot use, and why."""

    name: str
    reason: str


def observations_of(
    rows: Iterable[TidyRow], workload_of: Callable[[TidyRow], Workload], model: Model | None = None
) -> tuple[list[Observation], list[ExcludedRun]]:
    """Rows of results.csv as observations of one software stack; columns that a row lacks count as not known.

    `workload_of`: what a row is a run of. `model`: what rows are taken to be of that name no other size than it has.
    Whether activations were recomputed follows from TFLOPs and time where a row does not say it.
    """
    found: list[Observation] = []
    excluded: list[ExcludedRun] = []
    for given in rows:
        row = {**_UNKNOWN, **given}
        one = _observation(row, workload_of(row), model)
        if isinstance(one, ExcludedRun):
            excluded.append(one)
        else:
            found.append(one)
    return found, excluded


def _observation(row: TidyRow, workload: Workload, model: Model | None) -> Observation | ExcludedRun:
    name, case = name_of(row), case_of(row, workload, model)
    outcome = text_of(row, "outcome")
    seconds = number_of(row, "iteration_seconds")
    memory_mib = None if is_undecided(outcome) else number_of(row, "memory_mib")
    if case is None:
        return ExcludedRun(name, "its layout is not wholly known, or does not add up")
    if case.other_parts:
        return ExcludedRun(name, unknown_parts(case))
    if seconds is None and memory_mib is None:
        return ExcludedRun(name, f"nothing was measured ({outcome or row['state']})")
    if seconds is not None and not FEWEST_SECONDS < seconds < 1 / FEWEST_SECONDS:
        seconds = None
    spread = number_of(row, "iteration_seconds_half_interquartile_range")
    return Observation(
        name,
        case,
        seconds,
        memory_mib,
        limited=has_failed(outcome),
        scatter=spread / seconds if spread is not None and seconds else None,
        rounding=(number_of(row, "iteration_seconds_rounding") or 0.0) / seconds if seconds else 0.0,
    )


def workload_of_row(row: TidyRow, sweep: Sweep) -> Workload:
    """The workload of a sweep as its command says for the run in a row of results.csv."""
    known = {name: field_of(row, field) for name, field in LAYOUT_FIELDS.items() if field.column}
    return workload_by_command(known, sweep, parameters_of(row))


def case_of(row: TidyRow, workload: Workload, model: Model | None) -> Dimensions | None:
    """The sizes of the run in a row of results.csv, None where they are not wholly known.

    What the row leaves out is concluded from its other columns, or is as in `model`.
    """
    completed = {**row, **_sizes_left_out(row, model)}
    if row["activation_checkpointing"] is None:
        completed["activation_checkpointing"] = _recomputed(completed)
    return Dimensions.of_row(completed, workload)


def _sizes_left_out(row: TidyRow, model: Model | None) -> dict[str, TidyValue]:
    """The sizes that a row does not name, by column: those of a model where it names no other than the model has.

    A row of another model leaves no more than its vocabulary to this one.
    """
    if model is None:
        return {}
    unnamed = {name: field.column for name, field in MODEL_FIELDS.items() if row[field.column] is None}
    values = model.values
    is_this = all(name in unnamed or row[field.column] == values[name] for name, field in MODEL_FIELDS.items())
    return {column: model.sizes[name] for name, column in unnamed.items() if is_this or name == "vocab_size"}


def mib_of_a_rank(mib: float, source: str | None, ranks_per_node: int, ranks: int) -> float:
    """MiB of one rank, where the figure may be of a node or of the whole job, as its source says."""
    return mib / {"rank": 1, "node": ranks_per_node, "job": ranks}[unit_of(source)]


def _recomputed(row: TidyRow) -> bool | None:
    """Whether the operations that a row's TFLOPs and time make are those with recomputation; None where unclear."""
    sizes = Dimensions.in_row(row)
    tflops = number_of(row, "tflops_per_node") or number_of(row, "log_tflops_per_node")
    seconds, nodes = number_of(row, "iteration_seconds"), number_of(row, "nodes")
    if tflops is None or seconds is None or nodes is None:
        return None
    done = tflops * seconds * nodes * TERA
    works = {
        recomputed: sizes.changed(activation_checkpointing=recomputed).maybe("hardware_flops")
        for recomputed in (True, False)
    }
    near = [recomputed for recomputed, work in works.items() if work and abs(done / work - 1) < FLOPS_TOLERANCE]
    return near[0] if len(near) == 1 else None


def name_of(row: TidyRow) -> str:
    """What a calibration calls the run of a row: its slug, and file and line where it was imported."""
    place = f"{row['source_file']}:{row['source_line']}" if row["source_file"] else ""
    return " ".join(part for part in (text_of(row, "slug"), place) if part)
