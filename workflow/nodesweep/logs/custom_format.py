"""A format that a user has described in a config, as a row like those of the known trainers."""

from decimal import Decimal

from nodesweep.config.log_format import LogFigure, LogFormat, LogLine, compiled
from nodesweep.logs.patterns.endings import Success
from nodesweep.logs.patterns.lines import IterationPattern, LinePattern
from nodesweep.logs.patterns.quantities import MIB_OF_UNIT, ONE, SECONDS, TFLOPS, Quantity
from nodesweep.logs.patterns.trainer import Format, WarmUp

from .trainers import FORMATS

_UNITS = {
    "seconds": SECONDS,
    "peak_allocated": MIB_OF_UNIT,
    "peak_reserved": MIB_OF_UNIT,
    "tflops": TFLOPS,
}


def format_of(written: str | LogFormat) -> Format | None:
    """The format a workload names or describes; None where the format is to be recognised."""
    if isinstance(written, str):
        return FORMATS.get(written)
    inline = {name: figure for name, figure in written.figures.given.items() if figure.contains is None}
    apart = {name: figure for name, figure in written.figures.given.items() if figure.contains is not None}
    iteration = IterationPattern(
        name=written.name,
        head=_line(written.iteration),
        quantities=tuple(_quantity(name, figure) for name, figure in inline.items()),
        trailing=tuple((str(figure.contains), _quantity(name, figure)) for name, figure in apart.items()),
        first_number=written.first_number,
    )
    finished = [Success(written.name, "trainer", line.markers, line.pattern) for line in _lines(written.finished)]
    warm_up = WarmUp(written.warmup, min(written.warmup, 1), f"the format's own: {written.warmup}")
    return Format(written.name, iteration, warm_up, starts=_lines(written.started), successes=tuple(finished))


def key_of(written: str | LogFormat) -> str:
    """What a measurement depends on of the format: its name, or the whole description of one of the user's own."""
    return written if isinstance(written, str) else written.model_dump_json()


def _lines(line: LogLine | None) -> tuple[LinePattern, ...]:
    return (_line(line),) if line is not None else ()


def _line(line: LogLine) -> LinePattern:
    return LinePattern((line.contains,), compiled(line.pattern))


def _quantity(name: str, figure: LogFigure) -> Quantity:
    factor = _UNITS[name][figure.unit] if figure.unit is not None else ONE
    full = f"{name}_mib" if name.startswith("peak_") else name
    return Quantity(full, name, compiled(figure.pattern), Decimal(factor), text=figure.contains or "")
