"""How a user describes the log of a trainer that nodesweep does not know: lines, figures and units."""

from typing import Annotated, Literal, Self, get_args

import re2
from pydantic import AfterValidator, Discriminator, Field, Tag, model_validator

from nodesweep.common.text_pattern import TextPattern

from .registries import log_format_names
from .types import Contained, Expression, Name, OneOf, StrictModel

BuiltInFormat = Annotated[str, OneOf(log_format_names, "log format")]
TimeUnit = Literal["s", "ms", "us", "m", "h"]
MemoryUnit = Literal["B", "KiB", "MiB", "GiB", "TiB", "KB", "MB", "GB", "TB"]
SpeedUnit = Literal["FLOP/s", "GFLOP/s", "TFLOP/s", "PFLOP/s"]
Unit = Literal[TimeUnit, MemoryUnit, SpeedUnit]
UNITS: dict[str, tuple[str, ...]] = {
    "seconds": get_args(TimeUnit),
    "peak_allocated": get_args(MemoryUnit),
    "peak_reserved": get_args(MemoryUnit),
    "tflops": get_args(SpeedUnit),
}
"""Units of the figures that have one; none is assumed."""


def compiled(pattern: str) -> TextPattern:
    """A user's pattern in RE2's syntax: searches take time linear in a line's length. Raises ValueError."""
    options = re2.Options()
    options.log_errors = False
    try:
        result: TextPattern = re2.compile(pattern, options)
        return result
    except re2.error as error:
        reason = error.args[0].decode(errors="replace") if error.args else "unknown"
        raise ValueError(
            f"{pattern!r:.200} is no pattern of RE2's syntax: {reason}; patterns that look back or around are not in it"
        ) from None


def _check_pattern(pattern: str) -> str:
    compiled(pattern)
    return pattern


Pattern = Annotated[Expression, AfterValidator(_check_pattern)]


class LogLine(StrictModel):
    """A line of a log."""

    contains: Contained
    """Plain text that every such line holds, the rarer the better: lines without it are not looked at."""
    pattern: Pattern
    """Pattern of the line, in the syntax of RE2."""


class IterationLine(LogLine):
    """The line of an iteration; its pattern has a group `number` and may have one named `total`."""

    @model_validator(mode="after")
    def _numbered(self) -> Self:
        if "number" not in compiled(self.pattern).groupindex:
            raise ValueError("pattern has no group for the iteration's number; write it as (?P<number>\\d+)")
        return self


class LogFigure(StrictModel):
    """A number of an iteration."""

    pattern: Pattern
    """Pattern whose one group is the number, in the syntax of RE2; it should go on behind the number."""
    unit: Unit | None = None
    """Unit the number is printed in, for times, memory and FLOP/s: `s`, `ms`, `MiB`, `GB`, `TFLOP/s`, ..."""
    contains: Contained | None = None
    """Plain text that its line holds, where the figure has a line of its own after the iteration's."""

    @model_validator(mode="after")
    def _one_group(self) -> Self:
        groups = compiled(self.pattern).groups
        if groups != 1:
            raise ValueError(f"pattern has {groups} groups; put the number, and nothing else, in parentheses")
        return self


class LogFigures(StrictModel):
    """The figures of an iteration, from its line or from lines after it."""

    seconds: LogFigure | None = None
    """Time of an iteration; this or iterations_per_second is needed."""
    iterations_per_second: LogFigure | None = None
    """Iterations a second."""
    loss: LogFigure | None = None
    """Loss, in nats per token."""
    tflops: LogFigure | None = None
    """Floating-point operations per second of one rank."""
    mfu_percent: LogFigure | None = None
    """Share of the machine's peak the model's operations reach, in percent."""
    samples_per_second: LogFigure | None = None
    """Samples a second, of the whole run."""
    tokens_per_second: LogFigure | None = None
    """Tokens a second, of the whole run."""
    tokens_per_second_per_rank: LogFigure | None = None
    """Tokens a second, of one rank."""
    global_batch_samples: LogFigure | None = None
    """Samples of an iteration."""
    global_batch_tokens: LogFigure | None = None
    """Tokens of an iteration."""
    skipped: LogFigure | None = None
    """Iterations skipped."""
    nan: LogFigure | None = None
    """Iterations whose loss was no number."""
    peak_allocated: LogFigure | None = None
    """Highest memory allocated, of one rank."""
    peak_reserved: LogFigure | None = None
    """Highest memory reserved by the allocator, of one rank."""

    @model_validator(mode="after")
    def _usable(self) -> Self:
        if self.seconds is None and self.iterations_per_second is None:
            raise ValueError("has neither seconds nor iterations_per_second; one of them gives the time")
        for name, figure in self.given.items():
            units = UNITS.get(name, ())
            if figure.unit not in units and (units or figure.unit is not None):
                choice = ", ".join(units) or "none; leave it out"
                raise ValueError(f"{name} has the unit {figure.unit}; its units: {choice}")
        return self

    @property
    def given(self) -> dict[str, LogFigure]:
        """Figures that are described, by name."""
        return {name: figure for name in type(self).model_fields if (figure := getattr(self, name)) is not None}


class LogFormat(StrictModel):
    """How a trainer of your own writes its log."""

    name: Name
    """Label of the format."""
    iteration: IterationLine
    """The line of an iteration."""
    figures: LogFigures
    """The figures of an iteration."""
    started: LogLine | None = None
    """A line that says that training starts."""
    finished: LogLine | None = None
    """A line that says that training has come to its end."""
    first_number: Annotated[int, Field(strict=True, ge=0, le=1)] = 1
    """What the first iteration is called: 0 or 1."""
    warmup: Annotated[int, Field(strict=True, ge=0)] = 1
    """First iterations that are no measurements."""


# Tags in brackets are left out where a complaint names the key.
WrittenFormat = Annotated[
    Annotated[BuiltInFormat, Tag("[name]")] | Annotated[LogFormat, Tag("[description]")],
    Discriminator(lambda value: "[description]" if isinstance(value, dict | LogFormat) else "[name]"),
]
