"""One job: the readings of its files -> its layout, its measurement, and what does not fit together."""

import hashlib
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from nodesweep.common.text import plain
from nodesweep.config.model import Model
from nodesweep.logs.memory import highest
from nodesweep.logs.reading import LogReading
from nodesweep.logs.verdict import from_log
from nodesweep.performance.dimensions import Dimensions
from nodesweep.results.measure import measure_log
from nodesweep.results.measurement import Measurement, MeasurementSettings
from nodesweep.results.table import figures, size_label

from .constraints import broken_laws, completed, text_of
from .fields import FIELDS, Values, Word, precision, told
from .files import Job, LogFile
from .join import joined, leads, placed
from .path_template import Template

_SLUG_CHARACTERS = 60
_NOT_OF_SLUGS = re.compile(r"[^A-Za-z0-9]+")


@dataclass(frozen=True)
class Given:
    """What the command says beside the logs; what is `set` stands over what logs and paths say."""

    set: Mapping[str, Any]
    templates: tuple[Template, ...] = ()
    statistic: Literal["median", "mean"] = "median"


@dataclass(frozen=True)
class Source:
    """A file that was read: its path as given, and what it was then."""

    file: str
    lines: int
    size_bytes: int
    modified_ns: int


@dataclass(frozen=True)
class IngestedLog:
    """A job as its log tells it.

    `sources`: its files, the one with the iterations first. `layout`: fields by name, None for what is unknown;
    `words`: where they come from; `shape`: what its rates follow from.
    `findings`: what does not fit together; `remarks`: what else a reader must know;
    `unfit`: the templates that its path does not fit.
    """

    sources: tuple[Source, ...]
    layout_text: str
    layout: dict[str, int | float | bool | None]
    words: dict[str, Word]
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

    def figures(self) -> dict[str, Any]:
        """Its row of the tidy table."""
        record, measured = self.measurement.record, self.measurement
        notes = (f"ingested, {self.file}", record["note"])
        return {
            **{field.column: self.layout[name] for name, field in FIELDS.items() if field.column},
            "model_size": size_label(model) if (model := model_of(self.layout)) else None,
            **{name: record[name] for name in ("outcome", "where", "evidence")},
            **figures(measured, self.layout["nodes"]),
            "slug": measured.slug,
            "state": "ended",
            "outcome_note": "; ".join(note for note in notes if note),
            "flags": "; ".join((*self.findings, *self.remarks, *measured.flags)),
            "log": measured.log_name,
            "source": "ingest",
            "source_file": self.file,
            "source_line": self._first_line(),
        }

    def _first_line(self) -> int | None:
        """Where the first record in the statistics stands."""
        series, statistics = self.measurement.series, self.measurement.statistics
        return series.line[series.iteration.index(statistics.first_iteration)] if statistics else None

    def told(self) -> str:
        """The log in one line, findings below it."""
        measured = self.measurement
        seconds = f", {measured.statistics.iteration_seconds:.4g} s/it" if measured.statistics else ""
        records = len(measured.series.iteration)
        counted = f"{records} record{'' if records == 1 else 's'}"
        files = " + ".join(source.file for source in self.sources)
        form, outcome = measured.settings.log_format, measured.record["outcome"]
        head = f"{files}: {form}, {self.layout_text}, {outcome}, {counted}{seconds}"
        said = (*self.findings, *self.remarks, *measured.flags)
        return "\n".join([head, *(f"  {sentence}" for sentence in said)])


def ingest_job(job: Job, readings: list[LogReading], given: Given) -> IngestedLog | str:
    """Measure one job by the readings of its files, or say why its files are no log of a training."""
    files = [(file, reading) for file, reading in zip((job.output, job.error), readings, strict=False) if file]
    if len(files) > 1 and not leads(readings[0], readings[1]):
        files.reverse()
    (file, first), *second = files
    whole = joined(first, second[0][1]) if second else first
    if not whole.iterations and not whole.signatures:
        done = whole.training_finished_line is not None
        return "training ended without an iteration" if done else "neither iterations nor failures in it"
    in_log, words, remarks = told(whole)
    in_path = [template.fields(file.relative) for template in given.templates]
    values, findings = _layers(
        in_log, {name: value for fields in in_path for name, value in (fields or {}).items()}, given.set
    )
    known, follow = completed(values)
    words = {**follow, **dict.fromkeys(values, Word("its path, by --pattern")), **words}
    words |= dict.fromkeys(given.set, Word("--set"))
    shape = _shape(known)
    form = whole.format.name if whole.format else "no known format"
    settings = MeasurementSettings(None, given.statistic, _memory_source(whole), form)
    return IngestedLog(
        sources=tuple(_source(of, reading) for of, reading in files),
        layout_text=text_of(known),
        layout={name: known.get(name) for name in FIELDS},
        words={name: words[name] for name in FIELDS if name in known},
        precision=precision(whole),
        one_rank_is_a_node="ranks" in known and not values.keys() & {"nodes", "ranks_per_node"},
        findings=(*findings, *broken_laws(known)),
        remarks=tuple(remarks),
        unfit=tuple(template.text for template, fields in zip(given.templates, in_path, strict=True) if fields is None),
        shape=shape,
        measurement=measure_log(shape, _slug(file), _record(files, whole), whole, settings),
    )


def _layers(in_log: Values, in_path: Values, given: Mapping[str, Any]) -> tuple[Values, list[str]]:
    """What the command says over what the log says over what the path says, and where they differ."""
    differ = [(name, value, "its path", "the log counts") for name, value in in_path.items() if name not in given] + [
        (name, value, "--set", "--set counts") for name, value in given.items()
    ]
    findings = [
        f"{name} is {in_log[name]} by the log, {value} by {source}: {verdict}"
        for name, value, source, verdict in differ
        if in_log.get(name, value) != value
    ]
    return {**in_path, **in_log, **given}, findings


def _record(files: list[tuple[LogFile, LogReading]], whole: LogReading) -> dict[str, Any]:
    """What a job's terminal record holds, as far as its log tells."""
    verdict = from_log(whole)
    first, beside = files[0][1], files[-1][0]
    evidence, note = (placed(text, first, plain(beside.path.name)) for text in (verdict.evidence, verdict.note))
    return {
        "outcome": verdict.outcome,
        "where": verdict.where,
        "evidence": evidence,
        "note": note,
        "rule": verdict.cause,
        "log": plain(files[0][0].path.name),
    }


def _memory_source(reading: LogReading) -> str:
    """The best figure of memory that the log has."""
    if highest(reading.rank_memory, "peak_allocated_mib"):
        return "log-max-allocated"
    if highest(reading.rank_memory, "peak_reserved_mib"):
        return "log-max-reserved"
    return "log-node-used" if reading.node_memory else "none"


def _shape(known: Values) -> Dimensions:
    """What rates follow from; the formula is one of dense models."""
    names = ("nodes", "ranks_per_node", "tensor", "global_batch", "sequence_length", "activation_checkpointing")
    sizes = ("layers", "hidden_size", "vocab_size")
    dense = known.get("experts", 1) == 1
    return Dimensions(
        **{name: known.get(name) for name in names}, **{name: known.get(name) if dense else None for name in sizes}
    )


def model_of(layout: Mapping[str, Any]) -> Model | None:
    """The model, where all its sizes are known."""
    names = ("layers", "hidden_size", "attention_heads", "vocab_size")
    if any(layout[name] is None for name in names):
        return None
    return Model(**{name: layout[name] for name in names}, ffn_hidden_size=layout["ffn_hidden_size"])


def _slug(file: LogFile) -> str:
    """A name for its row, unique by the path."""
    words = _NOT_OF_SLUGS.sub("-", file.shown).strip("-")[-_SLUG_CHARACTERS:].strip("-")
    return f"ingested-{words}-{hashlib.sha256(os.fsencode(file.path)).hexdigest()[:6]}"


def _source(file: LogFile, reading: LogReading) -> Source:
    return Source(file.shown, reading.lines, reading.size_bytes, reading.modified_ns)
