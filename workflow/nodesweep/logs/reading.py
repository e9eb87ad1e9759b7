"""What a log says, as values: its iterations, peaks of memory, arguments, failures, and which lines were seen."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from typing import NamedTuple

from nodesweep.logs.patterns.endings import Signature, Success
from nodesweep.logs.patterns.trainer import Format

from .memory import NodeMemory, RankMemory

READER_VERSION = 7


class Iteration(NamedTuple):
    """One record of a log: the mean over the iterations since the record before it, ending with `number`.

    Figures are None where the log has none; `loss` also where it is not finite. TFLOPs are per rank, as the log counts
    them. `nan` is how many iterations the log counts as not a number; `lost` says that the last one was, though the log
    does not count it; `cut` that its line ends before its loss. `clock` is the line's time stamp in seconds,
    `clock_step` a unit of its last digit. A `..._rounding` is by how much a figure may be off since it is printed with
    so many digits, in the unit of the figure. `seconds_from` is what the seconds are by: a name of `logs/finest.py`.
    """

    number: int
    line: int
    total: int | None = None
    seconds: float | None = None
    loss: float | None = None
    tflops: float | None = None
    hardware_tflops: float | None = None
    samples_per_second: float | None = None
    tokens_per_second: float | None = None
    tokens_per_second_per_rank: float | None = None
    mfu_percent: float | None = None
    power_watts: float | None = None
    global_batch_samples: int | None = None
    global_batch_tokens: int | None = None
    skipped: int = 0
    nan: int = 0
    clock: float | None = None
    lost: bool = False
    cut: bool = False
    seconds_from: str = "time"
    seconds_rounding: float = 0.0
    samples_per_second_rounding: float = 0.0
    tokens_per_second_rounding: float = 0.0
    tokens_per_second_per_rank_rounding: float = 0.0
    global_batch_samples_rounding: float = 0.0
    global_batch_tokens_rounding: float = 0.0
    clock_step: float = 0.0

    @property
    def is_nan(self) -> bool:
        """Whether the loss is not a number."""
        return self.nan > 0 or self.lost

    def updated(self, values: Mapping[str, float | None]) -> "Iteration":
        """The record with other values in the fields that `values` names."""
        return Iteration._make(map(values.get, self._fields, self))


@dataclass(frozen=True)
class SeenFailure:
    """A failure signature seen in a log; `text` is its line, plain and at most 300 characters."""

    signature: Signature
    line: int
    text: str


@dataclass(frozen=True)
class SeenSuccess:
    """Words of success, `count` times in a log, the last time on `line`; `text` is that line, plain and shortened."""

    success: Success
    line: int
    text: str
    count: int


@dataclass(frozen=True)
class NearMiss:
    """Lines that hold the plain `text` of an iteration line and are none: how many, and the first, plain."""

    text: str
    count: int
    line: int
    sample: str


@dataclass(frozen=True)
class SeenTotal:
    """A quantity of the whole run and the line it stands in."""

    value: float
    line: int


@dataclass(frozen=True)
class LogReading:
    """All that one pass over a log gives; lines count from 1.

    `format` is None where no iteration line of a known form is in the log. `iterations` rise in number; of a repeated
    one the last is kept; `restarts` counts how often numbers went back, `repeats` records printed more than once.
    `training_line`: the first that only a training prints that has begun. `signatures` and `successes` are those that
    fewer than two further records followed, in order of lines: what a run survived is no cause of its end. Of a kind of
    signature the first ones are kept and the last. `argument_at`: the lines of arguments, where known;
    `dump_is_whole`: whether the first and the last line of their dump are there. `matched`: how
    often each kind of line or quantity was seen; `near_misses`: by kind of record, lines that all but were one.
    `last_text`: the last line but nodesweep's own, which tells that the log `is_closed`. `size_bytes`, `modified_ns`:
    of the file when it was opened; `unpacked_bytes`: of its content, where it is a compressed one.
    """

    format: Format | None = None
    iterations: tuple[Iteration, ...] = ()
    restarts: int = 0
    repeats: int = 0
    training_started_line: int | None = None
    training_line: int | None = None
    rank_memory: tuple[RankMemory, ...] = ()
    node_memory: NodeMemory | None = None
    totals: Mapping[str, SeenTotal] = field(default_factory=dict)
    signatures: tuple[SeenFailure, ...] = ()
    successes: tuple[SeenSuccess, ...] = ()
    world_size: int | None = None
    arguments: tuple[tuple[str, str], ...] = ()
    argument_at: Mapping[str, int] = field(default_factory=dict)
    argument_lines: int = 0
    dump_is_whole: bool = False
    matched: Mapping[str, int] = field(default_factory=dict)
    near_misses: Mapping[str, NearMiss] = field(default_factory=dict)
    last_text: str = ""
    last_text_line: int = 0
    lines: int = 0
    is_closed: bool = False
    size_bytes: int = 0
    modified_ns: int = 0
    unpacked_bytes: int | None = None

    @property
    def content_bytes(self) -> int:
        """The size of what was read."""
        return self.size_bytes if self.unpacked_bytes is None else self.unpacked_bytes

    @property
    def log_interval(self) -> int | None:
        """Iterations from one record to the next, the commonest; None where the log does not tell."""
        numbers = [row.number for row in self.iterations]
        if self.format is not None and self.format.iteration.logs_first and len(numbers) > 2:
            del numbers[0]  # 1, 10, 20
        steps = Counter(after - before for before, after in pairwise(numbers))
        argument = dict(self.arguments).get("log_interval", "")
        if argument.isdecimal() and len(numbers) < 3:
            return int(argument)
        if steps:
            return max(steps, key=lambda step: (steps[step], -step))
        return 1 if numbers == [1] else None

    @property
    def training_finished_line(self) -> int | None:
        """The last line in which the trainer itself says that it has come to its end."""
        return max((seen.line for seen in self.successes if seen.success.source == "trainer"), default=None)

    @property
    def latest(self) -> Iteration | None:
        """The record that was printed last; after a restart it is not the one with the highest number."""
        return max(self.iterations, key=lambda record: (record.line, record.number), default=None)

    @property
    def iterations_done(self) -> int:
        """Iterations up to the last one in the log, counted from 1 whatever the trainer calls the first."""
        if not self.iterations or self.format is None:
            return 0
        return self.iterations[-1].number - self.format.iteration.first_number + 1

    @property
    def all_done(self) -> bool:
        """Whether the last iteration is the last of all that the log speaks of."""
        return bool(self.iterations) and 0 < (self.iterations[-1].total or 0) <= self.iterations_done

    @property
    def shows_start(self) -> bool:
        """Whether the first record is the first of its run, so that it is warm-up: false for the tail of a log."""
        if not self.iterations or self.format is None:
            return False
        first = self.iterations[0]
        pattern = self.format.iteration
        if first.number - pattern.first_number < (1 if pattern.logs_first else self.log_interval or 1):
            return True
        return self.training_started_line is not None and self.training_started_line < first.line
