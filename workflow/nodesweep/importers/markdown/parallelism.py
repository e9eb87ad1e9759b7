"""Nodes x ranks per node = DP x MP x PP, row by row, and which of them is wrong where it is not so."""

from collections import Counter
from collections.abc import Iterator
from decimal import Decimal

from .findings import SHORT, Finding, Found, at
from .rates import Rates
from .tables import Row, Table

SIZES = ("data", "tensor", "pipeline")


def node_ratios(table: Table) -> Counter[int]:
    """How many rows have which number of ranks on a node; 0 stands for one that is not whole."""
    ratios: Counter[int] = Counter()
    for row in table.rows:
        nodes, data, tensor, pipeline = (row.count(name) for name in ("nodes", *SIZES))
        ranks = row.count("ranks") or (data * tensor * pipeline if data and tensor and pipeline else None)
        if nodes and ranks:
            ratios[ranks // nodes if ranks % nodes == 0 else 0] += 1
    return ratios


def ranks_per_node(table: Table, elsewhere: Counter[int]) -> int:
    """Ranks on each node: as the table says, else as most of its rows agree, else 1.

    `elsewhere`: the ratios of the document's other tables, asked where this one has a single row.
    """
    given = Counter(filter(None, (row.count("ranks_per_node") for row in table.rows)))
    if given:
        return given.most_common(1)[0][0]
    ratios = node_ratios(table)
    if ratios.total() < 2:
        ratios += elsewhere
    ratio, rows = ratios.most_common(1)[0] if ratios else (1, 0)
    return ratio if ratio > 1 and 2 * rows > ratios.total() else 1


def world_findings(table: Table, rates: Rates) -> Iterator[Found]:
    """Rows whose sizes do not multiply to their ranks, one finding each."""
    known = list(_known(table, rates.ranks_per_node))
    pairs = {(tensor, pipeline) for _, ranks, (data, tensor, pipeline) in known if data * tensor * pipeline == ranks}
    for row, ranks, sizes in known:
        nodes, printed = row.count("nodes"), row.count("ranks")
        made = sizes[0] * sizes[1] * sizes[2]
        if made != ranks:
            have = f"{printed} ranks" if printed else f"{nodes} nodes"
            if not printed and rates.ranks_per_node > 1:
                have += f" x {rates.ranks_per_node} ranks = {ranks}"
            text = f"{have}, but DP {sizes[0]} x MP {sizes[1]} x PP {sizes[2]} = {made}"
            finding = _told(table, row, text, _wrong_nodes(row, rates, made), _fits(ranks, sizes), pairs)
            doubt = {finding.field} if finding.sure else {*SIZES, "nodes", "ranks"}
            yield finding, [row.line], doubt
        elif nodes and printed and printed != nodes * rates.ranks_per_node:
            text = f"{nodes} nodes of {rates.ranks_per_node} ranks, but {printed} ranks"
            whole = printed % rates.ranks_per_node == 0
            likely = f"Nodes {printed // rates.ranks_per_node}" if whole else ""
            yield at(table, row, "nodes", text, likely), [row.line], {"nodes"}


def _known(table: Table, per_node: int) -> Iterator[tuple[Row, int, tuple[int, int, int]]]:
    """Rows that give all sizes, with their ranks."""
    for row in table.rows:
        nodes, data, tensor, pipeline = (row.count(name) for name in ("nodes", *SIZES))
        ranks = row.count("ranks") or (nodes * per_node if nodes else None)
        if ranks and data and tensor and pipeline:
            yield row, ranks, (data, tensor, pipeline)


def _wrong_nodes(row: Row, rates: Rates, made: int) -> int | None:
    """The right node count, where the TFLOPs agree with the sizes and not with the nodes."""
    nodes, rest = divmod(made, rates.ranks_per_node)
    if rest or row.count("ranks") or not rates.resolved or rates.fits(row) is not False:
        return None
    return nodes if rates.fits(row, nodes=nodes) else None


def _fits(ranks: int, sizes: tuple[int, int, int]) -> dict[str, int]:
    """What each size would have to be if the others are right."""
    product = sizes[0] * sizes[1] * sizes[2]
    rests = {name: product // size for name, size in zip(SIZES, sizes, strict=True)}
    return {name: ranks // rest for name, rest in rests.items() if ranks % rest == 0}


def _told(
    table: Table, row: Row, text: str, nodes: int | None, fits: dict[str, int], pairs: set[tuple[int, int]]
) -> Finding:
    """The finding with its right value: sure where one change alone gives MP and PP that another row has too."""
    if nodes is not None:
        return at(table, row, "nodes", text, f"Nodes {nodes}", Decimal(nodes))
    tensor, pipeline = row.count("tensor"), row.count("pipeline")
    after = {
        "data": (tensor, pipeline),
        "tensor": (fits.get("tensor"), pipeline),
        "pipeline": (tensor, fits.get("pipeline")),
    }
    believed = [name for name in fits if after[name] in pairs]
    if len(believed) == 1 and _splits(row, fits["data"] if believed == ["data"] else row.count("data")):
        name = believed[0]
        return at(table, row, name, text, f"{SHORT[name]} {fits[name]}", Decimal(fits[name]))
    likely = ["data"] if "data" in fits else list(fits)
    return at(table, row, "data", text, " or ".join(f"{SHORT[name]} {fits[name]}" for name in likely))


def _splits(row: Row, data: int | None) -> bool:
    batch = row.count("global_batch")
    return not data or batch is None or batch % (data * (row.count("micro_batch") or 1)) == 0
