"""What is known of one layout -> the sections of its panel, all of it text: a browser never reads any as markup."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from textwrap import dedent
from typing import Literal

from nodesweep.common.secrets import without_secrets
from nodesweep.common.text import plain, visible, without_escapes
from nodesweep.config.tidy_row import TidyRow, text_of
from nodesweep.launch.journal_events import Adopted, Ended, Intent, JournalEvent, Reread, Submitted
from nodesweep.results.terminal_record import TerminalRecord

MOST_BYTES = 64 * 2**10
"""Bytes shown of a script, and of the end of a log."""
TAIL_LINES = 60
_TAIL_COLUMNS = 400
_MOST_CHARACTERS = 1500
_OF_THE_END = (
    ("Ended", ("outcome", "where")),
    ("Evidence", ("evidence",)),
    ("Note", ("outcome_note",)),
    ("Flags", ("flags",)),
    ("Remark", ("note",)),
    ("Job", ("job_id",)),
    ("Attempt", ("attempt",)),
    ("Nodes it ran on", ("allocated_nodes",)),
    ("Log", ("log",)),
)
SectionKind = Literal["facts", "text", "list"]
PanelData = list[tuple[str, str]] | str | list[str]
PanelJson = tuple[str, SectionKind, PanelData]
"""A section as JSON has it: title, kind and data."""


@dataclass(frozen=True)
class PanelSection:
    """A part of a panel: pairs of name and value, a text whose lines count, or a list of sentences."""

    title: str
    kind: SectionKind
    data: PanelData

    def to_json(self) -> PanelJson:
        """The section as JSON has it."""
        return self.title, self.kind, self.data


@dataclass(frozen=True)
class LayoutFiles:
    """What the folder of a layout holds: its script, the end of its log and whether that is all, journal, facts.

    `facts`: section, name and value of what its job found where it ran.
    """

    script: str = ""
    log_name: str = ""
    log_end: bytes = b""
    log_whole: bool = True
    events: Sequence[JournalEvent] = ()
    facts: Sequence[tuple[str, str, str]] = ()


def panel(row: TidyRow, files: LayoutFiles, prediction: str, traces: Sequence[str]) -> list[PanelJson]:
    """The sections that have something to say, in the order they are shown."""
    log_title = f"Log, its last {TAIL_LINES} lines: {files.log_name}"
    found = [
        PanelSection("How it stands", "facts", list(_end(row))),
        PanelSection("Prediction", "text", visible(dedent(prediction))),
        PanelSection("Where its numbers come from", "text", visible("\n".join((*_source(row), *traces)))),
        PanelSection("Journal", "list", list(journal_lines(files.events))),
        *_provenance(files.facts),
        PanelSection(plain(log_title), "text", without_secrets(tail(files.log_end, files.log_whole))),
        PanelSection("Script, job.sh", "text", without_secrets(visible(files.script))),
    ]
    return [section.to_json() for section in found if section.data]


def tail(data: bytes, whole: bool) -> str:
    """The last lines of the end of a log, without escapes; a line that was cut at its beginning is left out."""
    lines = visible(without_escapes(data.decode(errors="replace")).rstrip("\n\r"), _TAIL_COLUMNS).split("\n")
    return "\n".join((lines if whole else lines[1:])[-TAIL_LINES:])


def journal_lines(events: Iterable[JournalEvent]) -> Iterable[str]:
    """Events of a journal in words, with the time of each."""
    for event in events:
        yield plain(f"{_clock(event.time)}: {_event_text(event)}", _MOST_CHARACTERS)


def _event_text(event: JournalEvent) -> str:
    match event:
        case Intent():
            limit = f", at most {event.elapse_limit_seconds} s" if event.elapse_limit_seconds else ""
            return f"attempt {event.attempt} begun as {event.key}{limit}"
        case Submitted():
            return f"submitted to the scheduler: job {event.job_id}"
        case Adopted():
            return f"found again by a later launcher: job {event.job_id}"
        case Ended():
            return _ended(event.record)
        case Reread():
            return f"its log was read again: {event.record.verdict}; {event.record.evidence}"
    return _EVENTS.get(event.kind, event.kind)


def _ended(record: TerminalRecord) -> str:
    state = f"; the scheduler says: {record.scheduler_state}" if record.scheduler_state else ""
    ran = f", ran from {record.started} to {record.ended}" if record.started and record.ended else ""
    return f"ended: {record.verdict}{ran}{state}"


_EVENTS = {
    "refused": "the scheduler refused it",
    "deferred": "the scheduler refused it for now",
    "revoked": "given up: it can never start",
    "enough": "ended, as its iterations were enough",
    "hung": "cancelled, as it no longer said anything",
    "rerun": "asked for again by hand",
}


def _clock(seconds: float | None) -> str:
    if seconds is None:
        return "at an unknown time"
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def _end(row: TidyRow) -> Iterable[tuple[str, str]]:
    if row["state"] != "ended":
        yield "State", plain(text_of(row, "state") or "unknown")
    for name, columns in _OF_THE_END:
        words = " ".join(str(row[column]) for column in columns if row[column] not in (None, ""))
        if words:
            yield name, plain(words, _MOST_CHARACTERS)


def _source(row: TidyRow) -> Iterable[str]:
    """The file that a row was read from, where it is no run of this sweep."""
    if row["source_file"]:
        line = f", line {row['source_line']}" if row["source_line"] is not None else ""
        yield f"{row['source']}ed from {row['source_file']}{line}"


def _provenance(facts: Iterable[tuple[str, str, str]]) -> Iterable[PanelSection]:
    """A section of the panel for each of the facts."""
    found: dict[str, list[tuple[str, str]]] = {}
    for section, name, value in facts:
        found.setdefault(section, []).append((plain(name), plain(without_secrets(value), _MOST_CHARACTERS)))
    for section, pairs in found.items():
        yield PanelSection(plain(f"Where it ran: {section}"), "facts", pairs)
