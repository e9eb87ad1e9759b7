"""Time limits and queues of layouts: where they come from, and what fits none."""

from pathlib import Path
from typing import Any

import pytest
from sweeps import toy, write

from nodesweep.common.errors import ConfigError
from nodesweep.sweep.layout import Layout
from nodesweep.sweep.study import Study

SMALL = {"name": "small", "max_nodes": 4, "elapse_limit_seconds": 3600}
LARGE = {"name": "large", "min_nodes": 5, "max_nodes": 64, "elapse_limit_seconds": 600}


def study(folder: Path, nodes: Any, machine: dict[str, Any], **iterations: Any) -> Study:
    """A sweep of ten iterations for a batch system."""
    sweep = toy(
        machine={"name": "cluster", "scheduler": "slurm", **machine},
        iterations={"total": 10, "warmup": 1, "startup_seconds": 60, **iterations},
        layouts=[{"nodes": nodes, "global_batch": 64, "sequence_length": 128}],
    )
    return Study.load([write(folder / "sweep.yaml", sweep)], results=folder / "results")


def limit(layout: Layout) -> tuple[str | None, int | None]:
    """Its queue and its time limit."""
    return (layout.queue.name if layout.queue else None, layout.elapse_limit_seconds)


def limits(*arguments: Any, **keywords: Any) -> list[tuple[str | None, int | None]]:
    """Queue and time limit of each layout."""
    return [limit(layout) for layout in study(*arguments, **keywords).layouts.values()]


def test_the_machine_says_it(tmp_path: Path) -> None:
    """A limit in the machine's file is every job's, and the queue is the first that takes nodes and limit."""
    machine = {"queues": [SMALL, LARGE], "elapse_limit_seconds": 600}
    assert limits(tmp_path, [1, 4, 8], machine) == [("small", 600), ("small", 600), ("large", 600)]


def test_the_queue_says_it(tmp_path: Path) -> None:
    """Where nothing else is said, a job may run as long as its queue allows."""
    assert limits(tmp_path, [4, 8], {"queues": [SMALL, LARGE]}) == [("small", 3600), ("large", 600)]


def test_nobody_says_it(tmp_path: Path) -> None:
    """Without any limit and queue, the scheduler's own defaults hold."""
    assert limits(tmp_path, [4], {}) == [(None, None)]


def test_iterations_say_it(tmp_path: Path) -> None:
    """60 s + 10 iterations of 120 s / nodes, times 1.5, in whole minutes: 1920 s and 540 s, never over 600 s."""
    seconds = "{{ 120 / nodes }}"
    assert limits(tmp_path, [1, 4], {"queues": [SMALL, LARGE]}, expected_seconds=seconds) == [
        ("small", 1920),
        ("small", 540),
    ]
    assert limits(tmp_path, [8], {"queues": [SMALL, LARGE]}, expected_seconds=50) == [("large", 600)]
    assert limits(tmp_path, [8], {"queues": [SMALL, LARGE]}, expected_seconds=30, time_margin=1) == [("large", 360)]


def test_a_layout_that_fits_no_queue_is_rejected(tmp_path: Path) -> None:
    """Too many nodes, or more time than any queue of its size gives: in the plan with each queue's reason."""
    one = study(tmp_path, [4, 8, 65], {"queues": [SMALL, LARGE]}, expected_seconds=55)
    assert [limit(layout) for layout in one.layouts.values()] == [("small", 960)]
    eight, many = one.expansion.rejected
    assert (eight.law, many.law) == ("queue", "batch")
    assert eight.reason == (
        "8 nodes for 610 s fit no queue of cluster: small takes 1 to 4 nodes; large takes at most 600 s; "
        "change the nodes, run fewer iterations, or add a queue"
    )


def test_a_long_job_goes_to_the_queue_that_has_time_for_it(tmp_path: Path) -> None:
    """The order of the queues is that of preference, and time counts like nodes."""
    queues = [{"name": "debug", "elapse_limit_seconds": 600}, {"name": "long", "elapse_limit_seconds": 86400}]
    assert limits(tmp_path, [1], {"queues": queues}, expected_seconds=50) == [("debug", 600)]
    assert limits(tmp_path, [1], {"queues": queues}, expected_seconds=60) == [("long", 1020)]


@pytest.mark.parametrize(
    ("seconds", "says"),
    [
        ("{{ nodes }} s", "gives '1 s', which is no number of seconds"),
        ("{{ -nodes }}", "gives -1; an iteration takes more than 0 seconds"),
        ("{{ 1 / (nodes - 1) }}", "cannot render"),
        ("{{ slug }}", "cannot render '{{ slug }}': 'slug' is undefined"),
    ],
)
def test_expected_seconds_that_are_none(tmp_path: Path, seconds: str, says: str) -> None:
    """What is no positive number of seconds is refused by file and key."""
    with pytest.raises(ConfigError) as caught:
        study(tmp_path, [1], {}, expected_seconds=seconds)
    assert "sweep.yaml" in str(caught.value) and f"iterations.expected_seconds: {says}" in str(caught.value)


@pytest.mark.parametrize(
    ("machine", "says"),
    [
        ({"queues": [{"name": "q", "min_nodes": 2, "max_nodes": 1}]}, "max_nodes 1 is below min_nodes 2"),
        ({"scheduler": "local", "queues": [SMALL]}, "'local' takes none"),
        ({"node_shapes": {4: "2x2"}}, "node_shapes and node_allocation are for scheduler pjm"),
        ({"scheduler": "pjm", "node_shapes": {4: "2x3"}}, "the sides must multiply to 4"),
        ({"scheduler": "pjm", "node_shapes": {4: "2 x 2"}}, "is not a shape of nodes"),
        ({"options": {"--account": "a"}}, "without dashes before it"),
        ({"options": {"account": []}}, "machine.options.account is empty; give at least one value"),
    ],
)
def test_machines_that_make_no_sense(tmp_path: Path, machine: dict[str, Any], says: str) -> None:
    """Contradictions are refused with the way out."""
    with pytest.raises(ConfigError) as caught:
        study(tmp_path, [1], machine)
    assert says in str(caught.value)
