"""Many series -> those that a figure names, those it shows in grey, and those it leaves out; their points and lines."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from nodesweep.config.tidy_row import TidyRow, number_of, required_number

from .axes import slower_and_faster
from .figure import Datum
from .series import datum, distinguishing_parts, fastest_of_each, ranked, series_name, shared, unique

MOST_NAMED, MOST_GREY = 6, 60
"""Series with a colour of their own, and of the others those that are drawn in grey."""
MEASURED = "measured"


@dataclass(frozen=True)
class SeriesSelection:
    """Series of a figure over the column `axis`. `notes`: sentences of the caption."""

    axis: str
    colored: tuple[tuple[str, Sequence[TidyRow]], ...]
    grey: tuple[Sequence[TidyRow], ...]
    left_out: int

    @classmethod
    def of(cls, series: Sequence[Sequence[TidyRow]], axis: str) -> "SeriesSelection":
        """A selection in which the best series have names and the next best are grey."""
        order = ranked(series, axis)
        shown = [series[number] for number in sorted(order[:MOST_NAMED])]
        parts = distinguishing_parts([row for group in shown for row in group], axis)
        names = unique(series_name(group[0], parts) for group in shown)
        grey = tuple(series[number] for number in order[MOST_NAMED : MOST_NAMED + MOST_GREY])
        colored = tuple(zip(names, shown, strict=True))
        return cls(axis, colored, grey, len(series) - len(colored) - len(grey))

    @property
    def names(self) -> tuple[str, ...]:
        """Names in the legend, in its order."""
        return (*(name for name, _ in self.colored), *([self._others] if self.grey else []))

    @property
    def below(self) -> str:
        """What all drawn rows have in common, in words."""
        return shared(self._rows, self.axis)

    @property
    def notes(self) -> list[str]:
        """Sentences of the caption on error bars, hollow points and grey series."""
        rows = [row for _, group in self.colored for row in group]
        found = []
        if any(None not in slower_and_faster(row) for row in rows):
            found.append("Bars: by how much another run may differ.")
        if levels := sorted({number_of(row, "run_seconds_confidence_percent") or 0.0 for row in rows} - {0.0}):
            between = f"{levels[0]:.4g}" + (f" to {levels[-1]:.4g}" if len(levels) > 1 else "")
            found[-1:] = [f"Bars: an interval that holds the median over the runs of a layout with {between} %."]
        if any(row["outcome"] != "ok" for row in rows):
            found.append("Hollow: the run did not end well.")
        if self.grey:
            total = len(self.colored) + len(self.grey) + self.left_out
            rest = f", {self.left_out} are left out" if self.left_out else ""
            found.append(
                f"Of {total} series the {len(self.colored)} that are fastest most often have colours; "
                f"{len(self.grey)} {'is' if len(self.grey) == 1 else 'are'} grey{rest}."
            )
        return found

    def layers(self, value: str, column: str, rate: bool = False) -> dict[str, list[Datum]]:
        """Points of named series with error bars, the lines that join them, and points and lines of grey series.

        A rate falls where the time rises.
        """
        others = [(self._others, group) for group in self.grey]
        return {
            "points": [
                datum(row, series=name, well=row["outcome"] == "ok", **{value: row[column]}, **_ends(row, column, rate))
                for name, group in self.colored
                for row in group
            ],
            "lines": self._lines(self.colored, value, column),
            "other points": [datum(row, **{value: row[column]}) for _, group in others for row in group],
            "other lines": self._lines(others, value, column),
        }

    def _lines(self, series: Iterable[tuple[str, Sequence[TidyRow]]], value: str, column: str) -> list[Datum]:
        found = []
        for number, (name, group) in enumerate(series):
            joined = fastest_of_each(group, self.axis)
            line: Datum = {"series": name, "line": f"{MEASURED} {number}", "kind": MEASURED}
            if len(joined) > 1:
                found += [line | {self.axis: row[self.axis], value: row[column]} for row in joined]
        return found

    @property
    def _others(self) -> str:
        return f"{len(self.grey)} other{'' if len(self.grey) == 1 else 's'}"

    @property
    def _rows(self) -> list[TidyRow]:
        return [row for group in (*(group for _, group in self.colored), *self.grey) for row in group]


def _ends(row: TidyRow, column: str, rate: bool) -> dict[str, float]:
    slow, fast = slower_and_faster(row)
    if not slow or not fast:
        return {}
    low, high = (1 / slow, 1 / fast) if rate else (fast, slow)
    return {"low": required_number(row, column) * low, "high": required_number(row, column) * high}
