"""One job: the readings of its files -> a layout, a measurement, and what does not fit together."""

import hashlib
import os
import re
from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import Field

from nodesweep.common.text import plain
from nodesweep.config.model import Model
from nodesweep.config.model_fields import MODEL_FIELDS
from nodesweep.config.tidy_row import TidyValue
from nodesweep.importers.layout_values import TOLD_FIELDS, LayoutValue, columns_of
from nodesweep.logs.memory import highest
from nodesweep.logs.reading import LogReading
from nodesweep.performance.dimensions import Dimensions
from nodesweep.results.measure import measure_log
from nodesweep.results.measurement import Measurement, MeasurementSettings
from nodesweep.results.outcome import decide_from_log
from nodesweep.results.rows import figures, size_label
from nodesweep.results.terminal_record import TerminalRecord

from .constraints import broken_laws, completed, text_of
from .described_model import is_gpt_by_default, missing_of_model, model_of, shape_of, taken_of_size, unusual
from .fields import JobValues, ValueOrigin, ValueOrigins, layout_in_log
from .files import LogFile, OldJob
from .join import joined, leads, placed
from .path_template import PathTemplate

_SLUG_CHARACTERS = 60
_NOT_OF_SLUGS = re.compile(r"[^A-Za-z0-9]+")


@dataclass(frozen=True)
class IngestOptions:
    """What a user gives beside the logs; values that are `set` stand over those of logs and paths."""

    set: JobValues
    templates: tuple[PathTemplate, ...] = ()
    statistic: Literal["median", "mean"] = "median"


@dataclass(frozen=True)
class SourceFile:
    """A log that was read: path as the user wrote it, and lines, bytes and time of the file then."""

    file: str
    lines: int
    size_bytes: int
    modified_ns: int


@dataclass(frozen=True)
class IngestedLog:
    """A job by its log.

    `sources`: the files, the one with the iterations first. `layout`: fields by name, None for what is unknown;
    `origins`: where they come from; `shape`: the sizes that rates follow from.
    `findings`: what does not fit together; `remarks`: what else a reader must know;
    `unfit`: the templates that the path does not fit.
    """

    sources: tuple[SourceFile, ...]
    layout_text: str
    layout: dict[str, LayoutValue | None]
    origins: Annotated[ValueOrigins, Field(alias="words")]
    shape: Dimensions
    precision: str | None
    one_rank_is_a_node: bool
    findings: tuple[str, ...]
    remarks: tuple[str, ...]
    unfit: tuple[str, ...]
    measurement: Measurement

    @property
    def file(self) -> str:
        """The path of its first file."""
        return self.sources[0].file

    @property
    def nodes(self) -> int | None:
        """The nodes that it ran on."""
        nodes = self.layout["nodes"]
        return nodes if isinstance(nodes, int) else None

    def figures(self) -> dict[str, TidyValue]:
        """The job as a row of the tidy table."""
        record, measured = self.measurement.record, self.measurement
        notes = (f"ingested, {self.file}", record.note)
        return {
            **columns_of({**self.layout, **self._usual}),
            "model_size": self._size_label or None,
            "outcome": record.outcome,
            "where": record.where,
            "evidence": record.evidence,
            **figures(measured, self.nodes),
            "slug": measured.slug,
            "state": "ended",
            "outcome_note": "; ".join(note for note in notes if note),
            "flags": "; ".join((*self.findings, *self.remarks, *measured.flags)),
            "log": measured.log_name,
            "source": "ingest",
            "source_file": self.file,
            "source_line": self._first_line(),
        }

    @property
    def _usual(self) -> dict[str, None]:
        """Sizes of the model that are as they would be were they left out: no column has them, as in a run's row."""
        given = [name for name, row in MODEL_FIELDS.items() if row.optional and self.layout.get(name) is not None]
        return {name: None for name in given if name not in unusual(self.layout)}

    @property
    def model(self) -> Model | None:
        """The model; None where it is not known which it is."""
        return model_of(self.layout) if self.shape.knows("layers") else None

    @property
    def _size_label(self) -> str:
        """The size of the model, where it is known which it is."""
        return size_label(self.model) if self.model else ""

    def _first_line(self) -> int | None:
        """Where the first record in the statistics stands."""
        series, statistics = self.measurement.series, self.measurement.statistics
        return series.line[series.iteration.index(statistics.first_iteration)] if statistics else None

    def summary(self) -> str:
        """The log in one line, findings below it."""
        measured = self.measurement
        seconds = f", {measured.statistics.iteration_seconds:.4g} s/it" if measured.statistics else ""
        records = len(measured.series.iteration)
        counted = f"{records} record{'' if records == 1 else 's'}"
        files = " + ".join(source.file for source in self.sources)
        form, outcome = measured.settings.log_format, measured.record.outcome
        head = f"{files}: {form}, {self.layout_text}, {outcome}, {counted}{seconds}"
        sentences = (*self.findings, *self.remarks, *measured.flags)
        return "\n".join([head, *(f"  {sentence}" for sentence in sentences)])


def ingest_job(job: OldJob, readings: list[LogReading], options: IngestOptions) -> IngestedLog | str:
    """Measure one job by the readings of its files, or say why its files are no log of a training."""
    files = [(file, reading) for file, reading in zip((job.output, job.error), readings, strict=False) if file]
    if len(files) > 1 and not leads(readings[0], readings[1]):
        files.reverse()
    (file, first), *second = files
    whole = joined(first, second[0][1]) if second else first
    if not whole.iterations and not whole.signatures:
        done = whole.training_finished_line is not None
        return "training ended without an iteration" if done else "neither iterations nor failures in it"
    in_log, origins, remarks = layout_in_log(whole)
    in_path = [template.fields(file.relative) for template in options.templates]
    values, findings = _combined(
        in_log, {name: value for fields in in_path for name, value in (fields or {}).items()}, options.set
    )
    known, follow = completed(values)
    origins = {**follow, **dict.fromkeys(values, ValueOrigin("its path, by --pattern")), **origins}
    origins |= dict.fromkeys(options.set, ValueOrigin("--set"))
    missing = missing_of_model(known, is_gpt_by_default(in_log, whole))
    remarks += [remark for remark in (missing or taken_of_size(known),) if remark]
    shape = shape_of(known, not missing)
    form = whole.format.name if whole.format else "no known format"
    settings = MeasurementSettings(None, options.statistic, _memory_source(whole), form)
    return IngestedLog(
        sources=tuple(_source(of, reading) for of, reading in files),
        layout_text=text_of(known),
        layout={name: known.get(name) for name in TOLD_FIELDS},
        origins={name: origins[name] for name in TOLD_FIELDS if name in known},
        precision=str(known["precision"]) if "precision" in known else None,
        one_rank_is_a_node="ranks" in known and not values.keys() & {"nodes", "ranks_per_node"},
        findings=(*findings, *broken_laws(known, whole.arguments)),
        remarks=tuple(remarks),
        unfit=tuple(
            template.text for template, fields in zip(options.templates, in_path, strict=True) if fields is None
        ),
        shape=shape,
        measurement=measure_log(shape, _slug(file), _record(files, whole), whole, settings),
    )


def _combined(in_log: JobValues, in_path: JobValues, in_options: JobValues) -> tuple[JobValues, list[str]]:
    """Values that a user sets over those in the log over those in the path, and where they differ."""
    differ = [(name, value, "its path", "the log counts") for name, value in in_path.items() if name not in in_options]
    differ += [(name, value, "--set", "--set counts") for name, value in in_options.items()]
    findings = [
        f"{name} is {in_log[name]} by the log, {value} by {source}: {verdict}"
        for name, value, source, verdict in differ
        if in_log.get(name, value) != value
    ]
    return {**in_path, **in_log, **in_options}, findings


def _record(files: list[tuple[LogFile, LogReading]], whole: LogReading) -> TerminalRecord:
    """What a job's terminal record holds, as far as its log tells."""
    verdict = decide_from_log(whole)
    first, beside = files[0][1], files[-1][0]
    evidence, note = (placed(text, first, plain(beside.path.name)) for text in (verdict.evidence, verdict.note))
    return TerminalRecord(
        outcome=verdict.outcome,
        where=verdict.where,
        evidence=evidence,
        note=note,
        rule=verdict.cause,
        log=plain(files[0][0].path.name),
    )


def _memory_source(reading: LogReading) -> str:
    """The best figure of memory that the log has."""
    if highest(reading.rank_memory, "peak_allocated_mib"):
        return "log-max-allocated"
    if highest(reading.rank_memory, "peak_reserved_mib"):
        return "log-max-reserved"
    return "log-node-used" if reading.node_memory else "none"


def _slug(file: LogFile) -> str:
    """A name for its row, unique by the path."""
    words = _NOT_OF_SLUGS.sub("-", file.shown).strip("-")[-_SLUG_CHARACTERS:].strip("-")
    return f"ingested-{words}-{hashlib.sha256(os.fsencode(file.path)).hexdigest()[:6]}"


def _source(file: LogFile, reading: LogReading) -> SourceFile:
    return SourceFile(file.shown, reading.lines, reading.size_bytes, reading.modified_ns)
