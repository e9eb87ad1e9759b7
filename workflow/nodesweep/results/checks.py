"""Figures that contradict each other, the log or the machine, or that are too noisy to compare: flags in words.

Each check gives no flag or one; a flag says both figures, so that a reader can judge.
"""

from itertools import pairwise
from statistics import median

from nodesweep.config.layout_fields import FIELDS
from nodesweep.config.machine import PeakTflops, peak_of
from nodesweep.logs.finest import IterationAmounts, rates_apart
from nodesweep.logs.patterns.trainer import Format
from nodesweep.logs.reading import Iteration, LogReading
from nodesweep.logs.warmup import timed
from nodesweep.performance import flops
from nodesweep.performance.dimensions import Dimensions
from nodesweep.sweep.layout import Layout

from .measurement import IterationStatistics
from .suspension import suspended_flag
from .terminal_record import TerminalRecord

STAMPS_TOLERANCE = 0.1
FEWEST_STAMPS = 3
"""Differences of time stamps, so that one evaluation or checkpoint between two records moves no median."""
RATE_TOLERANCE = 0.05
"""Of rates whose times are others: those by time stamps, between which other things happen, and means over steps."""
SPREAD_LIMIT = 0.1
"""Half the interquartile range over the median: neighbouring layouts of a sweep often differ by less than 10 %."""
FEWEST_OF_A_SPREAD = 4
PRINTED_TFLOPS_STEP = 0.01
"""The last digit that logs print of their TFLOPs."""
TFLOPS_TOLERANCE = 0.02
ARGUMENTS = {row.logged_as[0]: name for name, row in FIELDS.items() if row.checked_in_log}
"""Arguments that trainers print, and the fields of a layout that they must agree with."""


def above_peak(peak: PeakTflops | None, hardware_tflops: float, model_tflops: float) -> list[str]:
    """Rates of a node, recomputation counted (HFU) and not (MFU), that are above what it can do at best."""
    if peak is None or hardware_tflops <= peak.tflops_per_node:
        return []
    percents = {"HFU": 100 * hardware_tflops / peak.tflops_per_node, "MFU": 100 * model_tflops / peak.tflops_per_node}
    above = " and ".join(f"{name} {percent:.4g} %" for name, percent in percents.items() if percent > 100)
    clock = f" at {peak.frequency_ghz:g} GHz" if peak.frequency_ghz is not None else ""
    return [f"{above} of a node's peak of {peak.tflops_per_node:g} TFLOPs in {peak.precision}{clock}"]


def stamps_differ(reading: LogReading, first_used: int) -> list[str]:
    """Printed times that are not what passes between the time stamps of the records from iteration `first_used` on.

    The median of the differences must be off by more than 10 % and by more than stamps of whole seconds allow, and so
    must their mean: stamps that come in bunches, of lines kept back in a buffer, have a wrong median only.
    """
    if reading.format is None or reading.format.iteration.derive == "clock":
        return []
    found = []
    for before, row in pairwise(reading.iterations):
        if row.number >= first_used and row.seconds is not None and row.clock is not None and before.clock is not None:
            found.append((row.seconds, row.clock - before.clock, row.number - before.number))
    found = [(seconds, passed, iterations) for seconds, passed, iterations in found if passed >= 0]
    if len(found) < FEWEST_STAMPS:
        return []
    whole_seconds = all(passed.is_integer() for _, passed, _ in found)
    step = 1 / min(iterations for _, _, iterations in found) if whole_seconds else 0
    by_log = median(seconds for seconds, _, _ in found)
    by_stamps = median(passed / iterations for _, passed, iterations in found)
    mean = sum(passed for _, passed, _ in found) / sum(iterations for _, _, iterations in found)
    allowed = max(STAMPS_TOLERANCE * by_log, step)
    if min(by_stamps, mean) - by_log > allowed or by_log - max(by_stamps, mean) > allowed:
        return [f"sec/it {by_log:.3g} by the log, {by_stamps:.3g} by its time stamps"]
    return []


def spread_too_large(seconds: list[float], half_interquartile_range: float | None) -> list[str]:
    """Times that scatter so much that their median says little.

    Few slow records, such as those with an evaluation in them, move a quartile but not the median of the deviations:
    both must be large.
    """
    if len(seconds) < FEWEST_OF_A_SPREAD or half_interquartile_range is None:
        return []
    middle = median(seconds)
    deviation = median(abs(value - middle) for value in seconds)
    if min(half_interquartile_range, deviation) <= SPREAD_LIMIT * middle:
        return []
    return [f"sec/it scatters by {100 * half_interquartile_range / middle:.3g} % (half interquartile range)"]


def rates_differ(form: Format | None, used: tuple[Iteration, ...], amounts: IterationAmounts) -> list[str]:
    """Rates in the log that are not the samples or tokens of an iteration over its seconds, by what is known of these.

    A rate must be off by more than the roundings of both in most records, and where it need not be of the very same
    time, the median of all by more than 5 % too.
    """
    loose = form is None or form.iteration.derive == "clock" or form.warm_up.are_means
    flags = []
    for apart in rates_apart(used, amounts):
        off = abs(apart.logged - apart.counted)
        if not loose or off > RATE_TOLERANCE * apart.counted:
            unit, words = _RATES[apart.figure]
            digits = 4 if off > 1e-3 * apart.counted else 7
            flags.append(f"log says {apart.logged:.{digits}g} {unit}, {words} is {apart.counted:.{digits}g}")
    return flags


_RATES = {
    "samples_per_second": ("samples/s", "GBS / sec/it"),
    "tokens_per_second": ("tokens/s", "GBS x sequence length / sec/it"),
    "tokens_per_second_per_rank": ("tokens/s per rank", "the batch / sec/it / ranks"),
}
"""Rates of a log with their units, and what they should be."""


def flags_of_log(
    case: Dimensions,
    record: TerminalRecord,
    reading: LogReading,
    statistics: IterationStatistics | None,
    statistic: str,
) -> tuple[str, ...]:
    """The flags of a run by its record and its log, as far as its sizes are known."""
    flags = []
    if record.usage.power_capped:
        flags.append(f"power was capped at {record.usage.power_capped}")
    after_warm_up = timed(reading)[statistics.records_dropped :] if statistics else ()
    suspended = record.usage.suspended_seconds
    flags += suspended_flag(after_warm_up, reading.log_interval or 1, suspended, statistic)
    used = tuple(row for row in after_warm_up if statistics and row.number != statistics.paused_iteration)
    if statistics is not None:
        flags += _few_records(reading, statistics)
        flags += _tflops_differ(case, reading.format, used)
    if reading.restarts:
        flags.append(f"restarted {reading.restarts} times")
    if statistics is not None:
        seconds = [row.seconds for row in used if row.seconds is not None]
        flags += stamps_differ(reading, statistics.first_iteration)
        flags += spread_too_large(seconds, statistics.iteration_seconds_half_interquartile_range)
        flags += rates_differ(reading.format, used, amounts_of(case))
    return tuple(flags)


def flags_of_layout(layout: Layout, reading: LogReading, statistics: IterationStatistics | None) -> tuple[str, ...]:
    """The flags of a run against its layout: rates that its nodes cannot reach, arguments that it does not have."""
    flags = []
    if statistics and statistics.tflops_per_node is not None and statistics.model_tflops_per_node is not None:
        peak = peak_of(layout.machine, layout.precision, layout.frequency_ghz)
        flags += above_peak(peak, statistics.tflops_per_node, statistics.model_tflops_per_node)
    return (*flags, *_arguments_differ(layout, reading))


def amounts_of(case: Dimensions) -> IterationAmounts:
    """What an iteration trains on, as far as the sizes of a run are known."""
    return IterationAmounts(case.maybe("global_batch"), case.maybe("sequence_length"), case.maybe("ranks"))


def _few_records(reading: LogReading, statistics: IterationStatistics) -> list[str]:
    if len(timed(reading)) == 1:
        return ["1 iteration only"]
    return [f"iteration {statistics.last_iteration} only"] if statistics.records_used == 1 else []


def _tflops_differ(case: Dimensions, form: Format | None, used: tuple[Iteration, ...]) -> list[str]:
    """A flag where the log's own TFLOPs differ by more than their rounding and 2 % from those by every convention."""
    work, ranks = (
        "hardware_flops" if form is not None and form.counts_recomputation else "model_flops",
        case.maybe("ranks"),
    )
    if not ranks or not case.knows(work):
        return []
    own = case.flops_convention
    names = [own, *(name for name in flops.CONVENTIONS if name not in (own, "narayanan"))]
    works = [getattr(case.changed(flops_convention=name), work) for name in names]
    for row in used:
        if row.tflops is None or row.seconds is None:
            continue
        counted = [flops.tflops_per_node(one, row.seconds, ranks) for one in works]
        if all(abs(row.tflops - one) > PRINTED_TFLOPS_STEP / 2 + TFLOPS_TOLERANCE * one for one in counted):
            return [f"log says {row.tflops:g} TFLOPs per rank, formula {counted[0]:.3g}"]
    return []


def _arguments_differ(layout: Layout, reading: LogReading) -> list[str]:
    """A flag for each argument in the log that is not what the layout says."""
    arguments = dict(reading.arguments)
    logged = {name: arguments[name] for name in ARGUMENTS if arguments.get(name, "").isdecimal()}
    if reading.world_size is not None:
        logged["world_size"] = str(reading.world_size)
    values = {**layout.fields(), **layout.model.values}
    meant = {argument: values[name] for argument, name in ARGUMENTS.items()} | {"world_size": layout.ranks}
    return [
        f"log says {name} {value}, not {meant[name]}" for name, value in logged.items() if int(value) != meant[name]
    ]
