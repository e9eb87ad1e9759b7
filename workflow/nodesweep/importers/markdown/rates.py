"""How the times and TFLOPs of a table go together: by which convention, in which unit of time, in which rows not."""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal
from itertools import product
from statistics import median

from nodesweep.performance import flops
from nodesweep.performance.dimensions import Dimensions

from .columns import UNITS
from .tables import HandKeptRow, HandKeptTable, scaled

ASSUMED_VOCABULARY = 50257
TOLERANCE = 0.02
SECOND_UNITS = {"s": Decimal(1), "ms": UNITS["seconds"]["ms"], "us": UNITS["seconds"]["us"]} | {
    unit: UNITS["seconds"][unit] for unit in ("min", "h")
}


@dataclass(frozen=True)
class RateConvention:
    """What a printed rate is: of a "node" or "rank", without recomputation or with it; `factor`: of printed times."""

    basis: str
    model_flops: bool
    factor: Decimal


_OF_EXPERTS = ("experts", "experts_per_token", "expert_ffn_hidden_size", "expert", "expert_tensor")
"""Counts above 1 of which each is of a mixture of experts."""


def may_be_a_gpt(row: HandKeptRow) -> bool:
    """Whether nothing in a row says that its model is no plain GPT; of others a table does not tell enough to count."""
    if row.decoder or row.is_on("gated_ffn") or any((row.count(name) or 0) > 1 for name in _OF_EXPERTS):
        return False
    return row.count("kv_heads") in (None, row.count("attention_heads"))


class TableRates:
    """Time and TFLOPs of one table against the formula; `ranks_per_node` as the table has it."""

    def __init__(self, table: HandKeptTable, ranks_per_node: int):
        self.table = table
        self.ranks_per_node = ranks_per_node
        self._seconds, self._tflops = table.column("seconds"), table.column("tflops")
        rows = [row for row in table.rows if self.ratios(row, self._conventions()[0])]
        counted = [(sum(self.fits(row, one) is True for row in rows), one) for one in self._conventions()]
        best = max(count for count, _ in counted)
        self.rows = len(rows)
        self.resolved = bool(rows) and best > 0 and 2 * best >= len(rows)
        self.convention = next(one for count, one in counted if count == best) if self.resolved else counted[0][1]
        if rows and not self.resolved:
            self.convention = self._nearest(rows)

    def parts(self, row: HandKeptRow, basis: str, nodes: int | None = None) -> int | None:
        """Nodes or ranks of a row; `nodes` in place of the printed ones."""
        known, ranks = nodes or row.count("nodes"), row.count("ranks")
        if basis == "node":
            return known or (ranks // self.ranks_per_node if ranks else None)
        return (None if nodes else ranks) or (known * self.ranks_per_node if known else None)

    def ratios(
        self, row: HandKeptRow, convention: RateConvention, nodes: int | None = None
    ) -> list[tuple[float, float]]:
        """TFLOPs by the formula over those printed, and its tolerance, for each way to count; none where unknown."""
        tflops, seconds = self.printed_tflops(row), self.printed_seconds(row)
        parts = self.parts(row, convention.basis, nodes)
        if not tflops or not seconds or not parts or not tflops[0] or not seconds[0]:
            return []
        own_unit = bool(row.values["seconds"].unit)
        time = float(seconds[0]) * (1 if own_unit else float(convention.factor))
        rounding = float(tflops[1] / tflops[0] + seconds[1] / seconds[0])
        return [
            (flops.tflops_per_node(operations, time, parts) / float(tflops[0]), TOLERANCE + rounding)
            for operations in self.operations(row, convention.model_flops)
        ]

    def fits(self, row: HandKeptRow, convention: RateConvention | None = None, nodes: int | None = None) -> bool | None:
        """Whether time and TFLOPs of a row agree; None where that is unknown."""
        ratios = self.ratios(row, convention or self.convention, nodes)
        return any(abs(ratio - 1) <= tolerance for ratio, tolerance in ratios) if ratios else None

    def printed_tflops(self, row: HandKeptRow) -> tuple[Decimal, Decimal] | None:
        """TFLOPs as printed."""
        return self._printed(row, "tflops")

    def by_formula(self, row: HandKeptRow, name: str, convention: RateConvention) -> float:
        """The "seconds" or "tflops" of a row as the formula has it by the other; raises ValueError where it has not."""
        ratios, printed = self.ratios(row, convention), self._printed(row, name)
        if not ratios or printed is None:
            raise ValueError(f"line {row.line} does not say enough for the formula")
        return float(printed[0]) * ratios[0][0]

    def printed_seconds(self, row: HandKeptRow) -> tuple[Decimal, Decimal] | None:
        """Time as printed, in the unit the heading or the cell names."""
        return self._printed(row, "seconds")

    def operations(self, row: HandKeptRow, model_flops: bool) -> list[int]:
        """Operations of one iteration, for each way to count them; none where the row does not say enough."""
        layers, hidden, sequence = (row.count(name) for name in ("layers", "hidden_size", "sequence_length"))
        batch = row.count("global_batch")
        if not (layers and hidden and sequence and batch) or not may_be_a_gpt(row):
            return []
        recomputes = (False,) if model_flops else (True, False) if row.recomputes is None else (row.recomputes,)
        return [
            Dimensions(
                layers=layers,
                hidden_size=hidden,
                ffn_hidden_size=row.count("ffn_hidden_size"),
                sequence_length=sequence,
                vocab_size=row.count("vocab_size") or ASSUMED_VOCABULARY,
                global_batch=batch,
                tensor=row.count("tensor") or 1,
                activation_checkpointing=one,
            ).hardware_flops
            for one in recomputes
        ]

    @property
    def assumes_vocabulary(self) -> bool:
        """Whether a row was judged by an assumed vocabulary."""
        return any(row.count("vocab_size") is None and self.fits(row) is not None for row in self.table.rows)

    def _printed(self, row: HandKeptRow, name: str) -> tuple[Decimal, Decimal] | None:
        value = row.values.get(name)
        column = self._tflops if name == "tflops" else self._seconds
        return None if value is None or value.approximate else scaled(value, column, name)

    def _conventions(self) -> list[RateConvention]:
        """All readings of the columns, the more likely ones first."""
        if self._seconds is None or self._tflops is None:
            return [RateConvention("node", False, Decimal(1))]
        declared = self._seconds.scale or Decimal(1)
        factors = [Decimal(1), *(scale / declared for scale in SECOND_UNITS.values() if scale != declared)]
        bases = [self._tflops.basis] if self._tflops.basis else ["node", "rank"][: 1 + (self.ranks_per_node > 1)]
        counts = [True] if self._tflops.model_flops else [False, True]
        return [
            RateConvention(basis, model_flops, factor)
            for factor, basis, model_flops in product(factors[: 1 if self._seconds.rate else None], bases, counts)
        ]

    def _nearest(self, rows: Iterable[HandKeptRow]) -> RateConvention:
        """Where no convention fits: the first, in the unit of time that comes within a factor of two, if one does."""
        conventions = self._conventions()
        ratio = median(self.ratios(row, conventions[0])[0][0] for row in rows)
        distance = {one: abs(math.log(ratio / float(one.factor))) for one in conventions}
        nearest = min(conventions, key=lambda one: distance[one])
        return nearest if distance[nearest] < math.log(2) else conventions[0]
