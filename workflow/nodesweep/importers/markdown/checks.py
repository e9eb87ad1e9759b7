"""All checks of a table of results, in an order in which one error is one finding: what follows from it is not told."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from decimal import Decimal

from nodesweep.sweep.constraints import divisors, multiples, nearest

from .columns import MEASURED, column_of
from .findings import SHORT, Finding, Found, at
from .models import hidden_size_findings, size_findings
from .parallelism import node_ratios, ranks_per_node, world_findings
from .rates import ASSUMED_VOCABULARY, Rates
from .tables import Reading, Remark, Row, Table
from .throughput import aggregate_findings, rate_findings, time_unit, unit_finding


class Checks:
    """All checks of one table: its `findings`, and `remarks` on what was assumed.

    `corrected`: sure right values by line and quantity. `elsewhere`: ranks on a node in the document's other tables,
    and in how many rows.
    """

    def __init__(self, table: Table, elsewhere: Counter[int]):
        self.table = table
        self.findings: list[Finding] = []
        self.corrected: dict[tuple[int, str], Decimal] = {}
        self._doubts: dict[int, set[str]] = defaultdict(set)
        self.ranks_per_node = ranks_per_node(table, elsewhere)
        self.rates = Rates(table, self.ranks_per_node)
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

    def count(self, row: Row, name: str) -> int | None:
        """A whole number of a row, corrected where its right value is sure."""
        right = self.corrected.get((row.line, name))
        return row.count(name) if right is None else int(right)

    def _add(self, found: Iterable[Found]) -> None:
        for finding, lines, fields in list(found):
            self.findings.append(finding)
            if finding.value is not None:
                self.corrected[finding.line, finding.field] = finding.value
            for line in lines:
                self._doubts[line] |= fields

    def _doubted(self, row: Row, *names: str) -> bool:
        """Whether one of these is in doubt and has no sure right value."""
        return any(name in self._doubts[row.line] and (row.line, name) not in self.corrected for name in names)

    def _batches(self) -> Iterator[Found]:
        """GBS that does not split over DP x MBS; told once where the tables inherit it."""
        groups: dict[int, list[tuple[Row, int, int, int]]] = {}
        for row in self.table.rows:
            data, micro, batch = self.count(row, "data"), row.count("micro_batch") or 1, row.count("global_batch")
            if data and batch and not self._doubted(row, "data") and batch % (data * micro):
                groups.setdefault(row.values["global_batch"].line, []).append((row, data, micro, batch))
        for line, rows in groups.items():
            _, data, micro, batch = rows[0]
            near = nearest(multiples(data * micro, batch), batch)
            text = f"GBS {batch} does not split over DP {data} x MBS {micro}"
            finding = Finding(line, self.table.line, "global_batch", "GBS", text, f"GBS {near}")
            yield finding, [row.line for row, *_ in rows], {"global_batch", "micro_batch"}

    def _heads(self) -> Iterator[Found]:
        """Attention heads that do not split over MP; told once for each pair of them."""
        groups: dict[tuple[int, int], list[Row]] = {}
        for row in self.table.rows:
            heads, tensor = row.count("attention_heads"), self.count(row, "tensor")
            if heads and tensor and heads % tensor and not self._doubted(row, "attention_heads", "tensor"):
                groups.setdefault((heads, tensor), []).append(row)
        for (heads, tensor), rows in groups.items():
            text = f"{heads} attention heads do not split over MP {tensor}"
            likely = f"MP {nearest(divisors(heads), tensor)}"
            finding = at(self.table, rows[0], "attention_heads", text, likely)
            yield finding, [row.line for row in rows], {"attention_heads", "tensor"}

    def _duplicates(self) -> Iterator[Found]:
        """Rows that say the same but for what was measured; rows in doubt for another reason are not compared."""
        measured = (*MEASURED, "status")
        judged = [column_of(column.heading).field not in measured for column in self.table.columns]
        first: dict[tuple[str, ...], Row] = {}
        for row in self.table.rows:
            pairs = zip(row.cells, judged, strict=True)
            key = tuple(str(cell.number or cell.word or cell.remark) for cell, judge in pairs if judge)
            if self._doubts[row.line] or not any(row.count(name) for name in SHORT):
                continue
            other = first.setdefault(key, row)
            if other is not row:
                same = [cell.shown for cell in row.cells] == [cell.shown for cell in other.cells]
                differ = "in every cell" if same else "in all but what was measured"
                text = f"the same as line {other.line} {differ}"
                yield Finding(row.line, self.table.line, "", "row", text, "one of them is left over"), [], set()

    def _assumed(self) -> Iterator[Remark]:
        line, column = self.table.line, self.table.column("seconds")
        if self.ranks_per_node > 1 and not any(row.count("ranks_per_node") for row in self.table.rows):
            yield Remark(line, f"{self.ranks_per_node} ranks on each node, as its rows have it")
        if self.rates.assumes_vocabulary:
            yield Remark(line, f"vocabulary not given: {ASSUMED_VOCABULARY} assumed, padded to a multiple of 128 x MP")
        if column is not None and column.scale is None and self.time_factor != 1:
            yield Remark(line, f"{column.heading}: read as {time_unit(self.rates)}, as the TFLOPs have it")
        if self.rates.resolved and self.rates.convention.model_flops and self._recomputes():
            yield Remark(line, "TFLOPs: read as model FLOPs, recomputation not counted, which its rows fit")
        memory = self.table.column("memory")
        bare = [
            row for row in self.table.rows if (value := row.values.get("memory")) and value.digits and not value.unit
        ]
        if memory is not None and memory.scale is None and bare:
            yield Remark(
                line, f"{memory.heading}: no unit in the heading or in {len(bare)} cells; those are kept as text"
            )
        if self.table.column("nodes") is None and self.table.column("ranks") is not None:
            yield Remark(line, f"no column of nodes: {self.ranks_per_node} to a node")

    def _recomputes(self) -> bool:
        return any(row.recomputes for row in self.table.rows)


def check(reading: Reading) -> Iterator[Checks]:
    """The checks of every table, in order."""
    ratios = [node_ratios(table) for table in reading.tables]
    total = sum(ratios, Counter())
    for table, own in zip(reading.tables, ratios, strict=True):
        yield Checks(table, total - own)
