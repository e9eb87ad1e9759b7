"""Layouts that are in no sweep yet -> what they would take, how surely, and by which assumption."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from nodesweep.common.errors import ConfigError, NodesweepError
from nodesweep.common.markdown import pipe_table
from nodesweep.common.numbers import anything, four_figures
from nodesweep.common.units import GIB, MIB
from nodesweep.config.machine import peak_of
from nodesweep.config.sweep import Block, Sweep
from nodesweep.sweep.expand import Expansion, expand
from nodesweep.sweep.layout import Layout

from .calibration import Calibration
from .cost import node_hours_per_billion_tokens, training_days
from .forecast import Forecast, Memory, forecast

AXES = (
    *("nodes", "data", "tensor", "pipeline", "micro_batch", "global_batch", "sequence_length"),
    *("activation_checkpointing", "frequency_ghz"),
)
"""Fields of a layout that can be asked about; DP follows from the others where it is not given."""
_HEADINGS = {"nodes": "Nodes", "data": "DP", "tensor": "MP", "pipeline": "PP", "micro_batch": "MBS"}
_HEADINGS |= {"global_batch": "GBS", "sequence_length": "Sequence", "activation_checkpointing": "AC"}
_LEFT = frozenset({"Verdict", "95 %"})


@dataclass(frozen=True)
class WhatIf:
    """A layout, what is foreseen of it, and the tokens the model is to be trained on."""

    layout: Layout
    forecast: Forecast
    training_tokens: float | None = None

    @property
    def tokens_per_second(self) -> float | None:
        """Tokens of all nodes."""
        time = self.forecast.time
        return self.forecast.case.tokens / time.seconds if time else None

    @property
    def node_hours_per_billion_tokens(self) -> float | None:
        """What 1e9 tokens cost."""
        case, time = self.forecast.case, self.forecast.time
        return node_hours_per_billion_tokens(time.seconds, case.nodes, case.tokens) if time else None

    @property
    def training_days(self) -> float | None:
        """Days for all tokens."""
        case, time, wanted = self.forecast.case, self.forecast.time, self.training_tokens
        return training_days(time.seconds, case.tokens, wanted) if time and wanted else None

    @property
    def mfu_percent(self) -> float | None:
        """Model FLOPs utilization."""
        case, time = self.forecast.case, self.forecast.time
        peak = peak_of(self.layout.machine, self.layout.workload.precision, self.layout.frequency_ghz)
        if peak is None or time is None:
            return None
        return 100 * case.tflops_per_node(time.seconds, recomputation=False) / peak.tflops_per_node


def asked(sweep: Sweep, like: Layout, axes: Mapping[str, Sequence[Any]]) -> Expansion:
    """The layouts that are like one, but for these axes; raises NodesweepError where none of them can be.

    DP follows from the others. What the sweep excludes may be asked about all the same.
    """
    fields = {name: axes.get(name) or (like.fields()[name],) for name in AXES if name != "data"}
    block = Block.model_validate(
        {name: list(values) for name, values in fields.items() if values != (None,)}
        | ({"data": list(axes["data"])} if axes.get("data") else {})
    )
    changes = {"layouts": (block,), "exclude": (), "variants": (like.variant,) if like.variant else ()}
    try:
        return expand(sweep.model_copy(update=changes))
    except ConfigError as error:
        reason = str(error).removeprefix("layouts: ").removesuffix("; change the axes or exclude")
        raise NodesweepError(reason) from None


def foreseen(
    sweep: Sweep, layouts: Sequence[Layout], calibrations: Mapping[str, Calibration], campaign: str | None
) -> list[WhatIf]:
    """What these layouts would take by the calibration of their campaign, or of the one that is named."""
    return [
        WhatIf(layout, forecast(layout, calibrations.get(campaign or layout.campaign)), sweep.training_tokens)
        for layout in layouts
    ]


def table(found: Sequence[WhatIf]) -> str:
    """Them side by side, in markdown."""
    headings = [*_HEADINGS.values(), "Mem [GiB]", "Verdict", "Sec/it", "95 %", "Tokens/s", "Node-h / 1e9 tokens"]
    rows = [
        [
            *(anything(one.layout.fields()[name]) for name in _HEADINGS),
            f"{one.forecast.memory.bytes / GIB:.1f}",
            one.forecast.memory.verdict or "-",
            *_seconds(one),
            four_figures(one.tokens_per_second),
            four_figures(one.node_hours_per_billion_tokens),
        ]
        for one in found
    ]
    return pipe_table(headings, rows, _LEFT)


def _seconds(one: WhatIf) -> tuple[str, str]:
    time = one.forecast.time
    if time is None:
        return "-", "-"
    return four_figures(time.seconds), f"{four_figures(time.low_seconds)} to {four_figures(time.high_seconds)}"


def told(one: WhatIf) -> str:
    """One layout in lines: memory part by part, time part by part, cost, and what the interval rests on."""
    return "\n".join([one.layout.slug, *(f"  {line}" for line in (*_memory(one.forecast.memory), *_time(one)))])


def _memory(memory: Memory) -> list[str]:
    parts = memory.peak.of
    of = "" if memory.limit_bytes is None else f" of {_size(memory.limit_bytes)}"
    sizes = {
        "process": parts.process,
        "weights": parts.weights,
        "gradients": parts.gradients,
        "optimizer": parts.optimizer,
        "activations in flight": parts.factor * parts.activations,
        "working space": parts.factor * parts.working,
        "logits": parts.factor * parts.logits,
    }
    shown = ", ".join(f"{name} {_size(size)}" for name, size in sizes.items() if size)
    return [
        f"memory: {_size(memory.bytes)}{of} in stage {memory.peak.stage}: {memory.verdict or 'no limit known'} "
        f"(by {memory.source})",
        f"  {shown}; an allocator takes {parts.factor:.3g} times what tensors need",
    ]


def _size(count: float) -> str:
    """Bytes to a tenth of a MiB, from 1 GiB on to a hundredth of one.

    >>> _size(2**30 * 1.5), _size(2**20 * 315.94)
    ('1.50 GiB', '315.9 MiB')
    """
    return f"{count / GIB:.2f} GiB" if count >= GIB else f"{count / MIB:.1f} MiB"


def _time(one: WhatIf) -> list[str]:
    case, time = one.forecast.case, one.forecast.time
    if time is None:
        return ["time: nothing is known of it; peak_tflops of the machine or iterations.expected_seconds give a guess"]
    micro = time.parts.compute_seconds / case.micro_batches
    parts = [
        f"compute {four_figures(time.parts.compute_seconds)} s = {case.micro_batches} micro batches x {micro:.4g} s",
        f"bubble {four_figures(time.parts.bubble_seconds)} s over {case.pipeline} stages",
        f"DP sync {four_figures(time.parts.sync_seconds)} s at DP {case.data}",
        *([f"shared cores {four_figures(time.parts.sharing_seconds)} s"] if time.parts.sharing_seconds else []),
    ]
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
