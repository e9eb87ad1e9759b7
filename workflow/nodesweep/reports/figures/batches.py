"""Tokens per second against the batch."""

from collections.abc import Iterable

from nodesweep.config.tidy_row import TidyRow, required_count

from .axes import ticks
from .figure import Figure, MissingFigure, known, sentences
from .selection import SeriesSelection
from .series import series_of

_AXES = {
    "global_batch_samples": ("the global batch", "Global batch [samples]"),
    "micro_batch_samples": ("the micro batch", "Micro batch [samples]"),
}


def throughput(rows: Iterable[TidyRow]) -> Figure | MissingFigure:
    """Tokens per second against the global or the micro batch, whichever more layouts vary alone."""
    fast = [row for row in rows if known(row, "tokens_per_second", "iteration_seconds")]
    column = max(_AXES, key=lambda axis: _varied(fast, axis))
    words, axis_title = _AXES[column]
    if not _varied(fast, column):
        return MissingFigure("throughput", "no layout was measured with several batches")
    batched = [row for row in fast if known(row, column)]
    selection = SeriesSelection.of(series_of(batched, column), column)
    return Figure(
        "throughput",
        title=f"Tokens per second against {words}",
        caption=sentences(f"Tokens per second of all nodes together against {words}.", *selection.notes),
        below=selection.below,
        series=selection.names,
        ticks=ticks(required_count(row, column) for row in batched),
        layers=selection.layers("tokens", "tokens_per_second", rate=True),
        x=(column, axis_title),
    )


def _varied(rows: Iterable[TidyRow], column: str) -> int:
    """How many rows are in series that have several values of a column."""
    series = series_of((row for row in rows if known(row, column)), column)
    return sum(len(group) for group in series if len({row[column] for row in group}) > 1)
