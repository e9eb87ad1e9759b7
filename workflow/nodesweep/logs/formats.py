"""What trainers print, as rows of data: where a figure stands in a line, and in which unit.

A format is a table of such rows. Every row matches some line of tests/logs/<format>.log. Patterns are linear in the
length of a line, and each names a marker: plain text without which the pattern need not be tried.
"""

import re
from dataclasses import dataclass

NUMBER = r"([-+]?(?:\d{1,18}(?:\.\d{0,18})?(?:[eE][-+]?\d{1,3})?|[nN][aA][nN]|[iI][nN][fF]))"
COUNT = r"(\d{1,12})"
END_OF_FIELD = r"\s{0,12}\|"


@dataclass(frozen=True)
class Figure:
    """A figure of an iteration: the number in its pattern's one group.

    `name`: a field of the record. `pattern`: where in the record's line it stands; None on a line of its own.
    `printed_per_unit`: how much of what is printed makes one `unit`.
    """

    name: str
    unit: str
    pattern: re.Pattern[str] | None = None
    printed_per_unit: int = 1


@dataclass(frozen=True)
class Line:
    """A line that says one thing; what the groups mean is written beside `Format`'s fields."""

    marker: str
    pattern: re.Pattern[str]


@dataclass(frozen=True)
class Format:
    """How one family of trainers writes its log.

    `iteration`: groups number, total; the line is a record when it also has a figure named seconds.
    `figures`: looked for in the rest of an iteration's line.
    `trailing`: figures of the last record on lines of their own.
    `rank_memory`: groups rank (may be missing: rank 0), allocated, reserved: peaks in MiB; several in a line.
    `node_memory`: group used, in MiB, of one node. `started`, `finished`: no groups.
    `world_size`: group ranks. `arguments`: the lines around the dump, and its lines with groups name and value.
    """

    name: str
    iteration: Line
    figures: tuple[Figure, ...]
    trailing: tuple[tuple[Line, Figure], ...]
    rank_memory: Line
    node_memory: Line
    started: Line
    finished: Line
    world_size: Line
    arguments_start: Line
    arguments_end: Line
    argument: re.Pattern[str]


def _field(label: str, value: str = NUMBER) -> re.Pattern[str]:
    """A field `| label: value |` of a line whose fields are divided by bars.

    The second bar is asked for, so that a number torn in the middle is not taken for a whole one.
    """
    return re.compile(rf"\| {label}:\s{{0,12}}{value}{END_OF_FIELD}")


# Source: Megatron-DeepSpeed (microsoft, bigscience, DeepSpeedFugaku) and Megatron-LM up to v2, training_log() and
# report_memory(). Figures are of one device; "MB" is 2^20 bytes. TFLOPs count recomputation.
MEGATRON_DEEPSPEED = Format(
    name="megatron-deepspeed",
    iteration=Line(
        "iteration", re.compile(rf"iteration(?<!\witeration)\s{{1,12}}{COUNT}/\s{{0,12}}{COUNT}{END_OF_FIELD}")
    ),
    figures=(
        Figure("seconds", "s", _field(r"elapsed time per iteration \(ms\)"), printed_per_unit=1000),
        Figure("seconds", "s", _field(r"elapsed time per iteration \(s\)")),
        Figure("loss", "nats per token", _field("lm[ -]loss")),
        Figure("tflops", "TFLOP/s per rank", _field("TFLOPs")),
        Figure("samples_per_second", "samples/s", _field("samples per second")),
        Figure("skipped", "iterations", _field("number of skipped iterations", COUNT)),
        Figure("nan", "iterations", _field("number of nan iterations", COUNT)),
    ),
    trailing=(
        (
            Line("Effective Tera Flops per GPU", re.compile(rf"Effective Tera Flops per GPU: {NUMBER} and ")),
            Figure("tflops", "TFLOP/s per rank"),
        ),
    ),
    rank_memory=Line(
        "memory (MB)",
        re.compile(
            r"(?:\[Rank (?P<rank>\d{1,9})\] )?\(?after \d{1,12} iterations\)? "
            rf"(?:GPU )?memory \(MB\) \| allocated: {NUMBER} \| max allocated: (?P<allocated>{NUMBER})"
            rf" \| reserved: {NUMBER} \| max reserved: (?P<reserved>{NUMBER})(?![\d.])"
        ),
    ),
    node_memory=Line(
        "CPU memory (MB)",
        re.compile(rf"\(after \d{{1,12}} iterations\) CPU memory \(MB\) \| used: {NUMBER} \|"),
    ),
    started=Line("before the start of training step", re.compile(r"\[before the start of training step\] datetime: ")),
    finished=Line("after training is done", re.compile(r"\[after training is done\] datetime: ")),
    world_size=Line("using world size", re.compile(rf"(?<!\w)using world size: {COUNT}(?!\d)")),
    arguments_start=Line("- arguments -", re.compile("-{16,24} arguments -{16,24}")),
    arguments_end=Line("- end of arguments -", re.compile("-{12,24} end of arguments -{12,24}")),
    argument=re.compile(r"(?:^|[:\]] ) {2}([A-Za-z]\w{0,80}) \.{0,60} (.{0,400})"),
)

FORMATS = {row.name: row for row in (MEGATRON_DEEPSPEED,)}
