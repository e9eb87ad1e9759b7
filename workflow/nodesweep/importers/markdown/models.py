"""Checks of a table's models: names against hyperparameters, heads against hidden sizes."""

from collections.abc import Iterator

from nodesweep.performance.dimensions import Dimensions
from nodesweep.sweep.broken_law import BrokenLaw
from nodesweep.sweep.constraints import broken_laws

from .cells import size_in
from .findings import Doubt, TableFinding, symbol_of
from .rates import ASSUMED_VOCABULARY, may_be_a_gpt
from .tables import HandKeptRow, HandKeptTable

NAME_TOLERANCE = 1.25
"""People round: they call models of 28 to 33 billion parameters 30B."""


def parameters_of(row: HandKeptRow) -> int | None:
    """Parameters by the row's hyperparameters."""
    layers, hidden = row.count("layers"), row.count("hidden_size")
    if not layers or not hidden or not may_be_a_gpt(row):
        return None
    return Dimensions(
        layers=layers,
        hidden_size=hidden,
        ffn_hidden_size=row.count("ffn_hidden_size"),
        vocab_size=row.count("vocab_size") or ASSUMED_VOCABULARY,
    ).parts.parameters


def size_words(parameters: int) -> str:
    """Parameters as people say them.

    >>> size_words(30_100_000_000), size_words(1_310_000_000), size_words(124_000_000)
    ('30B', '1.3B', '124M')
    """
    scale, suffix = (1e9, "B") if parameters >= 1e9 else (1e6, "M")
    value = parameters / scale
    return f"{value:.1f}{suffix}" if value < 9.95 else f"{value:.0f}{suffix}"


def size_findings(table: HandKeptTable) -> Iterator[Doubt]:
    """Models named for another size than their hyperparameters give; one finding for all rows of one model."""
    groups: dict[tuple[int, str, int], list[HandKeptRow]] = {}
    for row in table.rows:
        size, parameters = row.values.get("size"), parameters_of(row)
        named = size_in(size.word) if size else None
        if size is None or not named or not parameters:
            continue
        ratio = parameters / float(named)
        if 1 / NAME_TOLERANCE <= ratio <= NAME_TOLERANCE or _names_another(table, row):
            continue
        groups.setdefault((size.line if size.line != row.line else 0, size.word, parameters), []).append(row)
    for (line, word, parameters), rows in groups.items():
        layers, hidden = rows[0].count("layers"), rows[0].count("hidden_size")
        likely = size_words(parameters)
        text = f"'{word[:60]}', but {layers} layers of hidden size {hidden} make {likely}{_more(rows)}"
        finding = TableFinding(line or rows[0].line, table.line, "size", "Size", text, likely)
        yield Doubt(finding, [row.line for row in rows], {"size", "layers", "hidden_size"})


def hidden_size_findings(table: HandKeptTable) -> Iterator[Doubt]:
    """Hidden sizes that do not split over their heads; one finding for all rows of one model.

    A hidden size of the row's own is not held against heads it inherits: those belong to another.
    """
    names = ("hidden_size", "attention_heads")
    groups: dict[tuple[int, BrokenLaw], list[HandKeptRow]] = {}
    for row in table.rows:
        for broken in broken_laws({name: row.count(name) for name in names}):
            lines = [row.values[name].line for name in names]
            if lines.count(row.line) != 1:
                groups.setdefault((0 if row.line in lines else max(lines), broken), []).append(row)
    for (line, broken), rows in groups.items():
        text = f"{broken.numbers}{_more(rows)}"
        likely = f"{broken.size} {broken.nearest}, or other heads"
        where = symbol_of("hidden_size")
        finding = TableFinding(line or rows[0].line, table.line, "hidden_size", where, text, likely)
        yield Doubt(finding, [row.line for row in rows], set(names))


def _names_another(table: HandKeptTable, row: HandKeptRow) -> bool:
    """Whether a size inherited from afar need not be that of a row with hyperparameters of its own."""
    own = row.line in (row.values[name].line for name in ("layers", "hidden_size"))
    near = table.path[-1].line if table.path else 0
    return own and row.values["size"].line not in (row.line, near)


def _more(rows: list[HandKeptRow]) -> str:
    return f" (so in {len(rows)} rows)" if len(rows) > 1 else ""
