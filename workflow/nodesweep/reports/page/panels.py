"""What is known of one layout -> the sections of its panel, all of it text: a browser never reads any as markup."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from textwrap import dedent
from typing import Any, Literal

from nodesweep.common.text import plain, visible, without_escapes
from nodesweep.config.tidy_row import TidyRow, text_of

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
Event = Mapping[str, Any]


@dataclass(frozen=True)
class PanelSection:
    """A part of a panel: pairs of name and value, a text whose lines count, or a list of sentences."""

    title: str
    kind: SectionKind
    data: Any

    def plain(self) -> list[Any]:
        """The section as JSON has it."""
        return [self.title, self.kind, self.data]


@dataclass(frozen=True)
class LayoutFiles:
    """What the folder of a layout holds: its script, the end of its log and whether that is all, journal, facts.

    `facts`: section, name and value of what its job found where it ran.
    """

    script: str = ""
    log_name: str = ""
    log_end: bytes = b""
    log_whole: bool = True
    events: Sequence[Event] = ()
    facts: Sequence[tuple[str, str, str]] = ()


def panel(row: TidyRow, files: LayoutFiles, prediction: str, traces: Sequence[str]) -> list[list[Any]]:
    """The sections that have something to say, in the order they are shown."""
    log_title = f"Log, its last {TAIL_LINES} lines: {files.log_name}"
    found = [
        PanelSection("How it stands", "facts", list(_end(row))),
        PanelSection("Prediction", "text", visible(dedent(prediction))),
        PanelSection("Where its numbers come from", "text", visible("\n".join((*_source(row), *traces)))),
        PanelSection("Journal", "list", list(said(files.events))),
        *_provenance(files.facts),
        PanelSection(plain(log_title), "text", tail(files.log_end, files.log_whole)),
        PanelSection("Script, job.sh", "text", visible(files.script)),
    ]
    return [section.plain() for section in found if section.data]


def tail(data: bytes, whole: bool) -> str:
    """The last lines of the end of a log, without escapes; a line that was cut at its beginning is left out."""
    lines = visible(without_escapes(data.decode(errors="replace")).rstrip("\n\r"), _TAIL_COLUMNS).split("\n")
    return "\n".join((lines if whole else lines[1:])[-TAIL_LINES:])


def said(events: Iterable[Event]) -> Iterable[str]:
    """Events of a journal in words."""
    for event in events:
        text = _EVENTS.get(event["event"], lambda event: str(event["event"]))(event)
        yield plain(f"{_clock(event.get('time'))}: {text}", _MOST_CHARACTERS)


def _limit(event: Event) -> str:
    limit = event.get("elapse_limit_seconds")
    return f", at most {limit} s" if limit else ""


def _ended(event: Event) -> str:
    record = event.get("record") or {}
    verdict = " ".join(filter(None, (record.get("outcome"), record.get("where"))))
    state = f"; the scheduler says: {record['scheduler_state']}" if record.get("scheduler_state") else ""
    times = [record.get(name) for name in ("started", "ended")]
    ran = f", ran from {times[0]} to {times[1]}" if None not in times else ""
    return f"ended: {verdict or 'no outcome'}{ran}{state}"


_EVENTS: dict[str, Callable[[Event], str]] = {
    "intent": lambda event: f"attempt {event.get('attempt')} begun as {event.get('key')}{_limit(event)}",
    "submitted": lambda event: f"submitted to the scheduler: job {event.get('job_id')}",
    "refused": lambda event: "the scheduler refused it",
    "deferred": lambda event: "the scheduler refused it for now",
    "revoked": lambda event: "given up: it can never start",
    "adopted": lambda event: f"found again by a later launcher: job {event.get('job_id')}",
    "hung": lambda event: "cancelled, as it no longer said anything",
    "ended": _ended,
    "rerun": lambda event: "asked for again by hand",
}


def _clock(seconds: Any) -> str:
    if not isinstance(seconds, int | float):
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
        found.setdefault(section, []).append((plain(name), plain(value, _MOST_CHARACTERS)))
    for section, pairs in found.items():
        yield PanelSection(plain(f"Where it ran: {section}"), "facts", pairs)
