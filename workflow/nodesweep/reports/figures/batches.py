"""Tokens per second against the batch."""

from collections.abc import Iterable

from .axes import ticks
from .figure import Figure, Missing, Row, known, sentences
from .selection import Chosen
from .series import series_of

_AXES = {
    "gbs": ("global_batch_samples", "the global batch", "Global batch [samples]"),
    "mbs": ("micro_batch_samples", "the micro batch", "Micro batch [samples]"),
}


def throughput(rows: Iterable[Row]) -> Figure | Missing:
    """Tokens per second against the batch that more layouts vary alone, global or micro."""
    fast = [row for row in rows if known(row, "tokens_per_second", "iteration_seconds")]
    best = max(_AXES, key=lambda x: _varied(fast, _AXES[x][0]))
    column, said, axis = _AXES[best]
    if not _varied(fast, column):
        return Missing("throughput", "no layout was measured with several batches")
    batched = [row for row in fast if known(row, column)]
    chosen = Chosen.of(series_of(batched, column), column, best)
    caption = sentences(f"Tokens per second of all nodes together against {said}.", *chosen.said)
    layers = chosen.layers("tokens", "tokens_per_second", rate=True)
    counts = ticks(row[column] for row in batched)
    title = f"Tokens per second against {said}"
    return Figure("throughput", title, caption, chosen.below, chosen.names, counts, layers, (best, axis))


def _varied(rows: Iterable[Row], column: str) -> int:
    """Rows in series that have several values of a column."""
    series = series_of((row for row in rows if known(row, column)), column)
    return sum(len(group) for group in series if len({row[column] for row in group}) > 1)
