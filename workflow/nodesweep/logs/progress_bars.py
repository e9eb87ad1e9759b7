"""Number and time lines that lack both, by the progress bar drawn before them."""

from .reading import Iteration
from .series import RecordSeries

SMOOTHED = 20
CLEAR_SECONDS = 3
"""A bar shows whole seconds, so that only so many are exact enough."""
BAR_STEP_SECONDS = 1.0
"""By how much what passed between two states of a bar may be off: it shows whole seconds, cut."""


class ProgressBars:
    """The bar of a training as it is drawn, and the line that was numbered by it last."""

    def __init__(self) -> None:
        self._bar: Iteration | None = None
        self._begun: tuple[int, float | None, int | None] | None = None
        self._after_first: Iteration | None = None
        self._used: tuple[int, int | None] | None = None
        self._text = ""

    def draw(self, bar: Iteration, elapsed: float | None) -> Iteration:
        """Take the bar's latest state, `elapsed` seconds after it began, and return it with seconds per iteration.

        tqdm smooths its rate, which holds the slow first iterations for long: there the mean since the first counts.
        """
        if self._begun is None or bar.number <= self._begun[0] or bar.total != self._begun[2]:
            self._begun = (bar.number, elapsed, bar.total) if bar.number < SMOOTHED else None
        elif bar.number <= SMOOTHED and elapsed is not None and self._begun[1] is not None:
            passed = elapsed - self._begun[1]
            if passed >= CLEAR_SECONDS:
                iterations = bar.number - self._begun[0]
                bar = bar._replace(
                    seconds=passed / iterations, seconds_rounding=BAR_STEP_SECONDS / iterations, seconds_from="bar"
                )
        self._bar = bar
        if self._text and self._after_first is None:
            self._after_first = bar
        return bar

    def timed(self, record: Iteration) -> Iteration:
        """A record that says which iteration it is, with the total and the time of the bar drawn for the same one."""
        bar = self._bar
        if bar is None or bar.number != record.number or record.total not in (bar.total, None):
            return record
        return _timed_by(record, bar)._replace(total=bar.total)

    def numbered(self, record: Iteration, text: str, series: RecordSeries | None) -> Iteration:
        """A record with number, total and time of the bar before it; `text` is the record's own.

        Where two records follow one bar, because standard output is buffered, bars number none of them.
        """
        bar, before = self._bar, series.latest if series else None
        repeats, self._text = text.strip() == self._text, text.strip()
        if series is None or before is None:
            return record if bar is None else self._drawn(record, bar)
        if bar is None:
            return before._replace(line=record.line) if repeats and record.loss else record
        if series.is_counted:
            return record
        if self._used is None and not self._numbers_first(series, bar):
            return self._counted(record, series)
        if self._used == (bar.number, bar.total):  # once more from another rank, or a second one
            return before._replace(line=record.line) if repeats else self._counted(record, series)
        if before.total not in (None, bar.total) and before.number < (before.total or 0):
            return record  # the bar of an evaluation in between
        return self._drawn(record, bar)

    def _drawn(self, record: Iteration, bar: Iteration) -> Iteration:
        self._used = bar.number, bar.total
        return _timed_by(record, bar)._replace(number=bar.number, total=bar.total)

    def _numbers_first(self, series: RecordSeries, bar: Iteration) -> bool:
        """Number the first record, which no bar preceded, by the bar drawn again after it; whether that is possible."""
        again = self._after_first
        if again is None or len(series.records) > 1 or again.total != bar.total or again.number >= bar.number:
            return False
        series.renumber(self._drawn(next(iter(series.records.values())), again))
        return True

    def settle(self, series: RecordSeries) -> None:
        """Number the only record by the bar drawn after it, where no bar came before."""
        again = self._after_first
        if self._used is None and again is not None and len(series.records) == 1:
            series.renumber(self._drawn(next(iter(series.records.values())), again))

    @staticmethod
    def _counted(record: Iteration, series: RecordSeries) -> Iteration:
        series.count()
        return record._replace(number=series.next_number)


def _timed_by(record: Iteration, bar: Iteration) -> Iteration:
    """A record with the time of a bar where it has none itself."""
    if record.seconds:
        return record
    return record._replace(seconds=bar.seconds, seconds_rounding=bar.seconds_rounding, seconds_from=bar.seconds_from)
