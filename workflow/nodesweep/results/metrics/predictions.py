"""Predicted beside measured: each run by the other runs of its campaign alone."""

import math
from collections.abc import Callable
from dataclasses import dataclass

from nodesweep.common.outcomes import is_result
from nodesweep.common.units import MIB
from nodesweep.config.tidy_row import text_of
from nodesweep.performance.calibration.observations import mib_of_a_rank, name_of
from nodesweep.performance.calibration.time_model import SIGMAS
from nodesweep.performance.forecast import memory_of

from .row import ExplainedFigure, RowContext


@dataclass(frozen=True)
class _Prediction:
    """Predicted seconds of an iteration and their relative standard error; `seconds` is None where there are none."""

    seconds: float | None
    sigma: float
    sentences: tuple[str, ...]


def _prediction(context: RowContext) -> _Prediction:
    """The time of a row by the other runs of its campaign alone."""
    found, calibration = context.estimate, context.calibration
    if found is None or calibration is None:
        return _Prediction(None, 0.0, (context.no_estimate,))
    run = context.basis.runs[calibration.campaign].get(name_of(context.row))
    if run is None:
        formula = f"a (m + (p - 1) / v) + sync, by the {len(calibration.runs)} runs of {context.place}"
        return _Prediction(found.seconds, found.sigma, (formula, f"its interval is so wide by {found.by}"))
    others = f"{context.place}: runs: by the {len(calibration.runs) - 1} others, without this one"
    if run.left_out_error is None or run.left_out_sigma is None:
        return _Prediction(None, 0.0, (f"{others}: they do not tell it",))
    value = run.seconds * (1 + run.left_out_error)
    numbers = f"= {run.seconds!r} x (1 + {run.left_out_error!r}) = {value!r}"
    return _Prediction(value, run.left_out_sigma, (others, numbers))


def _predicted(context: RowContext) -> ExplainedFigure:
    found = _prediction(context)
    return ExplainedFigure(found.seconds, found.sentences)


def _bound(sign: int) -> Callable[[RowContext], ExplainedFigure]:
    """The lower (-1) or upper (1) end of the interval."""

    def figure(context: RowContext) -> ExplainedFigure:
        found = _prediction(context)
        if found.seconds is None:
            return ExplainedFigure(None, found.sentences)
        value = found.seconds * math.exp(sign * SIGMAS * found.sigma)
        formula = "predicted_seconds x e^(1.96 x its relative standard error), or over it"
        numbers = f"{found.seconds!r} x e^({sign * SIGMAS:g} x {found.sigma!r})"
        return ExplainedFigure.by_formula(value, formula, numbers)

    return figure


def _prediction_error(context: RowContext) -> ExplainedFigure:
    found, seconds = _prediction(context), context.seconds
    if found.seconds is None:
        return ExplainedFigure(None, found.sentences)
    if not seconds:
        return ExplainedFigure.none("no iteration was measured")
    value = 100 * (found.seconds / seconds - 1)
    numbers = f"100 x ({found.seconds!r} / {seconds!r} - 1)"
    return ExplainedFigure.by_formula(value, "predicted_seconds / sec/it - 1, in %", numbers)


def _memory(context: RowContext) -> ExplainedFigure:
    if context.case is None or context.machine is None or context.workload is None:
        return ExplainedFigure.none(context.no_estimate)
    peaks = context.basis.peaks.get(context.stack, {})
    run = peaks.get(name_of(context.row))
    if run is not None:
        value = run.mib * (1 + run.left_out_error)
        others = f"{context.place}: memory: by the {len(peaks) - 1} other runs"
        return ExplainedFigure.by_formula(value, others, f"{run.mib!r} x (1 + {run.left_out_error!r})")
    memory = memory_of(context.case, context.machine, context.workload, context.calibration)
    if memory.peak is None or memory.bytes is None:
        return ExplainedFigure.none(memory.source)
    if not memory.sure:
        return ExplainedFigure.none(f"only {memory.source}")
    parts = memory.peak.of
    sentence = (
        f"by {memory.source}, stage {memory.peak.stage}: process {parts.process / MIB:.0f} MiB, weights, gradients and "
        f"optimizer {parts.state_bytes / MIB:.0f}, {parts.factor:.4g} x {parts.tensor_bytes / MIB:.0f} of activations"
    )
    return ExplainedFigure(memory.bytes / MIB, (sentence,))


def _memory_error(context: RowContext) -> ExplainedFigure:
    predicted, mib, case = _memory(context), context.number("memory_mib"), context.case
    needed = is_result(text_of(context.row, "outcome"))
    if predicted.value is None or mib is None or not needed or case is None:
        return ExplainedFigure.none("no prediction, or no peak of what it needed")
    source = text_of(context.row, "memory_source")
    measured = mib_of_a_rank(mib, source, case.ranks_per_node, case.nodes * case.ranks_per_node)
    value = 100 * (predicted.value / measured - 1)
    formula = "predicted_memory_mib over the measured peak of a rank - 1, in %"
    return ExplainedFigure.by_formula(value, formula, f"100 x ({predicted.value!r} / {measured!r} - 1)")


PREDICTIONS: dict[str, Callable[[RowContext], ExplainedFigure]] = {
    "predicted_seconds": _predicted,
    "predicted_seconds_low": _bound(-1),
    "predicted_seconds_high": _bound(1),
    "predicted_error_percent": _prediction_error,
    "predicted_memory_mib": _memory,
    "predicted_memory_error_percent": _memory_error,
}
"""The function that makes each prediction of a row."""
