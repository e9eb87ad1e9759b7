"""Nodes x ranks per node = the product of the parallel sizes, row by row, and which is wrong where it is not so."""

from collections import Counter
from collections.abc import Iterator
from decimal import Decimal

from nodesweep.importers.layout_values import READ_FIELDS
from nodesweep.sweep.constraints import RANKS_OF_NODES, WORLD_SIZE, broken_laws, with_defaults

from .findings import Doubt, TableFinding, finding_at, symbol_of
from .rates import TableRates
from .tables import HandKeptRow, HandKeptTable

SIZES = tuple(name for name, row in READ_FIELDS.items() if row.parallel)
"""The parallel sizes that a table may have columns of."""
ParallelSizes = dict[str, int]
"""The parallel sizes of one row by name."""


def node_ratios(table: HandKeptTable) -> Counter[int]:
    """How many rows have which number of ranks on a node; 0 stands for one that is not whole."""
    ratios: Counter[int] = Counter()
    for row in table.rows:
        sizes = _sizes(row)
        nodes, ranks = row.count("nodes"), row.count("ranks") or (_product(sizes) if sizes else None)
        if nodes and ranks:
            ratios[RANKS_OF_NODES.solved("ranks_per_node", {"nodes": nodes, "ranks": ranks}) or 0] += 1
    return ratios


def ranks_per_node(table: HandKeptTable, elsewhere: Counter[int]) -> int:
    """Ranks on each node: those of the column for them, else those that most rows agree on, else 1.

    `elsewhere`: the ratios of the document's other tables, asked where this one has a single row.
    """
    printed = Counter(filter(None, (row.count("ranks_per_node") for row in table.rows)))
    if printed:
        return printed.most_common(1)[0][0]
    ratios = node_ratios(table)
    if ratios.total() < 2:
        ratios += elsewhere
    ratio, rows = ratios.most_common(1)[0] if ratios else (1, 0)
    return ratio if ratio > 1 and 2 * rows > ratios.total() else 1


def world_findings(table: HandKeptTable, rates: TableRates) -> Iterator[Doubt]:
    """Rows whose sizes do not multiply to their ranks, one finding each."""
    complete = list(_complete_rows(table, rates.ranks_per_node))
    believed = {_replica(sizes) for _, ranks, sizes in complete if _product(sizes) == ranks}
    for row, ranks, sizes in complete:
        nodes, printed = row.count("nodes"), row.count("ranks")
        on_nodes = {"nodes": nodes, "ranks_per_node": rates.ranks_per_node}
        one_to_a_node = {"nodes": nodes, "ranks": nodes}
        counted = {"ranks": printed} if printed else on_nodes if rates.ranks_per_node > 1 else one_to_a_node
        by_sizes = broken_laws({**sizes, **counted})
        by_nodes = broken_laws({**on_nodes, "ranks": printed}) if nodes else []
        if by_sizes:
            right_nodes = _right_nodes(row, rates, _product(sizes))
            finding = _world_finding(table, row, by_sizes[0].numbers, right_nodes, _fitting(ranks, sizes), believed)
            doubted = {finding.field} if finding.sure else {*SIZES, "nodes", "ranks"}
            yield Doubt(finding, [row.line], doubted)
        elif by_nodes:
            broken = by_nodes[0]
            likely = f"{symbol_of('nodes')} {broken.nearest}" if broken.nearest else ""
            yield Doubt(finding_at(table, row, "nodes", broken.numbers, likely), [row.line], {"nodes"})


def _sizes(row: HandKeptRow) -> ParallelSizes | None:
    """The parallel sizes of a row; None where one is unknown."""
    counted = {name: row.count(name) for name in SIZES}
    known = with_defaults({name: number for name, number in counted.items() if number})
    return {name: known[name] for name in SIZES} if all(name in known for name in SIZES) else None


def _product(sizes: ParallelSizes) -> int:
    """Ranks that the sizes make."""
    ranks = WORLD_SIZE.solved("ranks", with_defaults(sizes))
    if ranks is None:
        raise ValueError(f"not all parallel sizes are known: {sizes}")
    return ranks


def _replica(sizes: ParallelSizes) -> tuple[int, ...]:
    """How one copy of the model is split: all sizes but DP."""
    return tuple(number for name, number in sizes.items() if name != "data")


def _complete_rows(table: HandKeptTable, per_node: int) -> Iterator[tuple[HandKeptRow, int, ParallelSizes]]:
    """Rows that give all sizes, with their ranks."""
    for row in table.rows:
        nodes, sizes = row.count("nodes"), _sizes(row)
        ranks = row.count("ranks") or RANKS_OF_NODES.solved("ranks", {"nodes": nodes, "ranks_per_node": per_node})
        if ranks and sizes:
            yield row, ranks, sizes


def _right_nodes(row: HandKeptRow, rates: TableRates, ranks: int) -> int | None:
    """The right node count, where the TFLOPs agree with the sizes and not with the nodes."""
    nodes = RANKS_OF_NODES.solved("nodes", {"ranks": ranks, "ranks_per_node": rates.ranks_per_node})
    if nodes is None or row.count("ranks") or not rates.resolved or rates.fits(row) is not False:
        return None
    return nodes if rates.fits(row, nodes=nodes) else None


def _fitting(ranks: int, sizes: ParallelSizes) -> dict[str, ParallelSizes]:
    """The sizes with one of them changed so that they make the ranks, by the size that is changed."""
    known = with_defaults({**sizes, "ranks": ranks})
    solved = {name: WORLD_SIZE.solved(name, known) for name in sizes}
    return {name: {**sizes, name: number} for name, number in solved.items() if number is not None}


def _world_finding(
    table: HandKeptTable,
    row: HandKeptRow,
    text: str,
    nodes: int | None,
    fitting: dict[str, ParallelSizes],
    believed: set[tuple[int, ...]],
) -> TableFinding:
    """The finding with its right value: sure where one change alone splits the model as another row does."""
    if nodes is not None:
        return finding_at(table, row, "nodes", text, f"{symbol_of('nodes')} {nodes}", Decimal(nodes))
    sure = [name for name, sizes in fitting.items() if _replica(sizes) in believed]
    if len(sure) == 1 and _batch_splits(row, fitting[sure[0]]["data"]):
        name, right = sure[0], fitting[sure[0]][sure[0]]
        return finding_at(table, row, name, text, f"{symbol_of(name)} {right}", Decimal(right))
    likely = ["data"] if "data" in fitting else list(fitting)
    words = " or ".join(f"{symbol_of(name)} {fitting[name][name]}" for name in likely)
    return finding_at(table, row, "data", text, words)


def _batch_splits(row: HandKeptRow, data: int) -> bool:
    """Whether the batch of a row splits over so many replicas, as far as it is known."""
    batches = {"global_batch": row.count("global_batch"), "micro_batch": row.count("micro_batch") or 1}
    return not broken_laws({**batches, "data": data})
