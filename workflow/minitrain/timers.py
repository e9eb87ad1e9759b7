"""Seconds that parts of an iteration take on this rank, where they can be known.

On a GPU a call returns before its work is done: nothing is timed there.
"""

import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import ParamSpec, TypeVar

Given = ParamSpec("Given")
Result = TypeVar("Result")

seconds: dict[str, float] = defaultdict(float)
"""Seconds by part since `forget`: of a step, its passes, the exchanges in them, gradient-sync, optimizer."""


@contextmanager
def timed(part: str) -> Iterator[None]:
    """Count the time in the block to a part."""
    start = time.perf_counter()
    try:
        yield
    finally:
        seconds[part] += time.perf_counter() - start


def timing(part: str, function: Callable[Given, Result]) -> Callable[Given, Result]:
    """A function whose calls count to a part."""

    def call(*args: Given.args, **kwargs: Given.kwargs) -> Result:
        with timed(part):
            return function(*args, **kwargs)

    return call


def forget() -> None:
    """Start again at zero."""
    seconds.clear()


def parts(torch_exchanges: bool) -> dict[str, float]:
    """Seconds of a step's parts, none counted twice: their sum is the step.

    Passes that nothing times by themselves (no pipeline) are all of the passes' time. `torch_exchanges`: whether torch
    itself exchanges in the passes (tensor parallelism, FSDP), which is told from computing by the part's name alone.
    """
    whole, exchange = seconds["forward-backward"], seconds["exchange"]
    passes = seconds.get("passes", whole)
    return {
        "compute-and-exchange" if torch_exchanges else "compute": passes - exchange,
        "exchange": exchange,
        "pipeline-wait": whole - passes,
        "gradient-sync": seconds["gradient-sync"],
        "optimizer": seconds["optimizer"],
    }
