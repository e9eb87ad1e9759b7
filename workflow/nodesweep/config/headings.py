"""The standard columns of tables by their headings: which columns of results.csv each shows, when, and what it means.

reports/tables/cells.py turns their values into cells.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Literal

from .columns import TIDY
from .layout_field import LayoutField
from .layout_fields import GIVEN, LAYOUT_FIELDS
from .model_fields import MODEL_FIELDS

MARKS = "marks"
"""What a cell may ask for beside the columns of results.csv: the annotations in the other cells of its row."""
_PARALLEL = [row for row in LAYOUT_FIELDS.values() if row.parallel and row.in_tables == "always"]


@dataclass(frozen=True, kw_only=True)
class StandardHeading:
    """A standard column of a table.

    `columns`: of results.csv, in the order in which the cell takes their values. `number`: the one whose numbers a
    format can be given for, empty for none. `shown`: always, or where some row has a value ("known"), has more than
    nothing ("positive"), or where rows differ in one of `varying` ("varies"). `term`, `meaning`: its line in the
    notations, none where the meaning is empty; words in braces are filled in by whoever knows the sweep.
    `explains`: it says why a row is as it is, and stands in tables only where it is asked for.
    """

    heading: str
    columns: tuple[str, ...]
    number: str = ""
    shown: Literal["always", "known", "positive", "varies"] = "always"
    varying: tuple[str, ...] = ()
    term: str = ""
    meaning: str = ""
    explains: bool = False


def _of_field(row: LayoutField, explains: bool = False) -> StandardHeading:
    together = tuple(other.column for other in MODEL_FIELDS.values() if other.shown_with == row.shown_with)
    return StandardHeading(
        heading=row.symbol,
        columns=(row.column,),
        number=row.column if row.kind == "count" else "",
        shown="always" if row.in_tables == "always" else "varies",
        varying=together if row.shown_with else (row.column,),
        term=", ".join(other.symbol for other in _PARALLEL) if row in _PARALLEL else "",
        meaning=_parallel_sizes() if row in _PARALLEL else row.notation,
        explains=explains,
    )


def _parallel_sizes() -> str:
    """What the parallel sizes are, in one line of the notations."""
    *first, last = [row.parallel for row in _PARALLEL]
    return f"{', '.join(first)} and {last} parallel size"


def _of_fields(rows: Iterable[LayoutField], *in_tables: str, explains: bool = False) -> Iterator[StandardHeading]:
    return (_of_field(row, explains) for row in rows if row.in_tables in in_tables)


def _figure(heading: str, column: str, shown: Literal["always", "known", "positive"] = "always") -> StandardHeading:
    """A column of one figure that explains, with the meaning it has in results.csv."""
    meaning = TIDY[column].meaning.removesuffix(", in %")
    return StandardHeading(
        heading=heading, columns=(column,), number=column, shown=shown, meaning=meaning, explains=True
    )


_STANDARD = (
    *_of_fields([row for row in GIVEN if row.of_machine], "always"),
    StandardHeading(heading="Size", columns=("model_size",), meaning="parameters of the model ({size})"),
    *_of_fields([row for row in GIVEN if row.axis and not row.of_machine], "always", "varies"),
    StandardHeading(heading="Mem", columns=("memory_mib",), meaning="{memory}"),
    StandardHeading(
        heading="Sec/it",
        columns=("iteration_seconds",),
        number="iteration_seconds",
        meaning="seconds per iteration, {iterations}",
    ),
    StandardHeading(
        heading="Runs",
        columns=("runs", "runs_ended"),
        shown="known",
        meaning="runs that did their work, which the other figures are medians of; all that ended where that is more",
    ),
    StandardHeading(
        heading="Saved",
        columns=("iterations_saved", "node_hours_saved"),
        shown="known",
        meaning="iterations not done since those before were enough, over all runs, and the node-hours that they would "
        "have cost at the same pace; {saved}",
    ),
    StandardHeading(
        heading="TFLOPs",
        columns=("tflops_per_node",),
        number="tflops_per_node",
        meaning="floating point operations per node, recomputation counted, {flops}",
    ),
    StandardHeading(
        heading="Est. Aggr. PetaFLOPs",
        columns=("aggregate_petaflops",),
        number="aggregate_petaflops",
        meaning="TFLOPs * Nodes / 1024",
    ),
    StandardHeading(
        heading="Energy [Wh]",
        columns=("energy_joules",),
        shown="known",
        meaning="of all nodes over the whole job, by the scheduler's accounts",
    ),
    *_of_fields(MODEL_FIELDS.values(), "varies"),
    *_of_fields([row for row in GIVEN if not row.axis], "varies"),
    StandardHeading(heading="Notes", columns=("note", "state", "outcome", "where", "outcome_note", "flags", MARKS)),
)
_EXPLAINING = (
    StandardHeading(
        heading="Over runs",
        columns=("iteration_seconds", "run_seconds_low", "run_seconds_high"),
        shown="known",
        varying=("run_seconds_low",),
        meaning="seconds per iteration, and an interval that holds their median over runs (its level: results.csv)",
        explains=True,
    ),
    *_of_fields(GIVEN, "never", explains=True),
    StandardHeading(heading="Campaign", columns=("campaign",), shown="varies", varying=("campaign",), explains=True),
    _figure("Compute", "compute_percent", "known"),
    _figure("Bubble", "bubble_percent", "known"),
    _figure("DP sync", "sync_percent", "known"),
    _figure("Shared cores", "sharing_percent", "positive"),
    _figure("Efficiency", "scaling_efficiency_percent", "known"),
    _figure("Weak efficiency", "weak_efficiency_percent", "known"),
    _figure("Throughput efficiency", "throughput_efficiency_percent", "known"),
    _figure("MFU", "mfu_percent", "known"),
    _figure("HFU", "hfu_percent", "known"),
    _figure("Tokens/s", "tokens_per_second"),
    StandardHeading(
        heading="Days",
        columns=("training_days",),
        number="training_days",
        shown="known",
        meaning="to train on {tokens} tokens",
        explains=True,
    ),
    _figure("Node-h / 1e9 tokens", "node_hours_per_billion_tokens"),
    StandardHeading(
        heading="Predicted",
        columns=("predicted_seconds", "predicted_seconds_low", "predicted_seconds_high"),
        number="predicted_seconds",
        shown="known",
        meaning="seconds per iteration that the other runs of its campaign predict; the interval holds 95 of 100",
        explains=True,
    ),
    StandardHeading(
        heading="Off",
        columns=("predicted_error_percent",),
        number="predicted_error_percent",
        shown="known",
        meaning="how far the prediction is off what was measured",
        explains=True,
    ),
    StandardHeading(
        heading="Predicted Mem",
        columns=("predicted_memory_mib",),
        number="predicted_memory_mib",
        shown="known",
        meaning="peak of the rank that needs most, by the other runs of its campaign, or by memory_constants",
        explains=True,
    ),
    StandardHeading(
        heading="Mem off",
        columns=("predicted_memory_error_percent",),
        number="predicted_memory_error_percent",
        shown="known",
        meaning="how far that is off the measured peak of a rank",
        explains=True,
    ),
)

HEADINGS: dict[str, StandardHeading] = {row.heading: row for row in (*_STANDARD, *_EXPLAINING)}
"""Every standard column by its heading; those that explain stand last."""
