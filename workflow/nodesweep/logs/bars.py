"""Numbers and times for lines that do not tell theirs, from the progress bar drawn before them."""

from .reading import Iteration
from .series import Series


class Bars:
    """The bar of a training as it is drawn, and the line that was numbered by it last."""

    def __init__(self) -> None:
        self._bar: Iteration | None = None
        self._used: tuple[int, int | None] | None = None
        self._said = ""

    def draw(self, bar: Iteration) -> None:
        """Take the bar's latest state."""
        self._bar = bar

    def timed(self, record: Iteration) -> Iteration:
        """A record that says which iteration it is, with the time of the bar drawn for the same one."""
        bar = self._bar
        drawn = bar is not None and bar.number == record.number and bar.total in (record.total, None)
        return record._replace(seconds=record.seconds or bar.seconds) if bar and drawn else record

    def numbered(self, record: Iteration, said: str, series: Series | None) -> Iteration:
        """A record with what the bar before it says; `said` is its line.

        Where two come after one bar, as they do where standard output is buffered, bars tell nothing of any of them.
        """
        bar, before = self._bar, series.latest if series else None
        said, repeats = said.strip(), said.strip() == self._said
        self._said = said
        if bar is None or (series is not None and series.is_counted):
            return record
        if before is not None and self._used == (bar.number, bar.total):
            if repeats:  # by another rank
                return before._replace(line=record.line)
            assert series is not None
            series.count()
            return record._replace(number=series.next_number)
        if before is not None and self._used is None and bar.number <= before.number:
            return record  # drawn again after a line that came before any bar
        if before is not None and before.total not in (None, bar.total) and before.number < (before.total or 0):
            return record  # the bar of an evaluation in between
        self._used = bar.number, bar.total
        return record._replace(number=bar.number, total=bar.total, seconds=record.seconds or bar.seconds)
