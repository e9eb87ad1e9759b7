"""Seconds of one iteration: compute + pipeline bubble + data-parallel sync.

T = a (m + (p - 1) / v) + c g(d), with m micro batches per replica, p pipeline stages, v model chunks per stage, d
replicas.

- a: seconds of one micro batch in one stage, forward and backward, what its tensor-parallel ranks send each other
  included. a m is compute; a (p - 1) / v is the bubble, the time in which a stage waits for the pipeline to fill and to
  drain: Narayanan et al. 2021 (arXiv 2104.04473), section 2.2. GPipe and 1F1B have the same bubble. How long stages
  wait in other schedules is not known: no run of such a one is fitted or predicted, and a guess has no bubble.
- Where ranks share the cores of one machine, and are more than these, they take turns: a m times the ranks over the
  cores, if that is longer than a (m + (p - 1) / v); while a stage waits, others have its core.
- c g(d): what replicas cost beside their micro batches. Which form g has is not known beforehand; each has a meaning.

Of a 30B model on Fugaku (48 stages, 1536 micro batches in all), a = 2.242 s with MP 4 and c = 8.01 s in the form log2:

>>> T = iteration_seconds(2.242, 1536 // 32, 48, sync_seconds=8.01 * FORMS["log2"](32))
>>> parts = (T.compute_seconds, T.bubble_seconds, T.sync_seconds)
>>> round(T.total_seconds, 1), [round(100 * part / T.total_seconds, 1) for part in parts]
(253.0, [42.5, 41.6, 15.8])

252.05 s were measured on 6144 nodes.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

from .dimensions import Dimensions, unknown_schedule


def _constant(data: int) -> float:
    return float(data > 1)


def _ring(data: int) -> float:
    return 2 * (data - 1) / data


def _log2(data: int) -> float:
    return math.log2(data)


def _slowest(data: int) -> float:
    if data > 1000:  # the harmonic number by its asymptotic series, to 1e-10
        return math.log(data) + 0.5772156649015329 + 1 / (2 * data) - 1 / (12 * data**2) - 1
    return math.fsum(1 / number for number in range(2, data + 1))


FORMS: dict[str, Callable[[int], float]] = {
    "constant": _constant,
    "ring": _ring,
    "log2": _log2,
    "slowest": _slowest,
}
"""Forms of the sync over d replicas; all are 0 for one.

constant: a fixed cost once there are replicas. ring: the bytes a rank sends in a ring all-reduce, 2 (d - 1) / d.
log2: the steps of a tree. slowest: the wait for the slowest of d with exponential delays, H(d) - 1.

>>> [round(form(16), 3) for form in FORMS.values()], [form(1) for form in FORMS.values()]
([1.0, 1.875, 4.0, 2.381], [0.0, 0.0, 0.0, 0.0])
"""


@dataclass(frozen=True)
class TimeParts:
    """Where the seconds of one iteration go; `sharing_seconds`: waiting for cores that other ranks have."""

    compute_seconds: float
    bubble_seconds: float
    sync_seconds: float
    sharing_seconds: float = 0.0

    @property
    def total_seconds(self) -> float:
        """Seconds of the whole iteration."""
        return self.compute_seconds + self.bubble_seconds + self.sync_seconds + self.sharing_seconds


def stage_work(case: Dimensions) -> float:
    """Operations of one micro batch in a stage; where no formula gives them, what they are in proportion to."""
    if case.knows("stage_flops"):
        return case.stage_flops
    return case.rank_tokens * case.layers * case.hidden_size**2 / case.pipeline


def passes(case: Dimensions) -> float:
    """Micro batches whose time passes in an iteration, those of the bubble or of other ranks' turns included.

    >>> case = Dimensions(nodes=192, ranks_per_node=1, tensor=4, pipeline=48, micro_batch=1, global_batch=1536)
    >>> passes(case), passes(case.changed(shared_cores=96))  # 1536 + 47; twice as many ranks as cores
    (1583.0, 3072.0)
    """
    return max(case.micro_batches + (_stages(case) - 1) / case.training.chunks, _turns(case))


def no_time_formula(case: Dimensions) -> str:
    """Why no run tells the time of another like this case; empty where one does."""
    if not case.knows("stage_flops"):
        return "no formula gives the FLOPs"
    schedule = unknown_schedule(case)
    return f"the bubble of {schedule} is not known" if schedule else ""


def _stages(case: Dimensions) -> int:
    """Stages that wait for each other; one where no formula tells how long they do."""
    return 1 if unknown_schedule(case) else case.pipeline


def _turns(case: Dimensions) -> float:
    """Micro batches that each core works through where ranks share cores, else 0."""
    if case.shared_cores is None:
        return 0.0
    return case.micro_batches * case.ranks / case.shared_cores


def iteration_seconds(
    micro_batch_seconds: float, micro_batches: int, stages: int, chunks: int = 1, sync_seconds: float = 0.0
) -> TimeParts:
    """Compute, bubble and sync of an iteration, where a micro batch takes a stage `micro_batch_seconds`."""
    return TimeParts(
        compute_seconds=micro_batch_seconds * micro_batches,
        bubble_seconds=micro_batch_seconds * (stages - 1) / chunks,
        sync_seconds=sync_seconds,
    )


def time_parts(case: Dimensions, micro_batch_seconds: float, sync_seconds: float) -> TimeParts:
    """Parts of an iteration of a case; ranks that take turns on shared cores have no bubble."""
    alone = iteration_seconds(
        micro_batch_seconds, case.micro_batches, _stages(case), case.training.chunks, sync_seconds
    )
    turns = micro_batch_seconds * _turns(case)
    if turns <= alone.compute_seconds + alone.bubble_seconds:
        return alone
    return replace(alone, bubble_seconds=0.0, sharing_seconds=turns - alone.compute_seconds)
