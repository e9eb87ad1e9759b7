"""The seconds of each record from the finest figure that its line has, with what they may be off since it is rounded.

Beside the time itself, a line may give samples/s, tokens/s or tokens/s per rank: each is a time where the samples or
tokens of an iteration are known, from the line, from the log's arguments or from the layout. A rate counts where most
records of a log agree with it within the roundings of both, and where it is within the rounding of the record's own
time: so a batch, a sequence length or a number of ranks that is not that of the run changes no time. TFLOPs and
utilization are no source: what a trainer counts as work is its own. Nor are time stamps where a time is printed: other
things happen between lines.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from statistics import median
from typing import NamedTuple

from .extract import quotient_rounding
from .reading import Iteration, LogReading

EXACT = 0.5
"""A count of samples or tokens that is rounded by no more is printed whole."""


@dataclass(frozen=True)
class IterationAmounts:
    """What an iteration of a run trains on, as far as it is known: samples, tokens of a sample, and its ranks."""

    samples: int | None = None
    sequence_length: int | None = None
    ranks: int | None = None


@dataclass(frozen=True)
class SecondsSource:
    """Where the seconds of some records come from: so many, with at most so many seconds of rounding.

    `figure`: a name of FIGURES. `amount`: what was divided by the rate, None for a time and where it changes.
    """

    figure: str
    records: int
    rounding: float
    amount: float | None = None

    @property
    def words(self) -> str:
        """The source in words.

        >>> SecondsSource("samples_per_second", 7, 4.7e-7, 512).words
        '512 samples over the samples/s of its line (7 records), rounded by up to 4.7e-07 s'
        """
        amount = "" if self.amount is None else f"{self.amount:,.10g} "
        records = "1 record" if self.records == 1 else f"{self.records} records"
        return f"{amount}{FIGURES[self.figure]} ({records}), rounded by up to {self.rounding:.2g} s"


FIGURES = {
    "time": "the time of its line",
    "bar": "the time since its progress bar began",
    "clock": "the time stamps of its line and of the one before",
    "samples_per_second": "samples over the samples/s of its line",
    "tokens_per_second": "tokens over the tokens/s of its line",
    "tokens_per_second_per_rank": "tokens of a rank over its tokens/s",
}
"""What seconds may be by: the names that `Iteration.seconds_from` has, in words."""


class _Amount(NamedTuple):
    value: float
    rounding: float = 0.0


class _Candidate(NamedTuple):
    """A time of a record by one of its rates, its rounding, and how far it is off the record's own time."""

    seconds: float
    rounding: float
    off: float

    def is_apart(self, row: Iteration) -> bool:
        """Whether it is farther off the record's own time than the roundings of both allow."""
        return self.off > self.rounding + row.seconds_rounding


def with_finest_seconds(reading: LogReading, amounts: IterationAmounts) -> LogReading:
    """The reading with the seconds of each record from the finest figure of its line that is sure."""
    found = [_candidates(row, amounts) if row.seconds else {} for row in reading.iterations]
    trusted = [name for name in _RATES if _agrees(name, found, reading.iterations)]
    records = tuple(
        _finest(row, {name: of_row[name] for name in trusted if name in of_row})
        for row, of_row in zip(reading.iterations, found, strict=True)
    )
    return replace(reading, iterations=records)


def sources(records: tuple[Iteration, ...], amounts: IterationAmounts) -> tuple[SecondsSource, ...]:
    """Where the seconds of records come from, the most frequent source first."""
    counts = Counter(row.seconds_from for row in records)
    found = []
    for figure, count in counts.most_common():
        of_it = [row for row in records if row.seconds_from == figure]
        divided = {one.value for row in of_it if (one := _amounts(row, amounts).get(figure))}
        rounding = max(row.seconds_rounding for row in of_it)
        found.append(SecondsSource(figure, count, rounding, divided.pop() if len(divided) == 1 else None))
    return tuple(found)


@dataclass(frozen=True)
class RateApart:
    """A rate that most records contradict: as the log says it, and as their seconds make it; medians, a second."""

    figure: str
    logged: float
    counted: float


def rates_apart(records: tuple[Iteration, ...], amounts: IterationAmounts) -> tuple[RateApart, ...]:
    """The rates that the time of most records contradicts, beyond the roundings of both.

    The seconds of the records must be their own: not yet from the finest figure. Where samples are known beside the
    log, they count instead of those in its lines.
    """
    if amounts.samples:
        records = tuple(row._replace(global_batch_samples=None, global_batch_tokens=None) for row in records)
    found = [_candidates(row, amounts) if row.seconds else {} for row in records]
    apart = []
    for name in _RATES:
        rows = [(row, of_row[name]) for row, of_row in zip(records, found, strict=True) if name in of_row]
        if rows and not _agrees(name, found, records):
            logged = median(getattr(row, name) for row, _ in rows)
            counted = median(getattr(row, name) * one.seconds / (row.seconds or 1.0) for row, one in rows)
            apart.append(RateApart(name, logged, counted))
    return tuple(apart)


def _candidates(row: Iteration, amounts: IterationAmounts) -> Mapping[str, _Candidate]:
    found = {}
    for name, amount in _amounts(row, amounts).items():
        rate, rounding = getattr(row, name), getattr(row, f"{name}_rounding")
        if rate and 0 <= rounding < rate:
            seconds = amount.value / rate
            off = abs(seconds - (row.seconds or 0.0))
            found[name] = _Candidate(seconds, quotient_rounding(*amount, rate, rounding), off)
    return found


def _amounts(row: Iteration, amounts: IterationAmounts) -> Mapping[str, _Amount]:
    """By rate, what an iteration trains on."""
    found = {}
    samples = _known(row.global_batch_samples, row.global_batch_samples_rounding, amounts.samples)
    length = amounts.sequence_length
    by_samples = _Amount(samples.value * length, samples.rounding * length) if samples and length else None
    tokens = by_samples
    if row.global_batch_tokens:
        whole = int(by_samples.value) if by_samples and not by_samples.rounding else None
        tokens = _known(row.global_batch_tokens, row.global_batch_tokens_rounding, whole)
    if samples:
        found["samples_per_second"] = samples
    if tokens:
        found["tokens_per_second"] = tokens
        if amounts.ranks:
            found["tokens_per_second_per_rank"] = _Amount(tokens.value / amounts.ranks, tokens.rounding / amounts.ranks)
    return found


_RATES = ("samples_per_second", "tokens_per_second", "tokens_per_second_per_rank")


def _known(printed: int | None, rounding: float, known: int | None) -> _Amount | None:
    """A batch: as its line prints it whole; else as it is known, where the line does not deny it; else as printed."""
    if not printed:
        return _Amount(known) if known else None
    if rounding <= EXACT:
        return _Amount(printed)
    if known and abs(printed - known) <= rounding:
        return _Amount(known)
    return _Amount(printed, rounding)


def _agrees(name: str, found: list[Mapping[str, _Candidate]], records: tuple[Iteration, ...]) -> bool:
    """Whether a rate agrees with the time of most records that have both."""
    apart = [of_row[name].is_apart(row) for of_row, row in zip(found, records, strict=True) if name in of_row]
    return 2 * sum(apart) < len(apart)


def _finest(row: Iteration, found: Mapping[str, _Candidate]) -> Iteration:
    best = row
    for name, one in found.items():
        if one.rounding < best.seconds_rounding and one.off <= row.seconds_rounding:
            best = row._replace(seconds=one.seconds, seconds_rounding=one.rounding, seconds_from=name)
    return best
