"""Utilization, parts of the time, scaling and cost of a row."""

from collections.abc import Callable

from nodesweep.performance.calibration.time_model import FIRST_NOISE
from nodesweep.performance.cost import node_hours_per_billion_tokens, training_days

from .row import ExplainedFigure, RowContext, efficiency_percent


def _error(known: RowContext) -> ExplainedFigure:
    seconds, spread = known["iteration_seconds"], known["iteration_seconds_half_interquartile_range"]
    if seconds is None:
        return ExplainedFigure(None, ("no iteration was measured",))
    model = known.calibration.time.model if known.calibration else None
    noise, place = (model.noise, f"{known.place}: noise") if model else (FIRST_NOISE, "taken, as no campaign tells")
    said = (
        f"the larger of half their interquartile range, {spread or 0.0:.4g} s, and of what runs of one layout differ by"
    )
    return ExplainedFigure(
        max(spread or 0.0, noise * seconds), (said, f"{100 * noise:.3g} % of {seconds!r} s ({place})")
    )


def _utilization(column: str, recomputation: bool) -> Callable[[RowContext], ExplainedFigure]:
    def figure(known: RowContext) -> ExplainedFigure:
        peak, tflops = known.peak, known[column]
        if known["iteration_seconds"] is None:
            return ExplainedFigure(None, ("no iteration was measured",))
        if peak is None:
            return ExplainedFigure(None, ("the peak of its nodes is not known: machine.peak_tflops",))
        said = column
        if tflops is None and known.case is not None:
            tflops = known.case.tflops_per_node(known["iteration_seconds"], recomputation)
            said = "TFLOPs of a node by the formula"
        if tflops is None:
            return ExplainedFigure(None, ("sizes of its model or layout are not known",))
        of = f"{peak.precision}{f', {peak.frequency_ghz:g} GHz' if peak.frequency_ghz else ''}"
        value = 100 * tflops / peak.tflops_per_node
        formula = f"{said} over the peak of a node ({of}; machine.peak_tflops), in %"
        return ExplainedFigure.worked_out(value, formula, f"100 x {tflops!r} / {peak.tflops_per_node!r}")

    return figure


_PARTS = ("a m", "a (p - 1) / v", "sync", "a times the turns of ranks beyond the cores, instead of the bubble")


def _share(number: int) -> Callable[[RowContext], ExplainedFigure]:
    def figure(known: RowContext) -> ExplainedFigure:
        if known.estimate is None or known.case is None:
            return ExplainedFigure(None, (known.no_estimate,))
        parts, case = known.estimate.parts, known.case
        micro = parts.compute_seconds / case.micro_batches
        turns = parts.sharing_seconds / micro
        waits = f"(p - 1) / v = {parts.bubble_seconds / micro:.4g}" + (
            f", turns of others = {turns:.4g}" if turns else ""
        )
        seconds = (parts.compute_seconds, parts.bubble_seconds, parts.sync_seconds, parts.sharing_seconds)[number]
        value = 100 * parts.shares[number]
        return ExplainedFigure.worked_out(
            value,
            f"of a (m + (p - 1) / v) + sync, by {known.place}: {_PARTS[number]}",
            f"100 x {seconds!r} / {parts.total_seconds!r}",
            f"a = {micro:.6g} s, m = {case.micro_batches}, {waits}, "
            f"sync = {parts.sync_seconds:.4g} s at DP {case.data}",
        )

    return figure


def _efficiency(known: RowContext) -> ExplainedFigure:
    value, base = efficiency_percent(known.row, known.base), known.base
    if value is None or base is None:
        missing = "no iteration was measured" if known["iteration_seconds"] is None else "nothing to compare it with"
        return ExplainedFigure(None, (f"{missing}: no other node count of its model, MP and global batch has run",))
    here, there = (f"{row['iteration_seconds']!r} x {row['nodes']}" for row in (known.row, base))
    formula = f"sec/it x nodes of {base['slug']}, the fastest on the fewest nodes, over that of this one, in %"
    return ExplainedFigure.worked_out(value, formula, f"100 x {there} / ({here})")


def _node_hours(known: RowContext) -> ExplainedFigure:
    seconds, nodes, tokens = known["iteration_seconds"], known["nodes"], known.tokens
    if None in (seconds, nodes, tokens):
        return ExplainedFigure(None, ("no iteration was measured, or its nodes or batch are not known",))
    value = node_hours_per_billion_tokens(seconds, nodes, tokens)
    formula = "sec/it x nodes / 3600 / (GBS x sequence length) x 10^9"
    return ExplainedFigure.worked_out(value, formula, f"{seconds!r} x {nodes} / 3600 / {tokens} x 10^9")


def _days(known: RowContext) -> ExplainedFigure:
    seconds, tokens = known["iteration_seconds"], known.tokens
    wanted = known.basis.sweep.training_tokens if known.basis.sweep else None
    if wanted is None:
        return ExplainedFigure(None, ("training_tokens of the config does not say how many",))
    if seconds is None or tokens is None:
        return ExplainedFigure(None, ("no iteration was measured, or its batch is not known",))
    value = training_days(seconds, tokens, wanted)
    formula = "sec/it x training_tokens / (GBS x sequence length) / 86400"
    return ExplainedFigure.worked_out(value, formula, f"{seconds!r} x {wanted:.10g} / {tokens} / 86400")


FIGURES: dict[str, Callable[[RowContext], ExplainedFigure]] = {
    "iteration_seconds_error": _error,
    "mfu_percent": _utilization("model_tflops_per_node", False),
    "hfu_percent": _utilization("tflops_per_node", True),
    "compute_percent": _share(0),
    "bubble_percent": _share(1),
    "sync_percent": _share(2),
    "sharing_percent": _share(3),
    "scaling_efficiency_percent": _efficiency,
    "node_hours_per_billion_tokens": _node_hours,
    "training_days": _days,
}
"""How each figure is made of a row."""
