"""Utilization, parts of the time, scaling and cost of a row."""

from collections.abc import Callable

from nodesweep.performance.calibration.time_model import FIRST_NOISE
from nodesweep.performance.cost import node_hours_per_billion_tokens, training_days
from nodesweep.performance.dimensions import unknown_parts
from nodesweep.performance.timing import TimeParts
from nodesweep.results.scaling_kinds import BATCH, KINDS, ScalingKind, efficiency_interval, efficiency_percent

from .row import ExplainedFigure, RowContext

_NOTHING_MEASURED = "no iteration was measured"


def _error(context: RowContext) -> ExplainedFigure:
    seconds, spread = context.seconds, context.number("iteration_seconds_half_interquartile_range")
    if seconds is None:
        return ExplainedFigure.none(_NOTHING_MEASURED)
    reach, what = spread or 0.0, "half their interquartile range"
    low, high = context.number("run_seconds_low"), context.number("run_seconds_high")
    if low is not None and high is not None:
        level = context.number("run_seconds_confidence_percent") or 0.0
        reach, what = (high - low) / 2, f"half the interval that holds the median over its runs with {level:.4g} %"
    model = context.calibration.time.model if context.calibration else None
    noise = model.noise if model else FIRST_NOISE
    place = f"{context.place}: noise" if model else "taken, as no campaign tells"
    rounding = context.number("iteration_seconds_rounding") or 0.0
    sentences = (
        f"the larger of {what}, {reach:.4g} s, and of what runs of one layout differ by",
        f"{100 * noise:.3g} % of {seconds!r} s ({place})",
        *([f"and {rounding:.2g} s by which the log may have rounded it"] if rounding else []),
    )
    return ExplainedFigure(max(reach, noise * seconds) + rounding, sentences)


def _utilization(column: str, recomputation: bool) -> Callable[[RowContext], ExplainedFigure]:
    """The share of a node's peak that the rate in a column is, recomputation counted in it or not."""

    def figure(context: RowContext) -> ExplainedFigure:
        peak, tflops, seconds = context.peak, context.number(column), context.seconds
        if seconds is None:
            return ExplainedFigure.none(_NOTHING_MEASURED)
        if peak is None:
            return ExplainedFigure.none("the peak of its nodes is not known: machine.gpu or machine.peak_tflops")
        rate = column
        if context.case is not None and context.case.other_parts:
            return ExplainedFigure.none(unknown_parts(context.case))
        if tflops is None and context.case is not None:
            tflops = context.case.tflops_per_node(seconds, recomputation)
            rate = "TFLOPs of a node by the formula"
        if tflops is None:
            return ExplainedFigure.none("sizes of its model or layout are not known")
        of = f"{peak.precision}{f', {peak.frequency_ghz:g} GHz' if peak.frequency_ghz else ''}"
        value = 100 * tflops / peak.tflops_per_node
        formula = f"{rate} over the peak of a node ({of}; {context.source_of_peak}), in %"
        return ExplainedFigure.by_formula(value, formula, f"100 x {tflops!r} / {peak.tflops_per_node!r}")

    return figure


def _share(term: str, seconds_of: Callable[[TimeParts], float]) -> Callable[[RowContext], ExplainedFigure]:
    """The share of a part of the time in an iteration; `term`: what it is in the formula."""

    def figure(context: RowContext) -> ExplainedFigure:
        if context.estimate is None or context.case is None:
            return ExplainedFigure.none(context.no_estimate)
        parts, case = context.estimate.parts, context.case
        micro = parts.compute_seconds / case.micro_batches
        turns = parts.sharing_seconds / micro
        waits = f"(p - 1) / v = {parts.bubble_seconds / micro:.4g}" + (
            f", turns of others = {turns:.4g}" if turns else ""
        )
        seconds = seconds_of(parts)
        return ExplainedFigure.by_formula(
            100 * (seconds / parts.total_seconds),
            f"of a (m + (p - 1) / v) + sync, by {context.place}: {term}",
            f"100 x {seconds!r} / {parts.total_seconds!r}",
            f"a = {micro:.6g} s, m = {case.micro_batches}, {waits}, "
            f"sync = {parts.sync_seconds:.4g} s at DP {case.data}",
        )

    return figure


def _efficiency(kind: ScalingKind) -> Callable[[RowContext], ExplainedFigure]:
    """The speed per node that is left in a series of a kind."""

    def figure(context: RowContext) -> ExplainedFigure:
        row, base = context.row, context.bases.get(kind.name)
        value = efficiency_percent(row, base)
        if value is None or base is None:
            missing = _NOTHING_MEASURED if context.seconds is None else "nothing to compare it with"
            return ExplainedFigure.none(f"{missing}: {_lacking(kind)}")
        here, there = (f"{one['iteration_seconds']!r} x {one['nodes']}" for one in (row, base))
        what = "sec/it x nodes"
        if row[BATCH] != base[BATCH]:
            here, there, what = f"{here} / {row[BATCH]}", f"{there} / {base[BATCH]}", f"{what} / GBS"
        formula = f"{what} of {base['slug']}, the fastest on the fewest nodes, over that of this one, in %"
        ends = efficiency_interval(row, base)
        between = "{:.4g} to {:.4g} while both times lie within the intervals of their runs"
        more = [between.format(*ends)] if ends else []
        return ExplainedFigure.by_formula(value, formula, f"100 x {there} / ({here})", *more)

    return figure


def _lacking(kind: ScalingKind) -> str:
    if kind.any_batch:
        return "its model and MP ran on one number of nodes, or all of theirs are in strong and weak series"
    return f"no other node count of its model, MP and {kind.same} has run"


def _node_hours(context: RowContext) -> ExplainedFigure:
    seconds, nodes, tokens = context.seconds, context.count("nodes"), context.tokens
    if seconds is None or nodes is None or tokens is None:
        return ExplainedFigure.none("no iteration was measured, or its nodes or batch are not known")
    value = node_hours_per_billion_tokens(seconds, nodes, tokens)
    formula = "sec/it x nodes / 3600 / (GBS x sequence length) x 10^9"
    return ExplainedFigure.by_formula(value, formula, f"{seconds!r} x {nodes} / 3600 / {tokens} x 10^9")


def _days(context: RowContext) -> ExplainedFigure:
    seconds, tokens = context.seconds, context.tokens
    wanted = context.basis.sweep.training_tokens if context.basis.sweep else None
    if wanted is None:
        return ExplainedFigure.none("training_tokens of the config does not say how many")
    if seconds is None or tokens is None:
        return ExplainedFigure.none("no iteration was measured, or its batch is not known")
    value = training_days(seconds, tokens, wanted)
    formula = "sec/it x training_tokens / (GBS x sequence length) / 86400"
    return ExplainedFigure.by_formula(value, formula, f"{seconds!r} x {wanted:.10g} / {tokens} / 86400")


FIGURES: dict[str, Callable[[RowContext], ExplainedFigure]] = {
    "iteration_seconds_error": _error,
    "mfu_percent": _utilization("model_tflops_per_node", recomputation=False),
    "hfu_percent": _utilization("tflops_per_node", recomputation=True),
    "compute_percent": _share("a m", lambda parts: parts.compute_seconds),
    "bubble_percent": _share("a (p - 1) / v", lambda parts: parts.bubble_seconds),
    "sync_percent": _share("sync", lambda parts: parts.sync_seconds),
    "sharing_percent": _share(
        "a times the turns of ranks beyond the cores, instead of the bubble", lambda parts: parts.sharing_seconds
    ),
    **{kind.column: _efficiency(kind) for kind in KINDS},
    "node_hours_per_billion_tokens": _node_hours,
    "training_days": _days,
}
"""The function that makes each figure of a row."""
