"""Many series -> those that a figure names, those it shows in grey, and those it leaves out; their points and lines."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from nodesweep.config.tidy_row import TidyRow, TidyValue, number_of, required_number

from .axes import slower_and_faster
from .figure import Datum
from .series import datum, distinguishing_parts, fastest_of_each, ranked, series_name, shared, unique

MOST_NAMED, MOST_GREY = 6, 60
"""Series with a colour of their own, and of the others those that are drawn in grey."""
MEASURED = "measured"


@dataclass(frozen=True)
class SeriesSelection:
    """Series of a figure over the column `axis`; `below`: what all drawn rows have in common, in words."""

    axis: str
    below: str
    colored: tuple[tuple[str, Sequence[TidyRow]], ...]
    grey: tuple[Sequence[TidyRow], ...]
    left_out: int

    @classmethod
    def of(
        cls, series: Sequence[Sequence[TidyRow]], axis: str, stand_ins: Sequence[Mapping[str, TidyValue]] = ()
    ) -> "SeriesSelection":
        """A selection in which the best series have names and the next best are grey.

        `stand_ins`: for each series what its name says of columns in which its rows differ.
        """
        own = stand_ins or [{}] * len(series)
        named = [[{**row, **words} for row in group] for group, words in zip(series, own, strict=True)]
        order = ranked(series, axis)
        shown = sorted(order[:MOST_NAMED])
        parts = distinguishing_parts([row for number in shown for row in named[number]], axis)
        names = unique(series_name(named[number][0], parts) for number in shown)
        others = order[MOST_NAMED : MOST_NAMED + MOST_GREY]
        below = shared([row for number in (*shown, *others) for row in named[number]], axis)
        colored = tuple(zip(names, (series[number] for number in shown), strict=True))
        grey = tuple(series[number] for number in others)
        return cls(axis, below, colored, grey, len(series) - len(colored) - len(grey))

    @property
    def names(self) -> tuple[str, ...]:
        """Names in the legend, in its order."""
        return (*(name for name, _ in self.colored), *([self._others] if self.grey else []))

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


def _ends(row: TidyRow, column: str, rate: bool) -> dict[str, float]:
    slow, fast = slower_and_faster(row)
    if not slow or not fast:
        return {}
    low, high = (1 / slow, 1 / fast) if rate else (fast, slow)
    return {"low": required_number(row, column) * low, "high": required_number(row, column) * high}
