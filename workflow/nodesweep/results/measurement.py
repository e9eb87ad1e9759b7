"""The measurement of one ended run: series, steady-state statistics, memory, rates, and where each came from.

Statistics are derived from the series and never replace it. A measurement knows the settings and the log it was made
from, so that it is made again exactly when one of them has changed.
"""

import json
from dataclasses import asdict, dataclass
from functools import lru_cache
from typing import Any, Literal

from pydantic import TypeAdapter

from nodesweep.common.files import json_value
from nodesweep.logs.custom_format import key_of
from nodesweep.logs.finest import SecondsSource
from nodesweep.logs.reading import READER_VERSION
from nodesweep.logs.warmup import WarmUpRecords
from nodesweep.sweep.layout import Layout

from .rereading import is_of_earlier_version, is_same_run
from .terminal_record import TerminalRecord

SCHEMA = 3


@dataclass(frozen=True)
class MeasurementSettings:
    """What a measurement depends on beside the log; `warmup` in iterations, None to follow the log's format alone."""

    warmup: int | None
    statistic: Literal["median", "mean"]
    memory_source: str
    log_format: str

    @classmethod
    def of(cls, layout: Layout, statistic: Literal["median", "mean"]) -> "MeasurementSettings":
        """The settings of a layout's measurement."""
        return cls(
            warmup=layout.iterations.warmup,
            statistic=statistic,
            memory_source=layout.workload.memory_source,
            log_format=key_of(layout.workload.log_format),
        )


@dataclass(frozen=True)
class MeasuredMemory:
    """The figure shown as memory: the highest over ranks and its line.

    `rank` is None for a node's or a job's own figure, `line` for one that the scheduler gives.
    """

    peak_mib: float
    source: str
    rank: int | None
    line: int | None


@dataclass(frozen=True)
class IterationSeries:
    """The records of a log, one entry each; None where the log has no such figure, or no finite one."""

    iteration: tuple[int, ...]
    seconds: tuple[float | None, ...]
    loss: tuple[float | None, ...]
    log_tflops_per_rank: tuple[float | None, ...]
    line: tuple[int, ...]


@dataclass(frozen=True)
class IterationStatistics:
    """What stands for the records `first_iteration` to `last_iteration`, the first `records_dropped` left out.

    `iteration_seconds` is the statistic asked for; the half interquartile range is None for a single record.
    `log_tflops_per_node` is the log's own figure times the ranks of a node, None where the log has none. Rates are None
    where what they follow from is unknown, as it may be of a log found somewhere. `paused_iteration`: the number of the
    record that is left out since it holds the time for which the run was suspended. `iteration_seconds_rounding`: by
    how much the statistics of the seconds may be off since the log rounds its figures; `sources`: which figures
    they are from. Both are unknown in a measurement of an older version.
    """

    records_dropped: int
    records_used: int
    first_iteration: int
    last_iteration: int
    iteration_seconds: float
    iteration_seconds_median: float
    iteration_seconds_mean: float
    iteration_seconds_half_interquartile_range: float | None
    tokens_per_second: float | None
    tflops_per_node: float | None
    model_tflops_per_node: float | None
    log_tflops_per_node: float | None
    log_tflops_per_node_median: float | None
    log_tflops_per_node_mean: float | None
    paused_iteration: int | None = None
    iteration_seconds_rounding: float | None = None
    sources: tuple[SecondsSource, ...] = ()

    @property
    def iteration_seconds_of_all(self) -> tuple[float, float, float]:
        """The time of an iteration by each statistic, that asked for first."""
        return self.iteration_seconds, self.iteration_seconds_median, self.iteration_seconds_mean

    @property
    def scatter(self) -> float | None:
        """The half interquartile range over the time of an iteration; None for a single record."""
        spread = self.iteration_seconds_half_interquartile_range
        return None if spread is None else spread / self.iteration_seconds

    @property
    def rounding(self) -> float:
        """What the log may have rounded the time of an iteration by, over that time; 0 where it is not known."""
        return (self.iteration_seconds_rounding or 0.0) / self.iteration_seconds


@dataclass(frozen=True)
class Measurement:
    """What was read and worked out of one ended run.

    `record`: the job's terminal record as the executor wrote it, verdict included. `flags`: what a reader of the
    table must know, one short phrase each. `first_loss`, `last_loss`: of the whole series, nats per token.
    `read_as`: the format of the log, empty where it has no record. `left_out`: None where no record has a time.
    `log_size_bytes`, `log_modified_ns`: of the file; `log_unpacked_bytes`: of its content, where it is compressed.
    """

    slug: str
    record: TerminalRecord
    settings: MeasurementSettings
    reader_version: int
    log_name: str
    log_size_bytes: int
    log_modified_ns: int
    series: IterationSeries
    statistics: IterationStatistics | None
    memory: MeasuredMemory | None
    first_loss: float | None
    last_loss: float | None
    flags: tuple[str, ...]
    read_as: str
    left_out: WarmUpRecords | None
    log_unpacked_bytes: int | None = None
    schema: int = SCHEMA

    @property
    def log_content_bytes(self) -> int:
        """The size of what was read."""
        return self.log_size_bytes if self.log_unpacked_bytes is None else self.log_unpacked_bytes

    def made_from(
        self, record: TerminalRecord, settings: MeasurementSettings, size_bytes: int, modified_ns: int
    ) -> bool:
        """Whether measuring again would give the same: same reader, settings, run and unchanged log."""
        return (
            (self.schema, self.reader_version, self.settings) == (SCHEMA, READER_VERSION, settings)
            and (self.log_size_bytes, self.log_modified_ns) == (size_bytes, modified_ns)
            and is_same_run(self.record, record)
            and not is_of_earlier_version(self.record)
        )

    @property
    def used(self) -> list[int]:
        """The places, in the series, of the records that the statistics are of."""
        if self.statistics is None:
            return []
        timed = [place for place, seconds in enumerate(self.series.seconds) if seconds is not None]
        paused = self.statistics.paused_iteration
        return [place for place in timed[self.statistics.records_dropped :] if self.series.iteration[place] != paused]

    def to_json(self) -> str:
        """The text of measurement.json, a line for each field."""
        values = asdict(self) | {"record": self.record.to_dict()}
        if self.log_unpacked_bytes is None:
            del values["log_unpacked_bytes"]
        if self.statistics and self.statistics.paused_iteration is None:
            del values["statistics"]["paused_iteration"]
        words = (f' "{name}": {_json(value)}' for name, value in values.items())
        return "{\n" + ",\n".join(words) + "\n}\n"

    @classmethod
    def from_json(cls, text: str | bytes) -> "Measurement":
        """Read what `to_json` wrote; raises ValueError on anything else."""
        values = json_value(text)
        known = cls.__dataclass_fields__.keys()
        if not isinstance(values, dict) or values.get("schema") != SCHEMA or not values.keys() <= known:
            raise ValueError("no measurement of this version")
        found = _adapter().validate_python({**values, "record": TerminalRecord.from_dict(values.get("record"))})
        if len({len(column) for column in vars(found.series).values()}) > 1:
            raise ValueError("series of different lengths")
        if found.statistics and min(found.statistics.iteration_seconds_of_all) <= 0:
            raise ValueError("an iteration that took no time")
        return found


@lru_cache
def _adapter() -> TypeAdapter[Measurement]:
    return TypeAdapter(Measurement)


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, allow_nan=False)
