"""An old job as a row that can be traced: to the lines of its log, and to what `nodesweep ingest` took for granted."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from nodesweep.config.columns import TIDY
from nodesweep.config.layout_fields import COLUMNS as LAYOUT_COLUMNS
from nodesweep.config.loader import Key
from nodesweep.importers.job_logs import Ingested
from nodesweep.importers.job_logs.job import IngestedLog
from nodesweep.importers.layout_values import TOLD_FIELDS
from nodesweep.importers.saved_file import read_saved
from nodesweep.logs.lines import lines_at
from nodesweep.performance.dimensions import Dimensions
from nodesweep.results.measurement import Measurement
from nodesweep.results.metrics import EXPLAINED
from nodesweep.results.table import build, to_csv
from nodesweep.results.terminal_record import TerminalRecord

from . import formulas
from .columns import MEASURED, RATES
from .facts import Trace, cells_of

_SETTINGS: dict[Key, str] = {
    ("statistic",): "the sweep's where one was named, else the median",
    ("iterations", "warmup"): "none is asked for",
    ("workload", "memory_source"): "the best figure the log has",
}
"""The settings that `nodesweep ingest` makes itself."""


@dataclass(frozen=True)
class JobFacts:
    """What is known of an old job; the attributes are those of `RunFacts`."""

    job: IngestedLog
    status: str = "ended"
    outlook: str = ""
    missing: str = ""

    @property
    def log(self) -> str:
        """The first file of the job."""
        return self.job.file

    @property
    def measurement(self) -> Measurement:
        """The measurement of the job."""
        return self.job.measurement

    @property
    def record(self) -> TerminalRecord:
        """How the job ended."""
        return self.job.measurement.record

    @property
    def record_place(self) -> str:
        """The place that tells how the job ended."""
        return f"{self.job.file}: how the log ends"

    @property
    def dimensions(self) -> Dimensions:
        """The sizes that the rates of the job follow from."""
        return self.job.shape

    def setting(self, key: Key) -> str:
        """Where a setting of the measurement was made."""
        return f"`nodesweep ingest`: {_SETTINGS[key]}"


def _field(name: str) -> Callable[[JobFacts], Trace]:
    def trace(facts: JobFacts) -> Trace:
        origin = facts.job.origins.get(name)
        if origin is None:
            row = TOLD_FIELDS.get(name)
            default = (
                f", which means {row.default}" if row and row.absent_means_default and row.default is not None else ""
            )
            return Trace((f"{facts.log} does not tell{default}",))
        if origin.line is None:
            return Trace((origin.text,))
        return Trace((f"{place_of(facts.job, origin.line)}: {origin.text}",), (origin.line,))

    return trace


def _says(words: str) -> Callable[[JobFacts], Trace]:
    return lambda facts: Trace((words,))


def _size(facts: JobFacts) -> Trace:
    model = facts.job.model
    return Trace(formulas.parameters(model) if model else ("the log does not tell all sizes of the model",))


def _flags(facts: JobFacts) -> Trace:
    return Trace((*facts.job.findings, *facts.job.remarks, *facts.measurement.flags) or ("nothing is wrong with it",))


_KNOWN: dict[str, Callable[[JobFacts], Trace]] = {
    **{column: _field(row.name) for column, row in LAYOUT_COLUMNS.items() if row.name in TOLD_FIELDS},
    **MEASURED,
    **RATES,
    "slug": _says("the path of the log, and a hash of it"),
    "model_size": _size,
    "campaign": _says("the name they were ingested under: logs ingested together are taken to be of one campaign"),
    "state": _says("an old job has ended"),
    "flags": _flags,
    "statistic": lambda facts: Trace((facts.setting(("statistic",)),)),
    "log": lambda facts: Trace((f"the name of {facts.log}",)),
    "source": _says("a log of an old job"),
    "source_file": _says("the log, as it was named to `nodesweep ingest`"),
    "source_line": _says("the first record in the statistics"),
}
COLUMNS = {name: _KNOWN.get(name, _says("an old log says nothing of it")) for name in TIDY if name not in EXPLAINED}
"""How each column is traced."""


@dataclass(frozen=True)
class TraceableJob:
    """An ingested job; `path`: the file that holds what was ingested, `campaign`: the name it was ingested under."""

    path: Path
    campaign: str
    job: IngestedLog

    @property
    def folder(self) -> Path:
        """The folder of the results that the job was taken into."""
        return self.path.parent.parent

    @property
    def head(self) -> list[str]:
        """The files that the job was ingested from."""
        return [f"{self.path}: ingested from {' and '.join(source.file for source in self.job.sources)}"]

    def traces(self, columns: Iterable[str]) -> dict[str, Trace]:
        """Where the values of these columns come from."""
        facts = JobFacts(self.job)
        return {name: COLUMNS[name](facts) for name in columns}

    def values(self) -> dict[str, str]:
        """The cells of the row by column."""
        figures = {**self.job.figures(), "campaign": self.campaign}
        return cells_of(to_csv(build((), [figures])), self.job.measurement.slug)

    def lines(self, numbers: set[int]) -> tuple[dict[int, str], list[str]]:
        """Lines of the job's files as they are now, and which files are others than were read."""
        return lines_of(self.job, numbers)


def ingested_rows(path: Path) -> dict[str, TraceableJob]:
    """The jobs of an ingested file by slug; raises NodesweepError for a file of another version."""
    document = read_saved(path, Ingested.from_json)
    return {job.measurement.slug: TraceableJob(path, document.name, job) for job in document.logs}


def place_of(job: IngestedLog, line: int) -> str:
    """File and line of a line of the job's files, read as one."""
    for source in job.sources:
        if line <= source.lines:
            return f"{source.file}:{line}"
        line -= source.lines
    return job.file


def lines_of(job: IngestedLog, numbers: set[int]) -> tuple[dict[int, str], list[str]]:
    """Lines of the job's files, read as one, as they stand there now; and which files are others than were read."""
    found, doubts, before = dict[int, str](), [], 0
    for source in job.sources:
        wanted = [number - before for number in numbers if 0 < number - before <= source.lines]
        try:
            status = Path(source.file).stat()
            texts = lines_at(Path(source.file), wanted)
            label = "line" if source is job.sources[0] else f"{source.file} line"
            found |= {line + before: f"{label} {line}: {text}" for line, text in texts.items()}
            if (status.st_size, status.st_mtime_ns) != (source.size_bytes, source.modified_ns):
                doubts.append(f"{source.file} has changed since it was ingested: its lines may be others; ingest again")
        except OSError as error:
            doubts.append(f"{source.file}: {error.strerror}: its lines cannot be shown")
        before += source.lines
    return found, doubts
