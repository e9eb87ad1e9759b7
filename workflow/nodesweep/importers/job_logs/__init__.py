"""Logs of old jobs -> measurements, and what in them does not fit together: `nodesweep ingest`."""

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache

from pydantic import TypeAdapter, ValidationError

from nodesweep.common.errors import NodesweepError
from nodesweep.common.files import json_value
from nodesweep.config.tidy_row import TidyValue
from nodesweep.config.types import Name
from nodesweep.logs.reading import LogReading
from nodesweep.performance.dimensions import SIZES_OF_FLOPS

from .fields import values_of_settings
from .files import FoundLogs, LeftAlone, OldJob, find_logs
from .job import IngestedLog, IngestOptions, ingest_job
from .path_template import PathTemplate

__all__ = [
    "IngestOptions",
    "Ingested",
    "PathTemplate",
    "find_logs",
    "folder_name",
    "ingest",
    "values_of_settings",
]

SCHEMA_VERSION = 2


@dataclass(frozen=True)
class Ingested:
    """Logs of old jobs as they were read, in the order of their paths, and files that hold none."""

    schema_version: int
    name: str
    logs: tuple[IngestedLog, ...]
    left_alone: tuple[LeftAlone, ...]

    @property
    def findings(self) -> list[str]:
        """All findings."""
        return [finding for log in self.logs for finding in log.findings]

    def figures(self) -> Iterator[dict[str, TidyValue]]:
        """Rows for the tidy table; logs that are ingested together are taken to be of one campaign."""
        return ({**log.figures(), "campaign": self.name} for log in self.logs)

    def report(self) -> str:
        """What was read and found, in lines for a terminal."""
        return "\n".join(
            [
                *(log.summary() for log in self.logs),
                *(f"left alone: {left.file}: {left.why}" for left in self.left_alone),
                f"{self.name}: {_of(len(self.logs))}, {_of(len(self.findings), 'finding')}",
                *(f"  note: {note}" for note in self._notes()),
            ]
        )

    def _notes(self) -> Iterator[str]:
        """What is unknown in some logs, and how a user can give it."""
        if assumed := sum(log.one_rank_is_a_node for log in self.logs):
            yield f"{_of(assumed)} of unknown nodes: each rank is one there; --set ranks_per_node=N says otherwise"
        for template, number in Counter(template for log in self.logs for template in log.unfit).items():
            yield f"{_of(number)} with paths that do not fit --pattern {template}"
        for name in (*SIZES_OF_FLOPS, "activation_checkpointing"):
            if number := sum(log.layout[name] is None for log in self.logs):
                missing = "no TFLOPs with recomputation" if name == "activation_checkpointing" else "no TFLOPs"
                yield f"{_of(number)} of unknown {name}: {missing} by the formula there; --set {name}=... gives it"

    def to_json(self) -> str:
        """The text of ingested/<name>.json."""
        return _adapter().dump_json(self, indent=1, by_alias=True).decode() + "\n"

    @classmethod
    def from_json(cls, text: str | bytes) -> "Ingested":
        """What `to_json` wrote; raises NodesweepError for a text of another version."""
        try:
            ingested = _adapter().validate_python(json_value(text))
        except ValidationError as error:
            place = ".".join(map(str, error.errors()[0]["loc"]))
            raise NodesweepError(f"{place or 'its form'} is not as this version writes it; ingest again") from None
        except ValueError as error:
            raise NodesweepError(f"its form is not as this version writes it ({error!s:.80}); ingest again") from None
        if ingested.schema_version != SCHEMA_VERSION:
            raise NodesweepError(f"schema version {ingested.schema_version}, not {SCHEMA_VERSION}; ingest again")
        return ingested


def folder_name(text: str) -> str:
    """The name of a folder; raises NodesweepError for what cannot be one."""
    try:
        return TypeAdapter(Name).validate_python(text)
    except ValidationError:
        raise NodesweepError(
            f"{text!r:.80} cannot name a folder of results; give --name with letters, digits and . _ - alone"
        ) from None


def ingest(
    name: str, found_logs: FoundLogs, readings: Iterable[tuple[OldJob, list[LogReading] | str]], options: IngestOptions
) -> Ingested:
    """Measure the jobs of a search whose files gave `readings`, or could not be read for a reason.

    Raises NodesweepError where no log of a training is among them.
    """
    logs, left = [], list(found_logs.left_alone)
    for job, read in readings:
        result = read if isinstance(read, str) else ingest_job(job, read, options)
        if isinstance(result, str):
            left.append(LeftAlone(job.output.shown, result))
        else:
            logs.append(result)
    if not logs:
        found = "; ".join(f"{one.file}: {one.why}" for one in left[:5])
        raise NodesweepError(f"no log of a training found ({found or 'no file there is named like a log'})")
    return Ingested(SCHEMA_VERSION, name, tuple(logs), tuple(left))


def _of(number: int, word: str = "log") -> str:
    return f"{number} {word}{'' if number == 1 else 's'}"


@cache
def _adapter() -> TypeAdapter[Ingested]:
    return TypeAdapter(Ingested)
