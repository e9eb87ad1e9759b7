"""A layout, its run and the measurement of it -> a row of the tidy table."""

from typing import NamedTuple

from nodesweep.common.outcomes import NOT_RUN, is_result
from nodesweep.config.columns import TIDY
from nodesweep.config.layout_fields import COLUMNS
from nodesweep.config.model import Model
from nodesweep.config.model_fields import is_plain
from nodesweep.config.tidy_row import TidyRow, TidyValue
from nodesweep.performance import flops
from nodesweep.performance.cost import node_hours
from nodesweep.performance.dimensions import Dimensions, UnknownSizeError
from nodesweep.schedulers.base import Usage
from nodesweep.sweep.layout import Layout

from .enough import iterations_in
from .measurement import Measurement
from .terminal_record import TerminalRecord
from .times_of_runs import TimesOfRuns

UNREADABLE = "unreadable"
"""Where a layout stands whose files do not tell whether it runs."""


class SavedIterations(NamedTuple):
    """Iterations that were not done since those before were enough, and what they would have cost at the same pace."""

    iterations: int
    node_hours: float


class OverRuns(NamedTuple):
    """What the row of a layout that runs several times is made of: `results` of `ended` runs, and their times.

    `shown`: the run whose job, log and records stand in the row. `times`: None of fewer than two results. `saved`: by
    all results together, None where none of them could save anything. `note`: what is to be said of how they ended.
    """

    shown: str
    results: int
    ended: int
    times: TimesOfRuns | None
    saved: SavedIterations | None = None
    note: str = ""


class LayoutRun(NamedTuple):
    """A layout and its run: `status` is pending, queued, running, held or ended; `record` is of its last job.

    `over`: what is known of all its runs, where it is to run several times.
    """

    layout: Layout
    status: str
    record: TerminalRecord | None
    measurement: Measurement | None
    over: OverRuns | None = None


def row_of_run(run: LayoutRun) -> TidyRow:
    """The row of a layout, whatever became of it; columns that are not named are not known."""
    return {
        **_layout(run.layout),
        **_state(run),
        **_measured(run),
        **_over_runs(run.over),
        **_saved(run),
        "source": "run",
    }


def saved_iterations(run: LayoutRun) -> SavedIterations | None:
    """What a run saved that did its work; None of one that was to do all its iterations."""
    statistics = run.measurement.statistics if run.measurement else None
    if run.status != "ended" or run.record is None or statistics is None or not is_result(run.record.outcome):
        return None
    iterations = iterations_in(run.record.note)
    if not iterations and run.layout.iterations.enough is None:
        return None
    hours = node_hours(iterations * statistics.iteration_seconds, run.layout.nodes)
    return SavedIterations(iterations, hours)


def size_label(model: Model) -> str:
    """The model's size as people say it: its own label, or its parameters; empty where no formula counts them.

    A plain GPT to two figures, as in the study's tables; any other model to three, as hubs show it.

    >>> size_label(Model(layers=48, hidden_size=7168, attention_heads=56, vocab_size=50304))
    '30B'
    >>> llama = Model(layers=32, hidden_size=4096, attention_heads=32, kv_heads=8, ffn_hidden_size=14336,
    ...               gated_ffn=True, biases="none", norm="rmsnorm", positions="rotary", vocab_size=128256,
    ...               tied_embeddings=False)
    >>> size_label(llama)
    '8.03B'
    """
    if model.size:
        return model.size
    case = Dimensions(**model.sizes)
    try:
        parameters = case.parts.parameters
    except UnknownSizeError:
        return ""
    scale, suffix = next((scale, suffix) for scale, suffix in ((1e9, "B"), (1e6, "M"), (1, "")) if parameters >= scale)
    value, figures = parameters / scale, 2 if is_plain(case) else 3
    digits = sum(value < 10**power - 0.5 * 10 ** (power - figures) for power in range(1, figures))
    return f"{value:.{digits}f}{suffix}"


def _layout(layout: Layout) -> dict[str, TidyValue]:
    values = {**layout.fields(), **layout.model.sizes}
    return {
        "slug": layout.slug,
        **{column: values[row.name] for column, row in COLUMNS.items()},
        **layout.parameters,
        "campaign": layout.campaign,
        "model": layout.model.name,
        "model_size": size_label(layout.model) or None,
        "note": layout.note,
        "iterations_requested": layout.iterations.total,
        "warmup_iterations": layout.iterations.warmup,
    }


def _state(run: LayoutRun) -> dict[str, TidyValue]:
    """State and verdict; only an ended job has an outcome, whatever an earlier attempt came to."""
    record = run.record
    ended = record if run.status == "ended" else None
    note = record.evidence if record and run.status in (*NOT_RUN, UNREADABLE) else ended.note if ended else None
    if run.over and run.over.note:
        note = "; ".join(filter(None, (note, run.over.note)))
    return {
        "state": run.status,
        "outcome": ended.outcome if ended else None,
        "where": ended.where if ended else None,
        "evidence": ended.evidence if ended else None,
        "outcome_note": note,
        "attempt": record.attempt if record else None,
        "job_id": record.job_id if record else None,
        "log": record.log if record else None,
        **(_usage(ended.usage) if ended else {}),
    }


def _usage(usage: Usage) -> dict[str, TidyValue]:
    """What the scheduler counted, of all nodes of the job together."""
    return {
        "allocated_nodes": usage.nodes,
        "energy_joules": usage.energy_joules,
        "power_watts": usage.power_watts,
    }


def _measured(run: LayoutRun) -> dict[str, TidyValue]:
    """The figures of the measured run; none for a layout that is not ended, or whose job left no log."""
    measurement = run.measurement
    return figures(measurement, run.layout.nodes) if measurement and run.status == "ended" else {}


def _over_runs(over: OverRuns | None) -> dict[str, TidyValue]:
    """How often a layout ran, and how far its runs are apart; nothing of one that is to run once."""
    if over is None:
        return {}
    row: dict[str, TidyValue] = {"shown_run": over.shown, "runs": over.results, "runs_ended": over.ended}
    if over.times is not None:
        times = over.times
        row |= {"run_seconds_lowest": times.lowest, "run_seconds_highest": times.highest}
        row |= {"run_seconds_low": times.low, "run_seconds_high": times.high}
        row["run_seconds_confidence_percent"] = 100 * times.confidence
    return row


def _saved(run: LayoutRun) -> dict[str, TidyValue]:
    """What a layout saved by runs that ended early, all its runs together; nothing where none could."""
    saved = run.over.saved if run.over else saved_iterations(run)
    return {} if saved is None else {"iterations_saved": saved.iterations, "node_hours_saved": saved.node_hours}


def figures(measurement: Measurement, nodes: int | None) -> dict[str, TidyValue]:
    """The figures of a measurement in columns of the tidy table."""
    memory, statistics = measurement.memory, measurement.statistics
    row: dict[str, TidyValue] = {
        "flags": "; ".join(measurement.flags),
        "first_loss": measurement.first_loss,
        "last_loss": measurement.last_loss,
        "statistic": measurement.settings.statistic,
    }
    if memory is not None:
        row |= {"memory_mib": memory.peak_mib, "memory_rank": memory.rank, "memory_source": memory.source}
    if statistics is not None:
        row |= {name: value for name, value in vars(statistics).items() if name in TIDY}
        row["iterations"] = statistics.last_iteration
        if nodes and statistics.tflops_per_node is not None:
            row["aggregate_petaflops"] = flops.aggregate_petaflops(statistics.tflops_per_node, nodes)
    return row
