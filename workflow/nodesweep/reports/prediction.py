"""Predictions as text."""

from collections.abc import Sequence

from nodesweep.common.markdown import pipe_table
from nodesweep.common.numbers import anything, four_figures
from nodesweep.common.units import GIB, MIB
from nodesweep.performance.forecast import MemoryForecast
from nodesweep.performance.predict import WhatIf

_HEADINGS = {"nodes": "Nodes", "data": "DP", "tensor": "MP", "pipeline": "PP", "micro_batch": "MBS"}

_HEADINGS |= {"global_batch": "GBS", "sequence_length": "Sequence", "activation_checkpointing": "AC"}

_LEFT = frozenset({"Verdict", "95 %"})


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


def _memory(memory: MemoryForecast) -> list[str]:
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
