"""Predicted beside measured: each run by the other runs of its campaign alone."""

import math
from collections.abc import Callable
from dataclasses import dataclass

from nodesweep.common.units import MIB
from nodesweep.performance.calibration.observations import mib_of_a_rank, name_of
from nodesweep.performance.calibration.time_model import SIGMAS
from nodesweep.performance.forecast import memory_of

from .row import ExplainedFigure, RowContext


@dataclass(frozen=True)
class _Prediction:
    """Predicted seconds of an iteration and their relative standard error; `seconds` is None where there are none."""

    seconds: float | None
    sigma: float
    said: tuple[str, ...]


def _prediction(known: RowContext) -> _Prediction:
    """By the other runs of its campaign alone."""
    found, calibration = known.estimate, known.calibration
    if found is None or calibration is None:
        return _Prediction(None, 0.0, (known.no_estimate,))
    run = known.basis.runs[calibration.campaign].get(name_of(known.row))
    if run is None:
        said = f"a (m + (p - 1) / v) + sync, by the {len(calibration.runs)} runs of {known.place}"
        return _Prediction(found.seconds, found.sigma, (said, f"its interval is so wide by {found.by}"))
    others = f"{known.place}: runs: by the {len(calibration.runs) - 1} others, without this one"
    if run.left_out_error is None or run.left_out_sigma is None:
        return _Prediction(None, 0.0, (f"{others}: they do not tell it",))
    value = run.seconds * (1 + run.left_out_error)
    return _Prediction(
        value, run.left_out_sigma, (others, f"= {run.seconds!r} x (1 + {run.left_out_error!r}) = {value!r}")
    )


def _predicted(known: RowContext) -> ExplainedFigure:
    found = _prediction(known)
    return ExplainedFigure(found.seconds, found.said)


def _bound(sign: int) -> Callable[[RowContext], ExplainedFigure]:
    def figure(known: RowContext) -> ExplainedFigure:
        found = _prediction(known)
        if found.seconds is None:
            return ExplainedFigure(None, found.said)
        value = found.seconds * math.exp(sign * SIGMAS * found.sigma)
        formula = "predicted_seconds x e^(1.96 x its relative standard error), or over it"
        return ExplainedFigure.worked_out(
            value, formula, f"{found.seconds!r} x e^({sign * SIGMAS:g} x {found.sigma!r})"
        )

    return figure


def _prediction_error(known: RowContext) -> ExplainedFigure:
    found, seconds = _prediction(known), known["iteration_seconds"]
    if found.seconds is None or not seconds:
        return ExplainedFigure(None, found.said if found.seconds is None else ("no iteration was measured",))
    value = 100 * (found.seconds / seconds - 1)
    numbers = f"100 x ({found.seconds!r} / {seconds!r} - 1)"
    return ExplainedFigure.worked_out(value, "predicted_seconds / sec/it - 1, in %", numbers)


def _memory(known: RowContext) -> ExplainedFigure:
    if known.case is None or known.machine is None or known.workload is None:
        return ExplainedFigure(None, (known.no_estimate,))
    peaks = known.basis.peaks.get(known.row["campaign"] or "", {})
    run = peaks.get(name_of(known.row))
    if run is not None:
        value = run.mib * (1 + run.left_out_error)
        others = f"{known.place}: memory: by the {len(peaks) - 1} other runs"
        return ExplainedFigure.worked_out(value, others, f"{run.mib!r} x (1 + {run.left_out_error!r})")
    memory = memory_of(known.case, known.machine, known.workload, known.calibration)
    if not memory.sure:
        return ExplainedFigure(None, (f"only {memory.source}",))
    parts = memory.peak.of
    said = (
        f"by {memory.source}, stage {memory.peak.stage}: process {parts.process / MIB:.0f} MiB, weights, gradients and "
        f"optimizer {parts.state_bytes / MIB:.0f}, {parts.factor:.4g} x {parts.tensor_bytes / MIB:.0f} of activations"
    )
    return ExplainedFigure(memory.bytes / MIB, (said,))


def _memory_error(known: RowContext) -> ExplainedFigure:
    predicted, mib = _memory(known), known["memory_mib"]
    if predicted.value is None or mib is None or known["outcome"] != "ok" or known.case is None:
        return ExplainedFigure(None, ("no prediction, or no peak of what it needed",))
    case = known.case
    measured = mib_of_a_rank(mib, known["memory_source"], case.ranks_per_node, case.nodes * case.ranks_per_node)
    value = 100 * (predicted.value / measured - 1)
    formula = "predicted_memory_mib over the measured peak of a rank - 1, in %"
    return ExplainedFigure.worked_out(value, formula, f"100 x ({predicted.value!r} / {measured!r} - 1)")


PREDICTIONS: dict[str, Callable[[RowContext], ExplainedFigure]] = {
    "predicted_seconds": _predicted,
    "predicted_seconds_low": _bound(-1),
    "predicted_seconds_high": _bound(1),
    "predicted_error_percent": _prediction_error,
    "predicted_memory_mib": _memory,
    "predicted_memory_error_percent": _memory_error,
}
"""How each figure is made of a row."""
