"""Read quantities out of one line: the iterations it holds, and what else stands in it."""

import math
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise

from nodesweep.logs.patterns.lines import IterationPattern
from nodesweep.logs.patterns.prefixes import peel, rank_in, stamp_seconds
from nodesweep.logs.patterns.quantities import Quantity, finite

from .memory import PEAKS
from .reading import Iteration

_FIELDS = frozenset(Iteration._fields)
_WHOLE = ("skipped", "nan", "global_batch_samples", "global_batch_tokens")
_ROUNDING = "_rounding"
ROUNDINGS = {name.removesuffix(_ROUNDING): name for name in _FIELDS if name.endswith(_ROUNDING)} | {
    "iterations_per_second": "seconds_rounding"
}
"""The figures of which the rounding is kept too, each with the name that this has."""
MOST = 10**15
MOST_SHAPES = 1000
MICROSECONDS = 6
AFTER_LOSS = "loss scale"


@dataclass(frozen=True)
class ExtractedIteration:
    """An iteration, its text, the peaks of memory it gives and the rank that they belong to.

    `is_numbered`: whether the line says its number. `elapsed`: seconds since a progress bar began.
    """

    iteration: Iteration
    text: str
    memory: Mapping[str, float]
    rank: int
    is_numbered: bool
    elapsed: float | None = None


class Extractor:
    """Reads the lines of one kind. Lines of one shape hold the same quantities, which are looked for first.

    `found`: how often which quantities were found together.
    """

    def __init__(self, pattern: IterationPattern):
        self.found: Counter[tuple[Quantity, ...]] = Counter()
        self._pattern = pattern
        self._usual: dict[tuple[int, ...], tuple[tuple[Quantity, ...], int]] = {}
        self._gives_loss = False

    def iterations(self, text: str, line: int, next_number: int) -> Iterator[ExtractedIteration]:
        """The iterations a line holds; `next_number` is for lines that do not say which they are."""
        pattern = self._pattern
        text = peel(text, hosts=False).body if pattern.is_bar else text
        heads = list(pattern.head.pattern.finditer(text))
        for index, match in enumerate(heads):
            end = heads[index + 1].start() if index + 1 < len(heads) else len(text)
            begin = max(match.start() - pattern.before, heads[index - 1].end() if index else 0)
            values, rows = self._quantities(text[begin:end])
            given, total = _numbers(match.groupdict(), values)
            number = next_number if given is None else whole(given)
            fields = fields_of(values)
            if number is None or not values.keys() >= pattern.needed:
                continue  # cut off by the end of the file, torn, or no number where a user's pattern says there is one
            self.found[rows] += 1
            if self._pattern.leaves_out_nan:
                self._look_for_loss(fields, values, text)
            memory = {name: values[name] for name in PEAKS if name in values}
            stamp = stamp_seconds(text, match.start()) if pattern.derive != "tokens" else None
            clock, step = stamp or (None, 0.0)
            iteration = Iteration(number, line, whole(total), clock=clock, clock_step=step).updated(fields)
            rank = rank_in(text[: match.start()])
            yield ExtractedIteration(
                iteration, text[match.start() : end], memory, rank, given is not None, values.get("elapsed")
            )

    def _quantities(self, text: str) -> tuple[dict[str, float], tuple[Quantity, ...]]:
        shape = tuple(text.count(mark) for mark in "|:=")
        usual, expected = self._usual.get(shape, ((), -1))
        if expected >= 0:
            values, rows = quantities_in(usual, text)
            if len(rows) >= expected:
                return values, rows
        values, rows = quantities_in(self._pattern.quantities, text)
        if len(self._usual) < MOST_SHAPES:
            # Others may stand in another line of this shape: here their text is there, but no number follows.
            likely = (
                row for row in self._pattern.quantities if row in rows or (row.name not in values and row.text in text)
            )
            self._usual[shape] = tuple(likely), len(rows)
        return values, rows

    def _look_for_loss(self, fields: dict[str, float | None], values: Mapping[str, float], text: str) -> None:
        """Say why a line has no loss though others have one: it ends before it, or the loss is not a number."""
        if fields.get("loss") is not None:
            self._gives_loss = True
        elif self._gives_loss and AFTER_LOSS not in text and not text.rstrip().endswith(self._pattern.tail):
            fields["cut"] = True
        elif self._gives_loss and "gradient" not in values and "skipped" in values and not fields["skipped"]:
            fields["lost"] = not fields.get("nan")


def _numbers(named: Mapping[str, str | None], values: Mapping[str, float]) -> tuple[str | None, str | None]:
    """Which iteration a line says it is, and of how many, by its head or by its quantities; None where it does not."""
    step, steps = (str(values[name]) if name in values else None for name in ("step", "steps"))
    if named.get("last") and named["index"] == named["number"]:  # no epoch began before
        steps = str((whole(named["last"]) or 0) + 1)
    return named.get("number") or step, named.get("total") or steps


def whole(text: str | None) -> int | None:
    """A whole number as printed, such as `12` or `1e+3`; None for anything else."""
    try:
        value = float(text or "")
        return int(value) if 0 <= value < MOST else None
    except ValueError:
        return None


def quantities_in(rows: tuple[Quantity, ...], text: str) -> tuple[dict[str, float], tuple[Quantity, ...]]:
    """The quantities a text holds, by name, in the names' units, and their rows; of one name the first counts.

    Beside the figures in ROUNDINGS stand their roundings.
    """
    values: dict[str, float] = {}
    found = []
    for row in rows:
        name = row.name
        if name in values:
            continue
        if name in ROUNDINGS:
            if (rounded := row.read_rounded(text)) is not None:
                values[name], values[ROUNDINGS[name]] = rounded
                found.append(row)
        elif (value := row.read(text)) is not None:
            values[name] = value
            found.append(row)
    return values, tuple(found)


def fields_of(values: Mapping[str, float]) -> dict[str, float | None]:
    """Quantities as fields of an iteration; a loss that is no finite number makes a nan iteration."""
    fields = {name: finite(value) for name, value in values.items()}
    rate = fields.pop("iterations_per_second", None)
    if rate:
        fields["seconds"] = 1 / rate
        fields["seconds_rounding"] = quotient_rounding(1, 0, rate, values["seconds_rounding"])
    if not (fields.get("seconds") or 0) > 0:
        fields.pop("seconds", None)
        fields.pop("seconds_rounding", None)
    for name in _WHOLE:
        if name in fields:
            fields[name] = int(fields[name] or 0)
    if fields.get("loss") == 0 and fields.get("skipped"):
        fields["loss"] = None  # what Megatron prints since 2026 where every iteration was skipped
    elif "loss" in fields and fields["loss"] is None:
        fields["nan"] = max(fields.get("nan") or 0, 1)
    elif not fields.get("loss") and "gradient" in fields and fields["gradient"] is None and not fields.get("skipped"):
        fields["loss"], fields["lost"] = None, True  # left out, or by the Trainer of transformers printed as 0
    return {name: value for name, value in fields.items() if name in _FIELDS}


def derived(records: tuple[Iteration, ...], way: str) -> tuple[Iteration, ...]:
    """The records with seconds derived from other quantities: time stamps ("clock") or tokens ("tokens")."""
    if way == "tokens":
        return tuple(map(_from_tokens, records))
    if way == "clock":
        return records[:1] + tuple(_from_clock(before, row) for before, row in pairwise(records))
    return records


def quotient_rounding(amount: float, amount_rounding: float, rate: float, rate_rounding: float) -> float:
    """By how much an amount over a rate may be off where both are rounded; infinite where the rate may be none."""
    if rate_rounding >= rate:
        return math.inf
    return (amount + amount_rounding) / (rate - rate_rounding) - amount / rate


def _from_tokens(row: Iteration) -> Iteration:
    tokens, rate = row.global_batch_tokens, row.tokens_per_second
    if not tokens or not rate:
        return row._replace(seconds=None)
    rounding = quotient_rounding(tokens, row.global_batch_tokens_rounding, rate, row.tokens_per_second_rounding)
    return row._replace(seconds=tokens / rate, seconds_rounding=rounding, seconds_from="tokens_per_second")


def _from_clock(before: Iteration, row: Iteration) -> Iteration:
    """With the seconds of an iteration between two lines; without where a stamp is missing or clocks went back.

    A stamp may be cut as well as rounded, so that two of them may be off by a whole unit together.
    """
    if before.clock is None or row.clock is None or row.clock <= before.clock:
        return row._replace(seconds=None)
    iterations, step = row.number - before.number, max(before.clock_step, row.clock_step)
    seconds = round(row.clock - before.clock, MICROSECONDS) / iterations
    return row._replace(seconds=seconds, seconds_rounding=step / iterations, seconds_from="clock")
