"""What is wrong in a hand-kept table: where, which numbers, and the likely right value."""

from dataclasses import dataclass
from decimal import Decimal

from .tables import Row, Table

SHORT = {
    "nodes": "Nodes",
    "ranks": "Ranks",
    "data": "DP",
    "tensor": "MP",
    "pipeline": "PP",
    "micro_batch": "MBS",
    "global_batch": "GBS",
}


@dataclass(frozen=True)
class Finding:
    """One thing that cannot be right.

    `line` is where it stands; `table` the line of its table; `field` the quantity, empty for the whole row; `where` its
    heading. Where the right value is sure, `value` holds it, or `scale` the factor for all numbers of the column; else
    both are None. `likely`: the right value, or those that would fit, in words; empty where nothing is likely.
    """

    line: int
    table: int
    field: str
    where: str
    text: str
    likely: str = ""
    value: Decimal | None = None
    scale: Decimal | None = None

    @property
    def sure(self) -> bool:
        """Whether the right value is sure."""
        return self.value is not None or self.scale is not None

    def sentence(self) -> str:
        """The finding in words, without its line."""
        likely = f"; {'' if self.sure else 'likely '}{self.likely}" if self.likely else ""
        return f"{self.where}: {self.text}{likely}{' (corrected)' if self.sure else ' (left as it is)'}"


Found = tuple[Finding, list[int], set[str]]
"""A finding, the lines of the rows it concerns, and the quantities of theirs that are in doubt."""


def heading_of(table: Table, name: str) -> str:
    """How a table calls a quantity."""
    column = table.column(name)
    return column.heading if column else SHORT.get(name, name.replace("_", " "))


def at(table: Table, row: Row, name: str, text: str, likely: str = "", value: Decimal | None = None) -> Finding:
    """A finding about one cell."""
    return Finding(row.line, table.line, name, heading_of(table, name), text, likely, value)
