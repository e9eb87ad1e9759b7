"""What is wrong in a hand-kept table: where, which numbers, and the likely right value."""

from dataclasses import dataclass
from decimal import Decimal
from typing import NamedTuple

from nodesweep.config.layout_fields import LAYOUT_FIELDS

from .tables import HandKeptRow, HandKeptTable


@dataclass(frozen=True)
class TableFinding:
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


class Doubt(NamedTuple):
    """A finding, the lines of the rows that it concerns, and their quantities that are in doubt for it."""

    finding: TableFinding
    lines: list[int]
    fields: set[str]


def heading_of(table: HandKeptTable, name: str) -> str:
    """How a table calls a quantity."""
    column = table.column(name)
    return column.heading if column else symbol_of(name)


def symbol_of(name: str) -> str:
    """How findings call a quantity: the symbol of a layout's field, else the words of its name.

    >>> symbol_of("data"), symbol_of("attention_heads")
    ('DP', 'attention heads')
    """
    return LAYOUT_FIELDS[name].symbol if name in LAYOUT_FIELDS else name.replace("_", " ")


def finding_at(
    table: HandKeptTable, row: HandKeptRow, name: str, text: str, likely: str = "", value: Decimal | None = None
) -> TableFinding:
    """A finding about one cell."""
    return TableFinding(row.line, table.line, name, heading_of(table, name), text, likely, value)
