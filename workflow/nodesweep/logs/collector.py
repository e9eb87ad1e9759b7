"""Collect what the lines of a log give, rule by rule."""

import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace

from nodesweep.common.text import plain
from nodesweep.logs.patterns.endings import SCHEDULER, Signature, Success
from nodesweep.logs.patterns.lines import (
    ArgumentDumpLine,
    IterationPattern,
    MemoryReport,
    NodeMemoryReport,
    RunTotal,
    SettingsLine,
    StartLine,
    WorldSizeLine,
)
from nodesweep.logs.patterns.quantities import finite
from nodesweep.logs.patterns.trainer import Format

from .arguments import ArgumentDump
from .extract import Extractor, derived, fields_of, quantities_in
from .memory import PEAKS, MemoryPeaks
from .progress_bars import ProgressBars
from .reading import Iteration, LogReading, NearMiss, SeenFailure, SeenSuccess, SeenTotal
from .rules import LeadingQuantity, Rule, TrailingQuantity
from .series import RecordSeries
from .trainers import recognised_format

END_HEAD = 1500
END_TAIL = 500
FAILURES_PER_KIND = 4
SAMPLE_CHARACTERS = 2000
ROUNDING_SECONDS = 0.0051
MOST_SERIES = 1000
"""Kinds of records and progress bars of so many lengths; a log with more holds nothing worth reading."""


def _ends_of(text: str) -> str:
    """A line without the middle of a very long one."""
    return text if len(text) <= END_HEAD + END_TAIL else f"{text[:END_HEAD]} … {text[-END_TAIL:]}"


def _preference(series: RecordSeries) -> tuple[int, float]:
    """Sort key of the records of one kind among others: the smallest is chosen."""
    rank, length = series.kind.rank, series.duration if series.kind.is_bar else float(len(series.records))
    untimed = len(series.records) == 1 and series.latest is not None and series.latest.seconds is None
    return (2 if rank == 1 and untimed else rank), -length


def _is_of(record: Iteration, values: dict[str, float]) -> bool:
    """Whether quantities of another line belong to a record: their seconds are equal except for rounding."""
    return record.seconds is not None and math.isclose(record.seconds, values["seconds"], abs_tol=ROUNDING_SECONDS)


class Collector:
    """The iterations, quantities, successes and failures of the lines so far; `dump` collects arguments."""

    def __init__(self, form: Format | None):
        self.dump = ArgumentDump()
        self._form = form
        self._series: dict[str, RecordSeries] = {}
        self._extractors: dict[str, Extractor] = {}
        self._bars: dict[str, ProgressBars] = {}
        self._ahead: dict[str, dict[str, float]] = {}
        self._memory = MemoryPeaks()
        self._totals: dict[str, SeenTotal] = {}
        self._settings: dict[str, str] = {}
        self._setting_lines: dict[str, int] = {}
        self._failures: list[SeenFailure] = []
        self._successes: dict[str, SeenSuccess] = {}
        self._started_line: int | None = None
        self._training_line: int | None = None
        self._world_size: int | None = None
        self._matched: Counter[str] = Counter()
        self._near_misses: dict[str, NearMiss] = {}

    def take(self, row: Rule, text: str, line: int) -> bool:
        """Let a rule take what it finds in a line; whether it found anything. See `take_end` for how runs end."""
        match row:
            case IterationPattern():
                return self._take_records(row, text, line)
            case TrailingQuantity():
                return self._take_trailing(row, text, line)
            case LeadingQuantity():
                return self._take_leading(row, text)
            case MemoryReport():
                return self._take_memory(row, text, line)
            case RunTotal():
                return self._take_total(row, text, line)
            case SettingsLine():
                settings = dict(row.pairs(text))  # such a line may show a failure too: it counts as not taken
                self._settings |= settings
                self._setting_lines |= dict.fromkeys(settings, line)
            case StartLine():
                return self._take_start(row, text, line)
            case NodeMemoryReport() | WorldSizeLine() | ArgumentDumpLine():
                return self._take_line(row, text, line)
        return False

    def take_end(self, rows: list[Rule], text: str, line: int, taken: bool) -> None:
        """Keep the success and the failure that a line shows: of each the first rule that matches.

        In a line that was `taken` for something else only a scheduler's words count, which stand in any line, and what
        stands behind a record, where another process wrote to its end.
        """
        success = next((row for row in rows if isinstance(row, Success) and row.pattern.search(_ends_of(text))), None)
        if success is not None:
            self._matched[success.kind] += 1
            before = self._successes.get(success.kind)
            self._successes[success.kind] = SeenSuccess(success, line, plain(text), before.count + 1 if before else 1)
        signatures = [row for row in rows if isinstance(row, Signature)]
        records = [row for row in rows if isinstance(row, IterationPattern)] if taken and signatures else []
        if behind := next(filter(None, (record.rest_of(text) for record in records)), ""):
            self._take_failure(signatures, behind, line)
        elif signatures:
            self._take_failure([row for row in signatures if not taken or row.precedence == SCHEDULER], text, line)

    def _take_failure(self, rows: list[Signature], text: str, line: int) -> None:
        failure = next((row for row in rows if row.pattern.search(_ends_of(text))), None)
        if failure is not None:
            self._matched[failure.kind] += 1
            of_its_kind = [found for found in self._failures if found.signature.kind == failure.kind]
            if len(of_its_kind) == FAILURES_PER_KIND:
                self._failures.remove(of_its_kind[-1])
            self._failures.append(SeenFailure(failure, line, plain(text)))

    def reading(self, last_text: str, lines: int) -> LogReading:
        """What all lines have given."""
        series, form = self._chosen()
        if series and series.kind.numbered_by and (bars := self._bars.get(series.kind.numbered_by.name)):
            bars.settle(series)
        settings = self._undumped_settings()
        records = derived(series.rising(), form.iteration.derive) if series and form else ()
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
            signatures=tuple(self._failures),
            successes=tuple(sorted(self._successes.values(), key=lambda seen: seen.line)),
            world_size=self._world_size,
            arguments=tuple(sorted((self.dump.arguments | settings).items())),
            argument_at=self.dump.lines | {name: self._setting_lines[name] for name in settings},
            argument_lines=self.dump.count,
            dump_is_whole=self.dump.whole,
            matched=self._matches(),
            near_misses=self._near_misses,
            last_text=last_text,
            last_text_line=lines,
            lines=lines,
        )

    def _matches(self) -> dict[str, int]:
        """How often each kind of line or quantity was found."""
        matches = self._matched.copy()
        for name, extractor in self._extractors.items():
            for quantities, count in extractor.found.items():
                matches.update({f"iteration of {name}": count, **{quantity.label: count for quantity in quantities}})
        return dict(matches)

    def _undumped_settings(self) -> dict[str, str]:
        """Settings of other lines that the dump of arguments leaves out or open."""
        return {
            name: value for name, value in self._settings.items() if self.dump.arguments.get(name, "None") == "None"
        }

    def _chosen(self) -> tuple[RecordSeries | None, Format | None]:
        """The records made to be read rather than stand-ins, of those the most frequent kind, and their format.

        Of progress bars the one that took longest. A single record of an engine stands in for less than a bar does.
        """
        form, found = self._form, self._series.values()
        kinds = [series for series in found if form is None or series.kind is form.iteration]
        if not kinds:
            return None, form
        chosen = min(kinds, key=_preference)
        return chosen, form or recognised_format(chosen.kind, chosen.sample)

    def _take_records(self, row: IterationPattern, text: str, line: int) -> bool:
        series, extractor = self._series.get(row.name), self._extractors.get(row.name)
        if extractor is None:
            extractor = self._extractors[row.name] = Extractor(row)
        taken = False
        for extract in extractor.iterations(text, line, series.next_number if series else row.first_number):
            record = extract.iteration
            if row.is_bar:
                record = self._bars.setdefault(row.name, ProgressBars()).draw(record, extract.elapsed)
                series = self._series.get(f"{row.name} of {record.total}")
            elif row.numbered_by is not None:
                bars = self._bars.setdefault(row.numbered_by.name, ProgressBars())
                record = bars.timed(record) if extract.is_numbered else bars.numbered(record, extract.text, series)
            ahead = self._ahead.pop(row.name, None)
            if ahead and _is_of(record, ahead):
                record = record.updated({name: value for name, value in ahead.items() if getattr(record, name) is None})
            if series is None:
                if len(self._series) == MOST_SERIES:
                    continue
                name = f"{row.name} of {record.total}" if row.is_bar else row.name
                series = self._series[name] = RecordSeries(row, text[:SAMPLE_CHARACTERS])
            self._keep(row, series, record)
            if extract.memory:
                self._add_peaks(extract.memory, line, extract.rank)
            taken = True
        if not taken and series is None and not row.is_bar:
            self._miss(row, text, line)
        return taken

    def _miss(self, row: IterationPattern, text: str, line: int) -> None:
        """Note a line that holds the marker of an iteration but is none, to explain why nothing was read."""
        held = next((marker for marker in row.head.markers if marker in text), None)
        if held is not None:
            earlier = self._near_misses.get(row.name)
            self._near_misses[row.name] = (
                replace(earlier, count=earlier.count + 1)
                if earlier
                else NearMiss(held.strip(), 1, line, plain(text, 160))
            )

    def _keep(self, row: IterationPattern, series: RecordSeries, record: Iteration) -> None:
        before = series.latest
        if series.starts_over(record) and not row.is_bar:
            self._memory = MemoryPeaks()  # peaks of earlier runs in the file do not count
        if series.add(record) and before is not None and row.rank < 2 and (self._failures or self._successes):
            self._failures = [found for found in self._failures if found.line > before.line]
            self._successes = {kind: seen for kind, seen in self._successes.items() if seen.line > before.line}

    def _take_trailing(self, row: TrailingQuantity, text: str, line: int) -> bool:
        values, rows = quantities_in((row.quantity,), text)
        series = self._series.get(row.iteration.name)
        if not values or series is None or series.latest is None:
            return False
        self._matched.update(quantity.label for quantity in rows)
        self._add_peaks({name: values.pop(name) for name in PEAKS if name in values}, line)
        series.replace_latest(series.latest.updated(fields_of(values)))
        return True

    def _take_leading(self, row: LeadingQuantity, text: str) -> bool:
        """Keep a quantity for the next record, or give it to the last one where ranks print in another order."""
        values, rows = quantities_in((row.quantity, row.seconds), text)
        if len(rows) < 2:
            return False
        self._matched[row.quantity.label] += 1
        series = self._series.get(row.iteration.name)
        latest = series.latest if series else None
        if series and latest and getattr(latest, row.quantity.name) is None and _is_of(latest, values):
            series.replace_latest(latest.updated({row.quantity.name: values[row.quantity.name]}))
        else:
            self._ahead[row.iteration.name] = values
        return True

    def _take_memory(self, row: MemoryReport, text: str, line: int) -> bool:
        taken = False
        for match in row.line.pattern.finditer(text):
            self._matched[row.name] += 1
            factor = float(row.factor)
            peaks = {name: float(match[name.split("_")[1]]) * factor for name in PEAKS}
            self._add_peaks(peaks, line, int(match.groupdict().get("rank") or 0))
            taken = True
        return taken

    def _add_peaks(self, peaks: Mapping[str, float], line: int, rank: int = 0) -> None:
        # Where nothing is known 0 is printed.
        allocated, reserved = (finite(peaks.get(name)) or None for name in PEAKS)
        if allocated is not None or reserved is not None:
            self._memory.add_rank(rank, allocated, reserved, line)

    def _take_total(self, row: RunTotal, text: str, line: int) -> bool:
        values, rows = quantities_in((row.quantity,), text)
        value = finite(values.get(row.quantity.name))
        if value is None:
            return False
        self._matched.update(quantity.label for quantity in rows)
        earlier = self._totals.get(row.quantity.name)
        if earlier is None or row.keep == "last" or (row.keep == "highest" and value > earlier.value):
            self._totals[row.quantity.name] = SeenTotal(value, line)
        return True

    def _take_start(self, row: StartLine, text: str, line: int) -> bool:
        if row.line.pattern.search(text) is None:
            return False
        if row.has_begun:
            self._training_line = self._training_line or line
            return False  # it may be a failure
        self._matched[row.line.markers[0].strip()] += 1
        self._started_line = line
        return True

    def _take_line(self, row: NodeMemoryReport | WorldSizeLine | ArgumentDumpLine, text: str, line: int) -> bool:
        match = row.line.pattern.search(text)
        if match is None:
            return False
        match row:
            case NodeMemoryReport():
                used = finite(float(match["used"]))
                if used is not None:
                    self._memory.add_node(int(match["rank"] or 0), used, line)
            case WorldSizeLine():
                self._world_size = int(match[1])
            case ArgumentDumpLine(role="first"):
                self.dump.begin()
            case ArgumentDumpLine(role="last"):
                self.dump.end()
            case ArgumentDumpLine():
                self.dump.resume()
                return False  # it is an argument itself
        self._matched[row.line.markers[0].strip(" -|:")] += 1
        return True
