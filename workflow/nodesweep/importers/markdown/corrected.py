"""Tables with what is sure corrected, the rest marked, and the document they make."""

import re
from decimal import Decimal, localcontext
from typing import NamedTuple

from nodesweep.common.markdown import inert, pipe_table

from .cells import CellValue
from .findings import TableFinding
from .tables import HandKeptRow

HeadingTexts = tuple[tuple[int, str], ...]
"""Levels and texts of the headings that a table stands under."""
NumberedFindings = list[tuple[int, TableFinding]]
"""Findings with their numbers in the list of them all."""


class CorrectedTable(NamedTuple):
    """A table as it should read: the `path` of headings it stands under, columns, cells, and their footnotes."""

    path: HeadingTexts
    columns: tuple[str, ...]
    rows: list[tuple[str, ...]]
    footnotes: tuple[str, ...]


def corrected_cells(row: HandKeptRow, findings: NumberedFindings) -> tuple[str, ...]:
    """The cells of a row as they should read, by the findings about it and its columns; those in doubt name theirs."""
    texts = [value.shown for value in row.cells]
    for number, finding in findings:
        place = row.fields.index(finding.field) if finding.field in row.fields else 0
        value = row.cells[place]
        if finding.scale is not None:
            if value.number is not None and not value.unit:
                texts[place] = with_number(value, product(value.number, finding.scale))
        else:
            right = finding.value
            texts[place] = (
                with_number(value, f"{right:f}") if right is not None else f"{texts[place]} (finding {number})"
            )
    return tuple(texts)


def with_number(value: CellValue, number: str) -> str:
    """A cell with another number, its remark kept."""
    if value.digits and value.digits in value.shown:
        return value.shown.replace(value.digits, number, 1)
    return f"{number} ({value.remark})" if value.remark else number


def product(number: Decimal, factor: Decimal) -> str:
    """A printed number times a unit: exact, or with four digits more where the factor has no end.

    >>> product(Decimal("1841598.85"), Decimal("0.001")), product(Decimal("90"), 1 / Decimal(60))
    ('1841.59885', '1.50000')
    """
    with localcontext() as context:
        context.prec = len(number.as_tuple().digits) + 4
        return f"{number * factor:f}"


def document_of(
    file: str,
    tables: list[CorrectedTable],
    findings: list[str],
) -> str:
    """The markdown of all tables under their headings, and of the findings."""
    parts: list[str] = []
    last: HeadingTexts = ()
    for path, columns, rows, footnotes in tables:
        shared = next((depth for depth, pair in enumerate(zip(path, last, strict=False)) if pair[0] != pair[1]), None)
        shared = min(len(path), len(last)) if shared is None else shared
        for level, text in path[shared:]:
            parts.append(f"{'#' * level} {inert(text)}" if level <= 6 else f"**{inert(text)}**")
        last = path
        parts.append(pipe_table([inert(column) for column in columns], [[inert(cell) for cell in row] for row in rows]))
        parts += [inert(footnote) for footnote in footnotes]
    parts.append("## Findings")
    numbered = [f"{number}. {inert(text)}" for number, text in enumerate(findings, 1)]
    parts.append("\n".join(numbered) if numbered else "None: all that can be checked agrees.")
    parts.append(f"Imported from {inert(file)}.")
    return "\n\n".join(re.sub(r"[ \t]+$", "", part, flags=re.M) for part in parts) + "\n"
