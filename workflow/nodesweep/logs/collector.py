"""What the lines of a log have given so far, row by row of the rules."""

import math
from collections import Counter
from dataclasses import replace

from nodesweep.common.text import plain
from nodesweep.logs.patterns.endings import SCHEDULER, Signature, Success
from nodesweep.logs.patterns.rows import Line, MemoryReport, Record, Settings, TotalFigure, finite
from nodesweep.logs.trainers.common_totals import NODE_MEMORY
from nodesweep.logs.trainers.formats import Format, recognised
from nodesweep.logs.trainers.megatron import ARGUMENTS_END, ARGUMENTS_START, NEOX_ARGUMENT, WORLD_SIZE

from .arguments import ArgumentDump
from .extract import Extractor, derived, fields_of, figures_in
from .memory import MemoryPeaks
from .progress_bars import Bars
from .reading import Found, Iteration, LogReading, Near, Seen, Total
from .rules import Leading, Row, Start, Trailing
from .series import Series

END_HEAD = 1500
END_TAIL = 500
FOUND_PER_KIND = 4
SAMPLE_CHARACTERS = 2000
ROUNDED = 0.0051
MOST_SERIES = 1000
"""Kinds of records and progress bars of so many lengths; a log with more holds nothing worth to be read."""
_PEAKS = ("peak_allocated_mib", "peak_reserved_mib")


def _ends_of(text: str) -> str:
    """A line without the middle of a very long one."""
    return text if len(text) <= END_HEAD + END_TAIL else f"{text[:END_HEAD]} … {text[-END_TAIL:]}"


def _standing(series: Series) -> tuple[int, float]:
    """How far back among others the records of one kind stand."""
    rank, length = series.kind.rank, series.duration if series.kind.is_bar else float(len(series.records))
    untimed = len(series.records) == 1 and series.latest is not None and series.latest.seconds is None
    return (2 if rank == 1 and untimed else rank), -length


def _is_of(record: Iteration, values: dict[str, float]) -> bool:
    """Whether figures of another line are of a record: its seconds are the same, but for what rounding takes."""
    return record.seconds is not None and math.isclose(record.seconds, values["seconds"], abs_tol=ROUNDED)


class Collector:
    """The figures, marks and failures of the lines so far; `dump` is where arguments go."""

    def __init__(self, form: Format | None):
        self.dump = ArgumentDump()
        self._form = form
        self._series: dict[str, Series] = {}
        self._extractors: dict[str, Extractor] = {}
        self._bars: dict[str, Bars] = {}
        self._ahead: dict[str, dict[str, float]] = {}
        self._memory = MemoryPeaks()
        self._totals: dict[str, Total] = {}
        self._settings: dict[str, str] = {}
        self._setting_lines: dict[str, int] = {}
        self._found: list[Found] = []
        self._seen: dict[str, Seen] = {}
        self._started_line: int | None = None
        self._training_line: int | None = None
        self._world_size: int | None = None
        self._matched: Counter[str] = Counter()
        self._near: dict[str, Near] = {}

    def take(self, row: Row, text: str, line: int) -> bool:
        """Let a row take what it finds in a line; whether it found anything. Signatures are asked for apart."""
        match row:
            case Record():
                return self._take_records(row, text, line)
            case Trailing():
                return self._take_trailing(row, text, line)
            case Leading():
                return self._take_leading(row, text)
            case MemoryReport():
                return self._take_memory(row, text, line)
            case TotalFigure():
                return self._take_total(row, text, line)
            case Settings():
                told = dict(row.pairs(text))  # such a line may tell of a failure too: it stays unknown
                self._settings |= told
                self._setting_lines |= dict.fromkeys(told, line)
            case Start():
                return self._take_start(row, text, line)
            case Line():
                return self._take_line(row, text, line)
        return False

    def take_end(self, rows: list[Row], text: str, line: int, known: bool) -> None:
        """Keep the success and the failure a line tells of: of each the first row that matches.

        In a line that is `known` for something else only a scheduler's words count, which stand in any line, and what
        stands behind a record, where another process wrote to its end.
        """
        success = next((row for row in rows if isinstance(row, Success) and row.pattern.search(_ends_of(text))), None)
        if success is not None:
            self._matched[success.kind] += 1
            before = self._seen.get(success.kind)
            self._seen[success.kind] = Seen(success, line, plain(text), before.count + 1 if before else 1)
        signatures = [row for row in rows if isinstance(row, Signature)]
        records = [row for row in rows if isinstance(row, Record)] if known and signatures else []
        if behind := next(filter(None, (record.behind(text) for record in records)), ""):
            self._take_failure(signatures, behind, line)
        elif signatures:
            self._take_failure([row for row in signatures if not known or row.precedence == SCHEDULER], text, line)

    def _take_failure(self, rows: list[Signature], text: str, line: int) -> None:
        failure = next((row for row in rows if row.pattern.search(_ends_of(text))), None)
        if failure is not None:
            self._matched[failure.kind] += 1
            of_its_kind = [found for found in self._found if found.signature.kind == failure.kind]
            if len(of_its_kind) == FOUND_PER_KIND:
                self._found.remove(of_its_kind[-1])
            self._found.append(Found(failure, line, plain(text)))

    def reading(self, last_text: str, lines: int) -> LogReading:
        """What all lines have given."""
        series, form = self._chosen()
        if series and series.kind.numbered_by and (bars := self._bars.get(series.kind.numbered_by.name)):
            bars.settle(series)
        told = self._told()
        records = derived(series.rising(), form.record.derive) if series and form else ()
        return LogReading(
            format=form,
            iterations=records,
            training_started_line=self._started_line,
            training_line=self._training_line,
            restarts=series.restarts if series else 0,
            repeats=series.repeats if series else 0,
            rank_memory=tuple(self._memory.ranks[rank] for rank in sorted(self._memory.ranks)),
            node_memory=self._memory.node,
            totals=dict(self._totals),
            signatures=tuple(self._found),
            successes=tuple(sorted(self._seen.values(), key=lambda seen: seen.line)),
            world_size=self._world_size,
            arguments=tuple(sorted((self.dump.arguments | told).items())),
            argument_at=self.dump.lines | {name: self._setting_lines[name] for name in told},
            argument_lines=self.dump.count,
            matched=self._matches(),
            near=self._near,
            last_text=last_text,
            lines=lines,
        )

    def _matches(self) -> dict[str, int]:
        """How often each kind of line or figure was found."""
        matches = self._matched.copy()
        for name, extractor in self._extractors.items():
            for figures, count in extractor.found.items():
                matches.update({f"iteration of {name}": count, **{figure.label: count for figure in figures}})
        return dict(matches)

    def _told(self) -> dict[str, str]:
        """What other lines say of settings that the dump of arguments leaves out or open."""
        return {
            name: value for name, value in self._settings.items() if self.dump.arguments.get(name, "None") == "None"
        }

    def _chosen(self) -> tuple[Series | None, Format | None]:
        """The records made to be read rather than stand-ins, of those the most frequent kind, and their format.

        Of progress bars the one that took longest. A single record of an engine stands in for less than a bar does.
        """
        kinds = [series for series in self._series.values() if self._form is None or series.kind is self._form.record]
        if not kinds:
            return None, self._form
        most = min(kinds, key=_standing)
        return most, self._form or recognised(most.kind, most.sample)

    def _take_records(self, row: Record, text: str, line: int) -> bool:
        series, extractor = self._series.get(row.name), self._extractors.get(row.name)
        if extractor is None:
            extractor = self._extractors[row.name] = Extractor(row)
        taken = False
        for extract in extractor.iterations(text, line, series.next_number if series else row.first_number):
            record = extract.iteration
            if row.is_bar:
                record = self._bars.setdefault(row.name, Bars()).draw(record, extract.elapsed)
                series = self._series.get(f"{row.name} of {record.total}")
            elif row.numbered_by is not None:
                bars = self._bars.setdefault(row.numbered_by.name, Bars())
                record = bars.timed(record) if extract.is_numbered else bars.numbered(record, extract.text, series)
            ahead = self._ahead.pop(row.name, None)
            if ahead and _is_of(record, ahead):
                record = record._replace(
                    **{name: value for name, value in ahead.items() if getattr(record, name) is None}
                )
            if series is None:
                if len(self._series) == MOST_SERIES:
                    continue
                name = f"{row.name} of {record.total}" if row.is_bar else row.name
                series = self._series[name] = Series(row, text[:SAMPLE_CHARACTERS])
            self._keep(row, series, record)
            if extract.memory:
                self._add_peaks(extract.memory, line, extract.rank)
            taken = True
        if not taken and series is None and not row.is_bar:
            self._miss(row, text, line)
        return taken

    def _miss(self, row: Record, text: str, line: int) -> None:
        """Note a line that holds the text of a record's line and is none, for whoever asks why nothing was read."""
        held = next((marker for marker in row.head.markers if marker in text), None)
        if held is not None:
            known = self._near.get(row.name)
            self._near[row.name] = (
                replace(known, count=known.count + 1) if known else Near(held.strip(), 1, line, plain(text, 160))
            )

    def _keep(self, row: Record, series: Series, record: Iteration) -> None:
        before = series.latest
        if series.starts_over(record) and not row.is_bar:
            self._memory = MemoryPeaks()  # what earlier runs in the file took is not this one's
        if series.add(record) and before is not None and row.rank < 2 and (self._found or self._seen):
            self._found = [found for found in self._found if found.line > before.line]
            self._seen = {kind: seen for kind, seen in self._seen.items() if seen.line > before.line}

    def _take_trailing(self, row: Trailing, text: str, line: int) -> bool:
        values, rows = figures_in((row.figure,), text)
        series = self._series.get(row.record.name)
        if not values or series is None or series.latest is None:
            return False
        self._matched.update(figure.label for figure in rows)
        self._add_peaks({name: values.pop(name) for name in _PEAKS if name in values}, line)
        series.replace_latest(series.latest._replace(**fields_of(values)))
        return True

    def _take_leading(self, row: Leading, text: str) -> bool:
        """Keep a figure for the next record; the last one's own comes after it where ranks print in another order."""
        values, _ = figures_in((row.figure, row.seconds), text)
        if len(values) < 2:
            return False
        self._matched[row.figure.label] += 1
        series = self._series.get(row.record.name)
        latest = series.latest if series else None
        if series and latest and getattr(latest, row.figure.name) is None and _is_of(latest, values):
            series.replace_latest(latest._replace(**{row.figure.name: values[row.figure.name]}))
        else:
            self._ahead[row.record.name] = values
        return True

    def _take_memory(self, row: MemoryReport, text: str, line: int) -> bool:
        taken = False
        for match in row.line.pattern.finditer(text):
            self._matched[row.name] += 1
            factor = float(row.factor)
            peaks = {name: float(match[name.split("_")[1]]) * factor for name in _PEAKS}
            self._add_peaks(peaks, line, int(match.groupdict().get("rank") or 0))
            taken = True
        return taken

    def _add_peaks(self, peaks: dict[str, float], line: int, rank: int = 0) -> None:
        # Where nothing is known 0 is printed.
        allocated, reserved = (finite(peaks.get(name)) or None for name in _PEAKS)
        if allocated is not None or reserved is not None:
            self._memory.add_rank(rank, allocated, reserved, line)

    def _take_total(self, row: TotalFigure, text: str, line: int) -> bool:
        values, rows = figures_in((row.figure,), text)
        value = finite(values.get(row.figure.name))
        if value is None:
            return False
        self._matched.update(figure.label for figure in rows)
        known = self._totals.get(row.figure.name)
        if known is None or row.keep == "last" or (row.keep == "highest" and value > known.value):
            self._totals[row.figure.name] = Total(value, line)
        return True

    def _take_start(self, row: Start, text: str, line: int) -> bool:
        if row.line.pattern.search(text) is None:
            return False
        if row.has_begun:
            self._training_line = self._training_line or line
            return False  # it may be a failure
        self._matched[row.line.markers[0].strip()] += 1
        self._started_line = line
        return True

    def _take_line(self, row: Line, text: str, line: int) -> bool:
        match = row.pattern.search(text)
        if match is None:
            return False
        if row is NODE_MEMORY:
            used = finite(float(match["used"]))
            if used is not None:
                self._memory.add_node(int(match["rank"] or 0), used, line)
        elif row is WORLD_SIZE:
            self._world_size = int(match[1])
        elif row is ARGUMENTS_START:
            self.dump.begin()
        elif row is ARGUMENTS_END:
            self.dump.open = False
        elif row is NEOX_ARGUMENT:
            self.dump.resume()
            return False  # it is an argument itself
        self._matched[row.markers[0].strip(" -|:")] += 1
        return True
