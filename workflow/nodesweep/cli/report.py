"""Write report.html: findings, figures, tables and every layout on one page."""

import argparse
import base64
import multiprocessing
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from multiprocessing.connection import Connection
from pathlib import Path
from typing import TYPE_CHECKING

from nodesweep.common.errors import JournalError, NodesweepError
from nodesweep.common.files import json_value, read_regular, regular_head, write_atomic
from nodesweep.config.tidy_row import TidyRow, text_of
from nodesweep.launch import journal
from nodesweep.launch.journal_events import JournalEvent
from nodesweep.logs.packed import found_log, log_content
from nodesweep.results.results_file import edited_remark, read_results
from nodesweep.sweep.study import DEFAULT_SWEEP, Study

from .arguments import add_sweep_options
from .common import limited_study_of

if TYPE_CHECKING:
    from nodesweep.reports.page import EmbeddedFigure
    from nodesweep.reports.page.packing import Pack
    from nodesweep.reports.page.panels import LayoutFiles, PanelJson

_MOST_PROCESSES = 8
_MOST_FIGURE_BYTES = 64 * 2**20
_TRACED = ("iteration_seconds", "tflops_per_node", "memory_mib")
Journals = Mapping[str, Sequence[JournalEvent]]
_PICTURES = {"svg": "image/svg+xml", "png": "image/png"}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Which sweep."""
    add_sweep_options(parser)


def run(options: argparse.Namespace) -> None:
    """Write the page of what all other commands wrote."""
    from nodesweep.reports.page import ReportPage, render
    from nodesweep.reports.page.findings import counts, findings
    from nodesweep.reports.page.grids import all_layouts, grid, noted
    from nodesweep.reports.tables.document import document_of, empty, sections
    from nodesweep.reports.tables.explanation import explained_of, meanings
    from nodesweep.results.table import records

    study = limited_study_of(options)
    frame, remark = read_results(study.folder), edited_remark(study.folder)
    rows, document, explained = records(frame), document_of(study.sweep, frame), explained_of(frame)
    journals = {slug: _events(study.journal(slug)) for slug in study.runs}
    packs = _packs(rows, _panels(study, options, journals))
    figures = _figures(study.folder / "figures")
    parts = [(name, part) for name in ("times", "predicted") if (part := getattr(explained, name, None))]
    page = ReportPage(
        title=document.title,
        sweep=study.sweep.sweep,
        counts=counts(rows),
        facts=[*([("Edited", remark)] if remark else []), *_facts(study, rows, journals)],
        findings=findings(rows, explained, study.expansion.rejected),
        figures=figures,
        library=_library() if figures else "",
        sections={
            heading: [
                grid(
                    part.view, part.rows, name=f"table-{number}-{place}", heading=part.view.heading, text=part.view.text
                )
                for place, part in enumerate(found)
            ]
            for number, (heading, found) in enumerate(sections(document, frame).items())
        },
        notations=noted(document.notations),
        empty=empty(document, frame) if rows else [],
        explained=[
            grid(part.view, part.rows, name=name, heading=_EXPLAINED[name], meanings=noted(meanings(study.sweep, part)))
            for name, part in parts
        ],
        layouts=all_layouts(rows),
        packs=list(packs),  # the last, which were made meanwhile
    )
    write_atomic(study.folder / "report.html", render(page))
    print(f"{study.sweep.sweep}: page written: {study.folder / 'report.html'}")
    if remark:
        print(f"{study.sweep.sweep}: {remark}")


_EXPLAINED = {"times": "Where the time goes", "predicted": "Predicted beside measured"}


def _events(path: Path) -> Sequence[JournalEvent]:
    """What a journal says; nothing where it cannot be read: its row says why."""
    try:
        return journal.read(path)
    except JournalError:
        return ()


def _facts(study: Study, rows: Sequence[TidyRow], journals: Journals) -> Iterator[tuple[str, str]]:
    """When it was measured, and of what and where it tells."""
    times = sorted(time for events in journals.values() for time in _times(events))
    if times:
        first, last = _minute(times[0]), _minute(times[-1])
        yield "Measured", f"{first} to {last[11:] if first[:10] == last[:10] else last} UTC"
    foreign = dict.fromkeys(name for row in rows if (name := text_of(row, "source_file")))
    if foreign:
        yield "Taken in", ", ".join(list(foreign)[:5]) + (f" and {len(foreign) - 5} more" if len(foreign) > 5 else "")
    model, machine = study.sweep.model, study.sweep.machine
    sizes = f"{model.layers} layers, hidden size {model.hidden_size}, {model.attention_heads} heads"
    yield "Model", f"{model.name}: {sizes}, vocabulary {model.vocab_size}"
    node = f"a node is {machine.description}; " if machine.description else ""
    ranks = f"{machine.ranks_per_node} rank{'s' if machine.ranks_per_node > 1 else ''} a node"
    yield "Machine", f"{machine.name}: {node}{ranks}, scheduler {machine.scheduler}"


def _times(events: Iterable[JournalEvent]) -> Iterator[str]:
    """When the runs of a layout began and ended."""
    for record in journal.records_in(events):
        yield from filter(None, (record.started, record.ended))


def _minute(timestamp: str) -> str:
    return timestamp[:16].replace("T", " ")


def _figures(folder: Path) -> "list[EmbeddedFigure]":
    """The charts that were drawn, in the order they are to be read."""
    from nodesweep.reports.figures import NAMES
    from nodesweep.reports.page import EmbeddedFigure

    order = {name: place for place, name in enumerate(NAMES)}
    found = []
    for path in sorted(folder.glob("*.json"), key=lambda path: (order.get(path.stem, len(order)), path.name)):
        try:
            chart = json_value(read_regular(path, _MOST_FIGURE_BYTES))
            if not isinstance(chart, dict) or not all(isinstance(chart[name], str) for name in ("name", "title")):
                raise TypeError("no chart")
            figure = EmbeddedFigure(chart["name"], chart["title"], chart["caption"], chart["spec"], _picture(path))
        except (ValueError, KeyError, TypeError):
            raise NodesweepError(f"{path} is no figure; run `nodesweep figures` again") from None
        found.append(figure)
    return found


def _picture(path: Path) -> str:
    """The smaller of its pictures as an address that needs no network; empty where there is none."""
    pictures = [path.with_suffix(f".{form}") for form in _PICTURES]
    least = min((one for one in pictures if one.is_file()), key=lambda one: one.stat().st_size, default=None)
    if least is None:
        return ""
    return f"data:{_PICTURES[least.suffix[1:]]};base64,{base64.b64encode(least.read_bytes()).decode()}"


def _library() -> str:
    """The JavaScript that draws the charts; made once for each version of vl-convert, since that takes seconds."""
    from importlib.metadata import version

    folder = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "nodesweep"
    path = folder / f"vega-{version('vl-convert-python')}.js"
    with suppress(OSError):
        return path.read_text()
    import vl_convert

    text = vl_convert.javascript_bundle()  # type: ignore[call-arg]  # its stub lacks the default
    with suppress(OSError):  # a cache that cannot be kept is made again
        folder.mkdir(parents=True, exist_ok=True)
        write_atomic(path, text)
    return text


Panels = Callable[[TidyRow], "tuple[str, list[PanelJson]]"]


def _panels(study: Study, options: argparse.Namespace, journals: Journals) -> Panels:
    """What makes the slug and the panel of a row."""
    from nodesweep.config.origins import origins
    from nodesweep.performance.calibration.files import read_calibrations
    from nodesweep.performance.forecast import forecast
    from nodesweep.performance.predict import WhatIf
    from nodesweep.reports.page.panels import LayoutFiles, panel
    from nodesweep.reports.prediction import prediction_text
    from nodesweep.reports.trace.why import traced

    calibrations, sweep = read_calibrations(study), study.sweep
    named = origins(options.configfile or [DEFAULT_SWEEP], options.config)
    why = traced(study, named, [*study.imported, *study.ingested], _TRACED)

    def made(row: TidyRow) -> "tuple[str, list[PanelJson]]":
        slug = text_of(row, "slug") or ""
        layout = study.layouts.get(slug)
        if layout is None:
            return slug, panel(row, LayoutFiles(), "", why(slug, row))
        named = text_of(row, "shown_run")
        shown = named if named in study.runs else slug
        found = WhatIf(layout, forecast(layout, calibrations.get(layout.stack)), sweep.training_tokens)
        _, prediction = prediction_text(found).split("\n", 1)  # its first line is the slug
        return slug, panel(row, _files(study, shown, row, journals[shown]), prediction, why(slug, row))

    return made


def _packs(rows: Sequence[TidyRow], panels: Panels) -> "Iterator[Pack]":
    """The panels of all rows, a pack at a time, by as many processes as there are cores, which begin at once."""
    from nodesweep.reports.page.packing import PANELS_A_PACK, pack

    parts = [rows[first : first + PANELS_A_PACK] for first in range(0, len(rows), PANELS_A_PACK)]
    processes = min(len(parts), len(os.sched_getaffinity(0)), _MOST_PROCESSES)
    if processes < 2:
        return (pack(map(panels, part)) for part in parts)
    fork = multiprocessing.get_context("fork")  # what the panels are made of is not sent: a fork has it
    readers = []
    for first in range(processes):
        reader, writer = fork.Pipe(duplex=False)
        fork.Process(target=_send_packs, args=(writer, parts[first::processes], panels), daemon=True).start()
        writer.close()  # so that reading ends where the process does
        readers.append(reader)
    return (_received(readers[number % processes]) for number in range(len(parts)))


def _send_packs(writer: Connection, parts: Iterable[Sequence[TidyRow]], panels: Panels) -> None:
    """In a process of its own: make packs and send them, one after the other; of an error what it says."""
    from nodesweep.reports.page.packing import pack

    try:
        for part in parts:
            writer.send(pack(map(panels, part)))
    except Exception as error:
        writer.send(error)


def _received(reader: Connection) -> "Pack":
    """The next pack of a process; raises the error that one met."""
    try:
        received: Pack | Exception = reader.recv()
    except EOFError:
        raise NodesweepError("a process that makes report.html was ended; is there memory enough?") from None
    if isinstance(received, Exception):
        raise received
    return received


def _files(study: Study, slug: str, row: TidyRow, events: Sequence[JournalEvent]) -> "LayoutFiles":
    """What the folder of a run holds."""
    from nodesweep.reports.page.panels import MOST_BYTES, LayoutFiles
    from nodesweep.results.environment import facts_of

    named = study.directory(slug) / (text_of(row, "log") or "no.log")
    log = found_log(named) or named
    end, whole = _end(log, MOST_BYTES)
    facts = facts_of(_head(named.with_suffix(".provenance"), MOST_BYTES))
    return LayoutFiles(
        script=_head(study.script(slug), MOST_BYTES),
        log_name=log.name,
        log_end=end,
        log_whole=whole,
        events=events,
        facts=[(fact.section, fact.name, fact.value) for fact in facts],
    )


def _head(path: Path, most: int) -> str:
    """The beginning of a text file; empty where there is none that can be read."""
    try:
        return regular_head(path, most).decode(errors="replace")
    except OSError:
        return ""


def _end(path: Path, most: int) -> tuple[bytes, bool]:
    """The last bytes of a log, and whether these are all; none where there is no file, or it cannot be unpacked."""
    try:
        with log_content(path) as file:
            if file.seekable():
                size = file.seek(0, os.SEEK_END)
                file.seek(max(size - most, 0))
                return file.read(most), size <= most
            end, whole = b"", True
            while part := file.read(most):
                end, whole = (end + part)[-most:], whole and len(end) + len(part) <= most
            return end, whole
    except OSError:
        return b"", True
