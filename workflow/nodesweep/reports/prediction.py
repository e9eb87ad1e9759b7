"""Predictions as text."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

from nodesweep.common.markdown import pipe_table
from nodesweep.common.numbers import UNKNOWN, anything, binary_size, four_figures, gib, percent
from nodesweep.config.headings import HEADINGS
from nodesweep.config.layout_field import LayoutField
from nodesweep.config.layout_fields import GIVEN
from nodesweep.config.parameters import parameter_fields
from nodesweep.performance.forecast import Forecast, MemoryForecast
from nodesweep.performance.predict import WhatIf
from nodesweep.performance.timing import no_time_formula
from nodesweep.results.scaling_kinds import KINDS, KindName

_HEADING_OF = {row.columns[0]: heading for heading, row in HEADINGS.items() if row.explains}
FORECAST_HEADINGS = ("Mem [GiB]", "At least", "Verdict", "Sec/it", "95 %")


def known_fields(points: Sequence[Mapping[str, Any]], parameters: Iterable[LayoutField] = ()) -> list[LayoutField]:
    """The fields of a layout that some of these points have a value of, in the order of tables, then parameters.

    A field that tables show only where it varies has no value where it has its default; what the workload says is left
    out of a point (`said`).
    """
    usual = {row.name: {None, ""} | ({row.default} if _goes_unsaid(row) else set()) for row in GIVEN}
    given = [row for row in GIVEN if any(fields.get(row.name) not in usual[row.name] for fields in points)]
    return [*given, *parameters]


def _goes_unsaid(row: LayoutField) -> bool:
    return row.in_tables == "varies" and not row.of_workload


def said(fields: Mapping[str, Any], unsaid: Collection[str]) -> dict[str, Any]:
    """The fields of a point but for those that are as the workload says."""
    return {name: value for name, value in fields.items() if name not in unsaid}


def heading_of(row: LayoutField) -> str:
    """A heading over the bare values of a field: `MP`, `Freq [GHz]`."""
    return f"{row.symbol} [{row.unit}]" if row.unit else row.symbol


def forecast_cells(forecast: Forecast) -> list[str]:
    """What is foreseen of a layout, below `FORECAST_HEADINGS`."""
    memory, time = forecast.memory, forecast.time
    least = UNKNOWN if memory.sure or not memory.least_bytes else gib(memory.least_bytes)
    cells = [UNKNOWN if memory.bytes is None else gib(memory.bytes), least, memory.verdict or UNKNOWN]
    if time is None:
        return [*cells, UNKNOWN, UNKNOWN]
    return [
        *cells,
        four_figures(time.seconds),
        f"{four_figures(time.low_seconds)} to {four_figures(time.high_seconds)}",
    ]


def table(found: Sequence[WhatIf], efficiencies: Sequence[Mapping[KindName, float]] = ()) -> str:
    """Layouts side by side, in markdown; `efficiencies` of each by kind of scaling, in percent."""
    points = [one.layout.values() for one in found]
    shown = known_fields(
        [said(one.layout.fields(), one.layout.unsaid) for one in found],
        parameter_fields(one.layout.parameters for one in found).values(),
    )
    kinds = [kind for kind in KINDS if any(kind.name in one for one in efficiencies)]
    scaling = [[percent(one.get(kind.name)) for kind in kinds] for one in efficiencies or [{}] * len(found)]
    headings = [*map(heading_of, shown), *FORECAST_HEADINGS, "Tokens/s", "Node-h / 1e9 tokens"]
    headings += [_HEADING_OF[kind.column] for kind in kinds]
    rows = [
        [
            *(anything(fields.get(row.name)) for row in shown),
            *forecast_cells(one.forecast),
            four_figures(one.tokens_per_second),
            four_figures(one.node_hours_per_billion_tokens),
            *scales,
        ]
        for one, fields, scales in zip(found, points, scaling, strict=True)
    ]
    return pipe_table(headings, rows, frozenset({"Verdict", "95 %"}))


def prediction_text(one: WhatIf) -> str:
    """One layout in lines: memory part by part, time part by part, cost, and what the interval rests on."""
    return "\n".join([one.layout.slug, *(f"  {line}" for line in (*_memory(one.forecast.memory), *_time(one)))])


def memory_source(memory: MemoryForecast) -> str:
    """What a peak of memory rests on, or why there is none."""
    return f"by {memory.source}" if memory.peak else f"unknown: {memory.source}"


def _memory(memory: MemoryForecast) -> list[str]:
    of = "" if memory.limit_bytes is None else f" of {binary_size(memory.limit_bytes)}"
    if memory.peak is None or memory.bytes is None:
        least = f"weights, gradients and optimizer state alone at least {binary_size(memory.least_bytes)}{of}"
        judged = f"{least}{f': {memory.verdict}' if memory.verdict else ''}"
        return [f"memory: {memory_source(memory)}", *([f"  {judged}"] if memory.least_bytes else [])]
    parts = memory.peak.of
    least = "" if memory.sure else f", {binary_size(memory.least_bytes)} at least"
    sizes = {
        "process": parts.process,
        "weights": parts.weights,
        "gradients": parts.gradients,
        "optimizer": parts.optimizer,
        "activations in flight": parts.factor * parts.activations,
        "working space": parts.factor * parts.working,
        "logits": parts.factor * parts.logits,
    }
    shown = ", ".join(f"{name} {binary_size(size)}" for name, size in sizes.items() if size)
    return [
        f"memory: {binary_size(memory.bytes)}{of} in stage {memory.peak.stage}{least}: "
        f"{memory.verdict or 'no limit known'} (by {memory.source})",
        f"  {shown}; an allocator takes {parts.factor:.3g} times what tensors need",
    ]


def _time(one: WhatIf) -> list[str]:
    case, time = one.forecast.case, one.forecast.time
    if time is None and not case.knows("stage_flops"):
        return ["time: unknown, for no formula gives the FLOPs; iterations.expected_seconds gives a guess"]
    if time is None:
        known = f"unknown: {one.forecast.refusal}" if one.forecast.refusal else "nothing is known of it"
        return [f"time: {known}; peak_tflops of the machine or iterations.expected_seconds give a guess"]
    micro = time.parts.compute_seconds / case.micro_batches
    parts = [
        f"compute {four_figures(time.parts.compute_seconds)} s = {case.micro_batches} micro batches x {micro:.4g} s",
        f"bubble {four_figures(time.parts.bubble_seconds)} s over {case.pipeline} stages",
        f"DP sync {four_figures(time.parts.sync_seconds)} s at DP {case.data}",
        *([f"shared cores {four_figures(time.parts.sharing_seconds)} s"] if time.parts.sharing_seconds else []),
    ]
    if reason := no_time_formula(case):
        parts = [f"its parts are unknown: {reason}"]
    cost = [
        f"{four_figures(one.tokens_per_second)} tokens/s",
        f"{four_figures(one.node_hours_per_billion_tokens)} node-hours per 1e9 tokens",
        *([f"MFU {one.mfu_percent:.1f} %"] if one.mfu_percent is not None else []),
        *([f"{one.training_days:.1f} days for {one.training_tokens:.10g} tokens"] if one.training_days else []),
    ]
    return [
        f"time: {four_figures(time.seconds)} s an iteration, 95 %: {four_figures(time.low_seconds)} to "
        f"{four_figures(time.high_seconds)} s (by {time.source})",
        f"  {', '.join(parts)}",
        f"  what makes the interval as wide as it is: {time.by}",
        f"cost: {', '.join(cost)}",
    ]
