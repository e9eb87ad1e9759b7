"""The type of a row of layout_fields: the facts of one field of a layout."""

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from .layout_words import word_of

Kind = Literal["word", "count", "number", "yes_no"]
"""word: text; count: a whole number from 1 on; number: a positive number; yes_no: true or false."""


@dataclass(frozen=True, kw_only=True)
class LayoutField:
    """A field of a layout, or a size of its model.

    `meaning`: in words, with no full stop. `symbol`: heading of its column in tables. `label`: what stands before its
    value in a name made of words, such as "MP 4"; the symbol where left out. `column`: its column in results.csv, the
    name where left out, empty for none. `unit`: what stands after the number in a cell. `kind`: of its values.

    `axis`: whether a block of `layouts` gives it. `default`: its value there, None for a field that must be given.
    `default_of`: for a size of the model that follows from others where it is left out.
    `words`: all values of a word, each with other spellings of it; empty for any name. `optional`: it may be left out,
    and is None then; `follows`: the value then follows from the other fields. `of_workload`: a block may leave it out,
    and it is then as the workload's settings say; its default is what holds where they say nothing. `same_fact`: a
    field that says the same more finely: a block gives either, or both in agreement. `told_by`: a field that tells of
    this one too: rows count as different in this one only where they are alike in that.
    `worked_out`: no config gives it, but the machine or the other fields. `in_every_slug`: False for a field that a
    slug names only where its value is not the default. `letters`: of the slug; the symbol in small letters where left
    out.

    `parallel`: for a size that splits the ranks, which kind of parallelism it is. `absent_means_default`: where a log
    or table does not name it, it has its default. `of_machine`: it says where a layout runs, not how it is split.
    `of_model`: it is a size of the model. `sets_problem`: layouts that differ in it are not compared over node counts.
    `in_tables`: whether a table shows it always, only where its rows differ in it, or never unless asked.
    `shown_with`: the field with which it is shown or left out together. `notation`: its line in the notations.
    `logged_as`: names that trainers' arguments have for it, best first. `checked_in_log`: whether a log that prints
    another value is remarked on. `headings`: pattern of the headings that people give it in tables of their own.
    """

    name: str = ""
    kind: Kind = "count"
    meaning: str
    symbol: str
    label: str = "{symbol}"
    column: str = "{name}"
    unit: str = ""
    axis: bool = True
    worked_out: bool = False
    default: Any = None
    default_of: Callable[[Any], Any] | None = None
    words: Mapping[str, tuple[str, ...]] = field(default_factory=dict, hash=False)
    optional: bool = False
    follows: bool = False
    of_workload: bool = False
    same_fact: str = ""
    told_by: str = ""
    in_every_slug: bool = False
    letters: str = "{symbol}"
    parallel: str = ""
    absent_means_default: bool = False
    of_machine: bool = False
    of_model: bool = False
    sets_problem: bool = False
    in_tables: Literal["always", "varies", "never"] = "varies"
    shown_with: str = ""
    notation: str = ""
    logged_as: tuple[str, ...] = ()
    checked_in_log: bool = False
    headings: str = ""

    @property
    def sentence(self) -> str:
        """The meaning as a sentence of the config's reference."""
        more = "; follows from the others, and must agree where given" if self.follows else ""
        more += "; as the workload says where left out" if self.of_workload else ""
        more += f"; the same as `{self.same_fact}`, of which one is enough" if self.same_fact else ""
        return f"{self.meaning[:1].upper()}{self.meaning[1:]}{more}."

    def slug_part(self, value: Any, said: bool = False) -> str:
        """What a slug says of the field; empty for the default, unless a slug names that too or it is `said`.

        >>> clock = LayoutField(kind="number", meaning="clock", symbol="Freq", letters="ghz")
        >>> clock.slug_part(2.2), clock.slug_part(None)
        ('2.2ghz', '')
        """
        if not (self.in_every_slug or said) and self.is_default(value):
            return ""
        return f"{value:g}{self.letters}" if self.kind == "number" else self.short(value)

    def short(self, value: Any) -> str:
        """The field and its value in a word, such as `mp4`, `no-ac` or `2.2GHz`; empty where there is no value."""
        if value in (None, ""):
            return ""
        if self.kind == "yes_no":
            return self.letters if value else f"no-{self.letters}"
        if self.kind == "number":
            return f"{value:g}{self.unit}"
        return self._word(str(value), "-") if self.kind == "word" else f"{self.letters}{value}"

    def phrase(self, value: Any) -> str:
        """The field and its value in words; empty where there is no value.

        >>> stages = LayoutField(meaning="pipeline stages", symbol="PP", label="PP")
        >>> recomputed = LayoutField(kind="yes_no", meaning="recomputation", symbol="AC", label="AC")
        >>> clock = LayoutField(kind="number", meaning="clock", symbol="Freq", unit="GHz")
        >>> stages.phrase(48), recomputed.phrase(True), recomputed.phrase(False), clock.phrase(2.2), clock.phrase(None)
        ('PP 48', 'AC', 'no AC', '2.2 GHz', '')
        """
        if value in (None, ""):
            return ""
        if self.kind == "yes_no":
            return self.label if value else f"no {self.label}"
        if self.kind == "number":
            return f"{value:g} {self.unit}"
        return self._word(str(value), " ") if self.kind == "word" else f"{self.label} {value}"

    def _word(self, value: str, between: str) -> str:
        """A word as part of a name: `fp8`, `no-sharding`, `offload-optimizer`."""
        if value == "none":
            return f"no{between}{self.symbol.lower()}"
        return f"{self.letters}{between}{value}" if self.letters else value

    def word(self, text: str) -> str | None:
        """The value that a text names; None where the field has no such value."""
        return word_of(self.words, text) if self.words else text

    def is_default(self, value: Any) -> bool:
        """Whether a value needs no mention: it is the default, or there is none."""
        return value in (None, "", self.default)


def row_of(**facts: Any) -> Any:
    """A row as a field of a dataclass; a value that no block gives is worked out, not passed in."""
    return dataclasses.field(init=facts.get("axis", True), metadata={"row": facts})


def completed(row: LayoutField) -> LayoutField:
    """A row whose label, column and letters are filled in."""
    return dataclasses.replace(
        row,
        label=row.label.format(symbol=row.symbol),
        column=row.column.format(name=row.name),
        letters=row.letters.format(symbol=row.symbol.lower()),
    )


def rows_of(owner: type) -> dict[str, LayoutField]:
    """The rows of a dataclass by name."""
    return {
        field.name: completed(LayoutField(name=field.name, **field.metadata["row"]))
        for field in dataclasses.fields(owner)
    }
