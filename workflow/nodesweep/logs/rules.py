"""What the reader looks for, as one list: kinds of lines, the texts that lead to them, and the search for those."""

from dataclasses import dataclass, field
from functools import lru_cache

from .causes import Signature
from .formats import FORMATS, Format
from .megatron import ARGUMENTS_END, ARGUMENTS_START, NEOX_ARGUMENT, WORLD_SIZE
from .patterns import Figure, Line, Record
from .search import Search
from .settings import SETTINGS, Settings
from .signatures import SIGNATURES
from .starts import STARTS
from .successes import SUCCESSES, Success
from .totals import MEMORY_REPORTS, NODE_MEMORY, TOTALS, MemoryReport, TotalFigure

MOST_KNOWN = 10_000


@dataclass(frozen=True)
class Trailing:
    """A figure of the last record of its kind, on a line of its own."""

    record: Record
    figure: Figure


@dataclass(frozen=True)
class Start:
    """A line that says that training starts."""

    line: Line


Row = Record | Trailing | MemoryReport | TotalFigure | Settings | Start | Line | Success | Signature


@dataclass(frozen=True)
class Rules:
    """Rows in the order they are tried, the texts that lead to them, and the search for those."""

    rows: tuple[Row, ...]
    texts: tuple[str, ...]
    leads: tuple[frozenset[int], ...]
    search: Search
    _known: dict[frozenset[int], list[Row]] = field(default_factory=dict)

    def rows_for(self, texts: frozenset[int]) -> list[Row]:
        """The rows that some of these texts lead to, in order."""
        rows = self._known.get(texts)
        if rows is None:
            wanted = sorted(set().union(*(self.leads[text] for text in texts)))
            rows = [self.rows[index] for index in wanted]
            if len(self._known) < MOST_KNOWN:
                self._known[texts] = rows
        return rows

    def rows_in(self, line: str) -> list[Row]:
        """The rows that the texts of a line lead to."""
        return self.rows_for(frozenset(index for index, text in enumerate(self.texts) if text in line))


@lru_cache(maxsize=8)
def rules(form: Format | None) -> Rules:
    """The rules for logs of one format, or of any."""
    known = [form.record, form.record.numbered_by] if form else [row.record for row in FORMATS.values()]
    records = list({row.name: row for row in known if row is not None}.values())
    pairs: list[tuple[Row, tuple[str, ...]]] = [
        *((record, record.head.markers) for record in records),
        *((Trailing(record, figure), (text,)) for record in records for text, figure in record.trailing),
        *((report, report.line.markers) for report in MEMORY_REPORTS),
        *((line, line.markers) for line in (NODE_MEMORY, WORLD_SIZE, ARGUMENTS_START, ARGUMENTS_END, NEOX_ARGUMENT)),
        *((row, row.line.markers) for row in SETTINGS),
        *((Start(line), line.markers) for line in (*STARTS, *(form.starts if form else ()))),
        *((total, (total.marker,)) for total in TOTALS),
        *((success, success.markers) for success in (*(form.successes if form else ()), *SUCCESSES)),
        *((signature, signature.markers) for signature in SIGNATURES),
    ]
    texts = tuple(sorted({text for _, markers in pairs for text in markers}))
    leads = tuple(frozenset(row for row, (_, markers) in enumerate(pairs) if text in markers) for text in texts)
    return Rules(tuple(row for row, _ in pairs), texts, leads, Search(texts))
