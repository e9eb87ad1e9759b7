"""Rows of results.csv -> names made of words, such as `MP 4, AC on`, and the parts of a name that tell rows apart."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from nodesweep.common.text import plain
from nodesweep.config.columns import TIDY
from nodesweep.config.layout_field import Kind, LayoutField
from nodesweep.config.layout_fields import LAYOUT_FIELDS
from nodesweep.config.model_fields import MODEL_FIELDS
from nodesweep.config.parameters import parameter_fields
from nodesweep.config.tidy_row import TidyRow, TidyValue, differ_in

WORD = 1000
"""Characters of a word of the config in a name, where there is room for all of them."""


@dataclass(frozen=True)
class NamePart:
    """What a name says of one column of results.csv.

    `label` stands before the value, or behind it where `label_last`; `letters` stand for a label in terse names.
    `follows`: the value follows from the other parts. `field`: of a layout, whose values these are.
    """

    column: str
    label: str = ""
    letters: str = ""
    kind: Kind = "word"
    label_last: bool = False
    follows: bool = False
    field: LayoutField | None = None

    @classmethod
    def of_field(cls, row: LayoutField) -> "NamePart":
        """What a name says of a field of a layout or of a size of its model."""
        return cls(row.column, row.label, row.letters, row.kind, row.of_machine, row.follows, row)

    def goes_without_saying(self, value: TidyValue) -> bool:
        """Whether it is the default of a field that tables show only where it varies."""
        return self.field is not None and self.field.in_tables == "varies" and self.field.is_default(value)

    def words(self, value: TidyValue, most: int = WORD) -> str:
        """A value of the column in a name; `most`: characters of a word of the config.

        >>> tensor, nodes = (NamePart.of_field(LAYOUT_FIELDS[name]) for name in ("tensor", "nodes"))
        >>> tensor.words(4), nodes.words(1), nodes.words(384)
        ('MP 4', '1 node', '384 nodes')
        >>> NAMING[0].words("1.1M"), NAMING[0].words("331136")
        ('1.1M', '331136 parameters')
        >>> [NamePart.of_field(LAYOUT_FIELDS[name]).words(value) for name, value in (("precision", "bf16"),
        ...     ("sharding", "none"), ("recomputation", "full"))]
        ['bf16', 'no sharding', 'Recomputation full']
        """
        if self.kind == "yes_no":
            return f"{self.label} {'on' if value else 'off'}"
        if self.field is not None and self.field.words and not (self.field.letters or self.field.told_by):
            return self.field.phrase(value)
        text = f"{value:g}" if isinstance(value, float) else plain(str(value), most)
        if self.column == _SIZE and text.isdecimal():  # of so small a model that it has no M or B
            return f"{text} parameters"
        if self.label_last:
            return f"{text} {self.label.replace('s', '', 1) if value == 1 else self.label}"
        return f"{self.label} {text}".strip()

    def terse_words(self, value: TidyValue, most: int = WORD) -> str:
        """A value of the column in a name of few characters.

        >>> fields = ("tensor", "nodes", "sequence_length", "activation_checkpointing", "frequency_ghz")
        >>> parts = [NamePart.of_field(LAYOUT_FIELDS[name]) for name in fields]
        >>> " ".join(part.terse_words(value) for part, value in zip(parts, (4, 384, 2048, False, 2.2), strict=True))
        'MP4 384 nodes s2048 no AC 2.2GHz'
        """
        if self.kind == "yes_no":
            return self.label if value else f"no {self.label}"
        words = self.words(value, most)
        if self.kind == "word":
            return words if value == "none" or self.column == _SIZE else plain(str(value), most)
        if len(self.label) <= _SHORT or self.label_last:
            return words.replace(" ", "") if 0 < len(self.label) <= _SHORT else words
        return f"{self.letters}{value}" if len(self.letters) <= _SHORT else words


_SHORT = 3
"""Characters of a label that a terse name has no space beside."""
_LAYOUT = sorted(
    (row for row in LAYOUT_FIELDS.values() if not row.worked_out), key=lambda row: row.in_tables == "never"
)
_SIZE = "model_size"
NAMING = (NamePart(_SIZE), *map(NamePart.of_field, _LAYOUT))
"""What a name says wherever rows differ in it."""
NAMING_AT_NEED = (
    NamePart("campaign"),
    NamePart("model"),
    *(NamePart.of_field(row) for row in MODEL_FIELDS.values() if row.column in TIDY),
    *(NamePart.of_field(row) for row in LAYOUT_FIELDS.values() if row.worked_out and not row.follows),
)
"""What a name says only where names would otherwise be equal."""


def naming_of(rows: Iterable[TidyRow]) -> tuple[NamePart, ...]:
    """What a name says wherever these rows differ in it: NAMING, and parameters."""
    return (*NAMING, *map(NamePart.of_field, parameter_fields(rows).values()))


def named(row: TidyRow, parts: Iterable[NamePart], most: int = WORD) -> str:
    """A row by those of these parts that it has, `MP 4, AC on, 2.2 GHz`; `most`: characters of a word of the config.

    >>> parts = [NamePart.of_field(LAYOUT_FIELDS[name]) for name in ("tensor", "context")]
    >>> [named({"tensor": 1, "context": size}, parts) for size in (1, 2)], named({"context": 1}, parts[1:])
    (['MP 1', 'MP 1, CP 2'], 'CP 1')
    """
    words = (part.words(row[part.column], most) for part in _worth_saying(row, parts))
    return ", ".join(word for word in words if word)


def named_tersely(row: TidyRow, parts: Iterable[NamePart], most: int = WORD) -> str:
    """A row by these parts in fewer characters than `named` takes: `384 nodes MP4 AC 2.2GHz s2048`."""
    words = (part.terse_words(row[part.column], most) for part in _worth_saying(row, parts))
    return " ".join(word for word in words if word)


def _worth_saying(row: TidyRow, parts: Iterable[NamePart]) -> list[NamePart]:
    """The parts that a row has, but for those that go without saying where others are left."""
    known = [part for part in parts if row[part.column] is not None]
    return [part for part in known if not part.goes_without_saying(row[part.column])] or known


def distinct(rows: Sequence[TidyRow], parts: Sequence[NamePart]) -> int:
    """How many rows these parts tell apart."""
    return len({tuple(row[part.column] for part in parts) for row in rows})


def differing(rows: Sequence[TidyRow]) -> tuple[NamePart, ...]:
    """The parts of a name that tell rows apart beside their node count."""
    return tuple(part for part in naming_of(rows) if part.column != "nodes" and differ(rows, part))


def differ(rows: Sequence[TidyRow], part: NamePart) -> bool:
    """Whether rows differ in a part of their names."""
    return differ_in(rows, part.field) if part.field else distinct(rows, [part]) > 1
