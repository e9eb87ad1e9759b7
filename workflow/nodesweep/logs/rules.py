"""What the reader looks for, as one list: kinds of lines, the texts that lead to them, and the search for those."""

from dataclasses import dataclass, field
from functools import lru_cache

from nodesweep.logs.endings.signatures import SIGNATURES
from nodesweep.logs.endings.successes import SUCCESSES
from nodesweep.logs.patterns.endings import Signature, Success
from nodesweep.logs.patterns.rows import Figure, Line, MemoryReport, Record, Settings, TotalFigure
from nodesweep.logs.search.prefilter import LEADS, lead
from nodesweep.logs.search.search import Search
from nodesweep.logs.trainers.common_settings import SETTINGS
from nodesweep.logs.trainers.common_starts import STARTS, TRAININGS
from nodesweep.logs.trainers.common_totals import MEMORY_REPORTS, NODE_MEMORY, TOTALS
from nodesweep.logs.trainers.formats import FORMATS, Format
from nodesweep.logs.trainers.megatron import ARGUMENTS_END, ARGUMENTS_START, NEOX_ARGUMENT, WORLD_SIZE

MOST_KNOWN = 10_000


@dataclass(frozen=True)
class Trailing:
    """A figure of the last record of its kind, on a line of its own."""

    record: Record
    figure: Figure


@dataclass(frozen=True)
class Leading:
    """A figure of the next record of its kind, on a line of its own, with the seconds that tell whose it is."""

    record: Record
    figure: Figure
    seconds: Figure


@dataclass(frozen=True)
class Start:
    """A line that says that training starts, or shows that it `has_begun`."""

    line: Line
    has_begun: bool = False


Row = Record | Trailing | Leading | MemoryReport | TotalFigure | Settings | Start | Line | Success | Signature


@dataclass(frozen=True)
class Rules:
    """Rows in the order they are tried, each with its markers; the texts that lead to them, and a search for those."""

    rows: tuple[tuple[Row, tuple[str, ...]], ...]
    leads: tuple[tuple[int, ...], ...]
    search: Search
    _known: dict[frozenset[int], list[tuple[Row, tuple[str, ...]]]] = field(default_factory=dict)

    def rows_for(self, texts: frozenset[int], line: str) -> list[Row]:
        """The rows that some of these texts lead to and whose markers a line holds, in order."""
        rows = self._known.get(texts)
        if rows is None:
            rows = [self.rows[index] for index in sorted({row for text in texts for row in self.leads[text]})]
            if len(self._known) < MOST_KNOWN:
                self._known[texts] = rows
        return [row for row, markers in rows if any(marker in line for marker in markers)]

    def rows_in(self, line: str) -> list[Row]:
        """The rows whose markers a line holds."""
        return self.rows_for(frozenset(index for index, text in enumerate(self.search.texts) if text in line), line)


@lru_cache(maxsize=8)
def rules(form: Format | None) -> Rules:
    """The rules for logs of one format, or of any."""
    known = [form.record, form.record.numbered_by] if form else [row.record for row in FORMATS.values()]
    records = list({row.name: row for row in known if row is not None}.values())
    pairs: list[tuple[Row, tuple[str, ...]]] = [
        *((record, record.head.markers) for record in records),
        *((Trailing(record, figure), (text,)) for record in records for text, figure in record.trailing),
        *((Leading(record, *record.leading), (record.leading[0].text,)) for record in records if record.leading),
        *((report, report.line.markers) for report in MEMORY_REPORTS),
        *((line, line.markers) for line in (NODE_MEMORY, WORLD_SIZE, ARGUMENTS_START, ARGUMENTS_END, NEOX_ARGUMENT)),
        *((row, row.line.markers) for row in SETTINGS),
        *((Start(line), line.markers) for line in (*STARTS, *(form.starts if form else ()))),
        *((Start(line, has_begun=True), line.markers) for line in TRAININGS),
        *((total, (total.marker,)) for total in TOTALS),
        *((success, success.markers) for success in (*(form.successes if form else ()), *SUCCESSES)),
        *((signature, signature.markers) for signature in SIGNATURES),
    ]
    leads: dict[str, list[int]] = {text: [] for text in LEADS}
    for index, (_, markers) in enumerate(pairs):
        for text in {lead(marker) for marker in markers}:
            leads.setdefault(text, []).append(index)
    return Rules(tuple(pairs), tuple(map(tuple, leads.values())), Search(tuple(leads)))
