"""All checks of a table of results, in an order in which one error is one finding, without what follows from it."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from decimal import Decimal

from nodesweep.importers.layout_values import READ_FIELDS
from nodesweep.sweep.broken_law import BrokenLaw
from nodesweep.sweep.constraints import broken_laws

from .columns import MEASURED, PLACED, column_of
from .findings import Doubt, TableFinding, finding_at, symbol_of
from .models import hidden_size_findings, size_findings
from .parallelism import node_ratios, ranks_per_node, world_findings
from .rates import ASSUMED_VOCABULARY, TableRates
from .tables import HandKeptRow, HandKeptTable, HandKeptTables, ImportRemark
from .throughput import aggregate_findings, rate_findings, time_unit, unit_finding

_TELLING = PLACED | {name for name, row in READ_FIELDS.items() if row.kind == "count" and row.in_tables == "always"}
"""Sizes of which a row must know one before it is held to be the double of another."""


class TableChecks:
    """All checks of one table: its `findings`, and `remarks` on what was assumed.

    `corrected`: sure right values by line and quantity. `elsewhere`: ranks on a node in the document's other tables,
    and in how many rows.
    """

    def __init__(self, table: HandKeptTable, elsewhere: Counter[int]):
        self.table = table
        self.findings: list[TableFinding] = []
        self.corrected: dict[tuple[int, str], Decimal] = {}
        self._doubts: dict[int, set[str]] = defaultdict(set)
        self.ranks_per_node = ranks_per_node(table, elsewhere)
        self.rates = TableRates(table, self.ranks_per_node)
        self._add(size_findings(table))
        self._add(hidden_size_findings(table))
        self._add(world_findings(table, self.rates))
        self._add(self._batches())
        self._add(self._heads())
        if found := unit_finding(self.rates):
            self.findings.append(found)
        nodes = {line: int(value) for (line, name), value in self.corrected.items() if name == "nodes"}
        self._add(rate_findings(self.rates, self._doubts, nodes))
        self._add(aggregate_findings(self.rates, self._doubts, nodes))
        self._add(self._duplicates())
        self.remarks = list(self._assumed())

    @property
    def time_factor(self) -> Decimal:
        """From times as printed to times in the unit of the heading, or in seconds where it names none."""
        return self.rates.convention.factor if self.rates.resolved else Decimal(1)

    def count(self, row: HandKeptRow, name: str) -> int | None:
        """A whole number of a row, corrected where its right value is sure."""
        right = self.corrected.get((row.line, name))
        return row.count(name) if right is None else int(right)

    def _add(self, doubts: Iterable[Doubt]) -> None:
        for finding, lines, fields in list(doubts):
            self.findings.append(finding)
            if finding.value is not None:
                self.corrected[finding.line, finding.field] = finding.value
            for line in lines:
                self._doubts[line] |= fields

    def _doubted(self, row: HandKeptRow, *names: str) -> bool:
        """Whether one of these is in doubt and has no sure right value."""
        return any(name in self._doubts[row.line] and (row.line, name) not in self.corrected for name in names)

    def _batches(self) -> Iterator[Doubt]:
        """GBS that does not split over DP x MBS; one finding where several tables inherit it."""
        groups: dict[int, list[tuple[HandKeptRow, BrokenLaw]]] = {}
        for row in self.table.rows:
            batches = {"global_batch": row.count("global_batch"), "micro_batch": row.count("micro_batch") or 1}
            for broken in broken_laws({**batches, "data": self.count(row, "data")}):
                if not self._doubted(row, "data"):
                    groups.setdefault(row.values["global_batch"].line, []).append((row, broken))
        for line, rows in groups.items():
            broken = rows[0][1]
            likely = f"{broken.size} {broken.nearest}"
            where = symbol_of("global_batch")
            finding = TableFinding(line, self.table.line, "global_batch", where, broken.numbers, likely)
            yield Doubt(finding, [row.line for row, _ in rows], {"global_batch", "micro_batch"})

    def _heads(self) -> Iterator[Doubt]:
        """Attention heads that do not split over MP; one finding for each pair of them."""
        groups: dict[BrokenLaw, list[HandKeptRow]] = {}
        for row in self.table.rows:
            sizes = {"attention_heads": row.count("attention_heads"), "tensor": self.count(row, "tensor")}
            for broken in broken_laws(sizes):
                if not self._doubted(row, "attention_heads", "tensor"):
                    groups.setdefault(broken, []).append(row)
        for broken, rows in groups.items():
            likely = f"{broken.size} {broken.nearest}"
            finding = finding_at(self.table, rows[0], "attention_heads", broken.numbers, likely)
            yield Doubt(finding, [row.line for row in rows], {"attention_heads", "tensor"})

    def _duplicates(self) -> Iterator[Doubt]:
        """Rows that say the same but for what was measured; rows in doubt for another reason are not compared."""
        measured = (*MEASURED, "status")
        judged = [column_of(column.heading).field not in measured for column in self.table.columns]
        first: dict[tuple[str, ...], HandKeptRow] = {}
        for row in self.table.rows:
            pairs = zip(row.cells, judged, strict=True)
            key = tuple(str(cell.number or cell.word or cell.remark) for cell, judge in pairs if judge)
            if self._doubts[row.line] or not any(row.count(name) for name in _TELLING):
                continue
            other = first.setdefault(key, row)
            if other is not row:
                same = [cell.shown for cell in row.cells] == [cell.shown for cell in other.cells]
                differ = "in every cell" if same else "in all but what was measured"
                text = f"the same as line {other.line} {differ}"
                finding = TableFinding(row.line, self.table.line, "", "row", text, "one of them is left over")
                yield Doubt(finding, [], set())

    def _assumed(self) -> Iterator[ImportRemark]:
        line, column = self.table.line, self.table.column("seconds")
        if self.ranks_per_node > 1 and not any(row.count("ranks_per_node") for row in self.table.rows):
            yield ImportRemark(line, f"{self.ranks_per_node} ranks on each node, as its rows have it")
        if self.rates.assumes_vocabulary:
            yield ImportRemark(
                line, f"vocabulary not given: {ASSUMED_VOCABULARY} assumed, padded to a multiple of 128 x MP"
            )
        if column is not None and column.scale is None and self.time_factor != 1:
            yield ImportRemark(line, f"{column.heading}: read as {time_unit(self.rates)}, as the TFLOPs have it")
        if self.rates.resolved and self.rates.convention.model_flops and self._recomputes():
            yield ImportRemark(line, "TFLOPs: read as model FLOPs, recomputation not counted, which its rows fit")
        memory = self.table.column("memory")
        bare = [
            row for row in self.table.rows if (value := row.values.get("memory")) and value.digits and not value.unit
        ]
        if memory is not None and memory.scale is None and bare:
            yield ImportRemark(
                line, f"{memory.heading}: no unit in the heading or in {len(bare)} cells; those are kept as text"
            )
        others = [row for row in self.table.rows if row.decoder and {"seconds", "tflops"} <= row.values.keys()]
        if others:
            names = " and ".join(dict.fromkeys(row.decoder for row in others))
            yield ImportRemark(line, f"{names} is no GPT: times and TFLOPs are not held against the formula of one")
        if self.table.column("nodes") is None and self.table.column("ranks") is not None:
            yield ImportRemark(line, f"no column of nodes: {self.ranks_per_node} to a node")

    def _recomputes(self) -> bool:
        return any(row.recomputes for row in self.table.rows)


def check(reading: HandKeptTables) -> Iterator[TableChecks]:
    """The checks of every table, in order."""
    ratios = [node_ratios(table) for table in reading.tables]
    total = sum(ratios, Counter())
    for table, own in zip(reading.tables, ratios, strict=True):
        yield TableChecks(table, total - own)
