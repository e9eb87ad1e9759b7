"""What lists, code and headings say of the tables below them: layers, hidden size, sequence length, model size, ..."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from nodesweep.importers.layout_values import READ_FIELDS

from .cells import CellValue, cell_text, field_cell, number_cell, size_word, text_cell, yes_no_cell
from .columns import KINDS, UNITS, column_of
from .decoders import decoder_in
from .document import HeadingPath, MarkdownText, RawTable, SectionHeading

_HEADINGS_ONLY = frozenset({"nodes", "ranks", *(name for name, row in READ_FIELDS.items() if row.follows)})
"""Sizes that a list does not give: `Nodes: 158976` there is more likely to describe the machine."""
_OPTION = re.compile(r"--([A-Za-z][A-Za-z0-9_-]{1,40})[ =]([^\s-][^\s]{0,40})")
_MARKER = re.compile(r"\A\s{0,12}(?:[-*+]|\d{1,3}[.)])\s{1,4}(?:\[[ xX]\] )?")
_SEPARATOR = re.compile(r"[;、]|[,，](?!\d)|\s[-–—|/]\s|[()（）\[\]]")
_SWITCHED = re.compile(r"(with|w/|without|w/o|no)\s?(?P<label>[^\d].{1,40})", re.IGNORECASE)
_SWITCHED_BEHIND = re.compile(r"(?P<label>.{1,40})(あり|有り?|なし|無し?)")
_SEQUENCE = re.compile(
    r"(?<![a-z])(?:seq(?:uence)?(?:[ _-]?len(?:gth)?)?|(?:系列|シーケンス)長)\s?[=:は]?\s?(\d[\d,]{1,9})(?!\w)",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class InheritedSetting:
    """A value that holds for the tables below its line under `scope`, unless they give their own."""

    field: str
    value: CellValue
    scope: HeadingPath


def settings_of(document: MarkdownText, tables: Iterable[RawTable]) -> tuple[InheritedSetting, ...]:
    """All settings of a document whose tables of results are `tables`, the weaker ones first.

    A heading speaks for its own section. A list speaks for the smallest section around it that holds a table: a section
    of hyperparameters alone is about its neighbours.
    """
    holding = {path[:depth] for path in (table.path for table in tables) for depth in range(len(path) + 1)}
    found = [
        InheritedSetting(field, value, next(path for path in _upwards(text.path) if path in holding or not path))
        for text in document.texts
        for field, value in _in_text(text.text, text.line)
    ]
    for path in holding:
        found += [InheritedSetting(field, value, path) for field, value in (_in_heading(path[-1]) if path else ())]
    return tuple(sorted(found, key=lambda one: (len(one.scope), one.value.line)))


def inherited(settings: Iterable[InheritedSetting], table: RawTable) -> dict[str, CellValue]:
    """What holds for a table, by quantity."""
    return {
        one.field: one.value
        for one in settings
        if one.value.line < table.line and table.path[: len(one.scope)] == one.scope
    }


def _upwards(path: HeadingPath) -> Iterator[HeadingPath]:
    return (path[:depth] for depth in range(len(path), -1, -1))


def _in_text(line: str, number: int) -> Iterator[tuple[str, CellValue]]:
    """Settings of a line of a list, of code or of text."""
    yield from _decoder(line, number)
    text = _MARKER.sub("", line[:2000], count=1)
    options = _OPTION.findall(text)
    for label, value in options or (_split(part) for part in _parts(text)):
        if (found := _setting(label, value, number)) and found[0] not in _HEADINGS_ONLY:
            yield found


def _in_heading(heading: SectionHeading) -> Iterator[tuple[str, CellValue]]:
    """Settings of a heading: `Sequence Length=2048`, `30B model, MBS 2`, `without recomputation`."""
    yield from _decoder(heading.text, heading.line)
    if size := size_word(cell_text(heading.text).read):
        yield "size", text_cell(size, heading.line)
    if match := _SEQUENCE.search(cell_text(heading.text).read):
        yield "sequence_length", number_cell(match[1], heading.line, (), whole=True)
    for part in _parts(heading.text):
        switch = _SWITCHED.fullmatch(part) or _SWITCHED_BEHIND.fullmatch(part)
        switched = column_of(switch["label"]).field if switch else ""
        label, value = _split(part)
        if switch and KINDS.get(switched) == "yes_no":
            on = any(word.casefold() in ("with", "w/", "あり", "有", "有り") for word in switch.groups())
            yield switched, yes_no_cell("yes" if on else "no", heading.line)
        elif found := _setting(label, value, heading.line):
            yield found


def _decoder(text: str, line: int) -> Iterator[tuple[str, CellValue]]:
    """The kind of decoder that a text names, as a setting."""
    if name := decoder_in(text):
        yield "decoder", text_cell(name, line)


def _parts(text: str) -> list[str]:
    return [part.strip().strip("\"'") for part in _SEPARATOR.split(text) if part.strip()]


def _split(part: str) -> tuple[str, str]:
    """Label and value of `label = value`, `label: value` or `label value`."""
    text = cell_text(part.split(" #")[0].rstrip("\\, ")).read
    for sign in ("=", ":"):
        if sign in text:
            label, _, value = text.partition(sign)
            return label.strip(" \"'"), value.strip(" \"'")
    label, _, value = text.rpartition(" ")
    return label, value


def _setting(label: str, text: str, line: int) -> tuple[str, CellValue] | None:
    """The quantity a label names and its value; None where one of them is neither."""
    if not label or not text or len(label) > 60:
        return None
    field = column_of(label).field
    if field == "size":
        return (field, text_cell(size_word(text), line)) if size_word(text) else None
    if field not in READ_FIELDS:
        return None
    units = UNITS.get(field, {})
    value = field_cell(text, line, READ_FIELDS[field], units)
    is_number = value.number is not None and (bool(value.unit) or not units)
    return (field, value) if is_number or value.word else None
