"""Times, TFLOPs and aggregates of a table: wrong units, and rows in which they do not go together."""

from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import NamedTuple

from .findings import Doubt, TableFinding, finding_at, heading_of
from .rates import SECOND_UNITS, RateConvention, TableRates
from .tables import HandKeptRow

DoubtedFields = Mapping[int, set[str]]
"""Quantities in doubt for another reason, by line."""
_INPUTS = frozenset({"nodes", "ranks", "layers", "hidden_size", "global_batch", "sequence_length", "size"})


def unit_finding(rates: TableRates) -> TableFinding | None:
    """A column of times in another unit than its heading says."""
    table, convention = rates.table, rates.convention
    column = table.column("seconds")
    if column is None or column.scale is None or convention.factor == 1:
        return None
    rows = [row for row in table.rows if rates.ratios(row, convention)]
    row = next((row for row in rows if rates.fits(row)), rows[0])
    unscaled = RateConvention(convention.basis, convention.model_flops, Decimal(1))
    implied = rates.by_formula(row, "seconds", unscaled)
    values, unit = row.values, time_unit(rates)
    text = (
        f"the whole column is in {unit}: line {row.line} has {values['seconds'].digits}, "
        f"where {values['tflops'].digits} TFLOPs mean {implied:.5g} s"
    )
    scale = convention.factor if rates.resolved else None
    return TableFinding(table.line, table.line, "seconds", column.heading, text, f"in {unit}", scale=scale)


def time_unit(rates: TableRates) -> str:
    """The unit the times of a table are in, as its TFLOPs have it."""
    column = rates.table.column("seconds")
    actual = rates.convention.factor * ((column.scale if column else None) or 1)
    return min(SECOND_UNITS, key=lambda unit: abs((SECOND_UNITS[unit] - actual) / SECOND_UNITS[unit]))


def rate_findings(rates: TableRates, doubts: DoubtedFields, nodes: Mapping[int, int]) -> Iterator[Doubt]:
    """Rows whose time and TFLOPs disagree; one finding for the column where no convention fits half of its rows.

    `nodes`: corrected node counts by line.
    """
    table = rates.table
    rows = [row for row in table.rows if rates.fits(row) is not None]
    failing = [
        row
        for row in rows
        if not rates.fits(row, nodes=nodes.get(row.line)) and not doubts.get(row.line, set()) & _INPUTS
    ]
    if rates.resolved or len(rows) < 2:
        for row in failing:
            yield Doubt(_wrong_rate(rates, row), [row.line], {"tflops", "seconds", "global_batch", "nodes"})
    elif failing and rates.convention.factor == 1:
        ratio = rates.ratios(failing[0], rates.convention)[0][0]
        text = (
            f"{len(failing)} of {len(rows)} rows do not fit the formula (line {failing[0].line}: it gives "
            f"{ratio:.3g} times what is printed); another formula, or other hyperparameters"
        )
        finding = TableFinding(table.line, table.line, "tflops", heading_of(table, "tflops"), text)
        yield Doubt(finding, [row.line for row in failing], {"tflops"})


def _wrong_rate(rates: TableRates, row: HandKeptRow) -> TableFinding:
    tflops, seconds = row.values["tflops"], row.values["seconds"]
    computed = rates.by_formula(row, "tflops", rates.convention)
    if seconds.number is None:
        raise ValueError(f"line {row.line} has no time")
    time = float(seconds.number) * rates.ratios(row, rates.convention)[0][0]
    text = f"{tflops.digits} printed, {computed:.3g} by the formula from the time {seconds.digits}"
    return finding_at(rates.table, row, "tflops", text, f"{computed:.3g}, or a time of {time:.5g}")


def aggregate_findings(rates: TableRates, doubts: DoubtedFields, nodes: Mapping[int, int]) -> Iterator[Doubt]:
    """Rows whose aggregate is not TFLOPs x nodes / 1024 (or 1000, or per rank, where that suits the column)."""
    table = rates.table
    column = table.column("aggregate")
    if column is None:
        return
    bases = [rates.convention.basis] if rates.resolved else ["node", "rank"][: 1 + (rates.ranks_per_node > 1)]
    divisors = (Decimal(1024), Decimal(1000)) if column.scale == 1000 else (Decimal(1),)
    ways = [(basis, divisor) for basis in bases for divisor in divisors]
    rows = [row for row in table.rows if not doubts.get(row.line, set()) & {"nodes", "ranks", "tflops"}]
    sums = [
        [(row, _aggregate_sum(rates, row, basis, divisor, nodes.get(row.line))) for row in rows]
        for basis, divisor in ways
    ]
    outliers = [[(row, one) for row, one in way if one and not one.agrees] for way in sums]
    failing = min(outliers, key=len)
    basis, checked = ways[outliers.index(failing)][0], sum(one is not None for _, one in sums[0])
    if len(failing) > 2 and 2 * len(failing) > checked:
        text = f"{len(failing)} of {checked} rows are not TFLOPs x {basis}s"
        lines = [row.line for row, _ in failing]
        yield Doubt(TableFinding(table.line, table.line, "aggregate", column.heading, text), lines, {"aggregate"})
        return
    for row, one in failing:
        right = one.made.quantize(Decimal((0, (1,), min(int(one.printed.as_tuple().exponent), 0))))
        text = f"{row.values['aggregate'].digits} printed, TFLOPs x {basis}s give {one.made:.4g}"
        value = right if rates.fits(row) and right else None
        finding = finding_at(table, row, "aggregate", text, f"{right:f}", value)
        yield Doubt(finding, [row.line], {"aggregate"})


class AggregateSum(NamedTuple):
    """An aggregate as printed and as made from the TFLOPs, and whether they agree within their rounding."""

    printed: Decimal
    made: Decimal
    agrees: bool


def _aggregate_sum(
    rates: TableRates, row: HandKeptRow, basis: str, divisor: Decimal, nodes: int | None
) -> AggregateSum | None:
    """The aggregate of a row; None where it or what makes it is unknown."""
    printed, tflops = row.values.get("aggregate"), rates.printed_tflops(row)
    parts = rates.parts(row, basis, nodes)
    if printed is None or printed.number is None or printed.approximate or not tflops or not parts:
        return None
    made, slack = tflops[0] * parts / divisor, tflops[1] * parts / divisor
    agrees = abs(printed.number - made) <= slack + printed.half * Decimal("1.0001")
    return AggregateSum(printed.number, made, agrees)
