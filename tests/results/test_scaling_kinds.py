"""Strong, weak and throughput series are recognised from the rows, and each row is compared within its series."""

from typing import Any

import pytest

from nodesweep.config.columns import TIDY
from nodesweep.config.headings import HEADINGS
from nodesweep.results.scaling import REST, UNEXPLAINED, ScalingLoss, best_of_each, losses
from nodesweep.results.scaling_kinds import KINDS, Scaling, bases, efficiency_interval, efficiency_percent


def row(nodes: int, batch: int | None, seconds: float | None, **changes: Any) -> dict[str, Any]:
    """A row that ended well: two ranks a node, 100 tokens a sample."""
    given = "-".join(f"{name}{value}" for name, value in changes.items())
    known = {
        "slug": f"n{nodes}-gbs{batch}-{given}",
        **{"nodes": nodes, "ranks_per_node": 2, "ranks": 2 * nodes, "data": 2 * nodes, "tensor": 1, "pipeline": 1},
        **{"micro_batch_samples": 1, "global_batch_samples": batch, "sequence_length_tokens": 100},
        **{"campaign": "runs", "model_size": "1B", "source": "run"},
        **{"state": "ended", "outcome": "ok", "iteration_seconds": seconds},
    }
    return dict.fromkeys(TIDY) | known | changes


STRONG = [row(1, 16, 100.0), row(2, 16, 60.0), row(4, 16, 40.0)]
WEAK = [row(1, 16, 100.0), row(2, 32, 110.0), row(4, 64, 125.0)]
BOTH = [*STRONG, *WEAK[1:]]
FREE = [row(1, 16, 100.0), row(2, 24, 60.0), row(4, 40, 80.0)]


def series(rows: list[dict[str, Any]]) -> list[tuple[str, list[int]]]:
    """The series of rows in words, with their numbers of nodes."""
    return [(one.words, [row["nodes"] for row in one.rows]) for one in Scaling.of(rows).series]


def percents(rows: list[dict[str, Any]]) -> list[tuple[float | None, ...]]:
    """The efficiencies of each row: strong, weak, throughput; to one decimal."""
    found = []
    for one, compared in zip(rows, bases(rows), strict=True):
        values = [efficiency_percent(one, compared.get(kind.name)) for kind in KINDS]
        found.append(tuple(None if value is None else round(value, 1) for value in values))
    return found


@pytest.mark.parametrize(
    ("rows", "found"),
    [
        (STRONG, [("strong, GBS 16", [1, 2, 4])]),
        (WEAK, [("weak, GBS 8 a rank", [1, 2, 4])]),
        (BOTH, [("strong, GBS 16", [1, 2, 4]), ("weak, GBS 8 a rank", [1, 2, 4])]),
        (FREE, [("any GBS", [1, 2, 4])]),
        ([row(2, 16, 9.0), row(2, 32, 17.0)], []),  # one number of nodes
        ([WEAK[0], WEAK[2]], [("weak, GBS 8 a rank", [1, 4])]),  # the middle is missing
        ([*STRONG, row(1, 64, 390.0)], [("strong, GBS 16", [1, 2, 4])]),  # another batch where a series already is
        ([*STRONG[1:], row(1, 64, 390.0)], [("strong, GBS 16", [2, 4]), ("any GBS", [2, 4, 1])]),
        ([row(1, 3, 9.0), row(2, 6, 9.0)], [("weak, GBS 3/2 a rank", [1, 2])]),
        ([row(1, 16, 9.0, outcome="oom"), row(2, 32, 9.0)], []),
        ([row(1, 16, 9.0), row(2, 32, None, outcome=None, state="queued")], []),
        ([row(1, None, 9.0), row(2, None, 9.0)], []),  # what they compute is not known
        ([row(1, 16, 9.0), row(2, 32, 9.0, tensor=2)], []),
        ([row(1, 16, 9.0), row(2, 32, 9.0, algorithm="ring")], []),  # a parameter makes another problem
        ([row(1, 16, 9.0), row(2, 32, 9.0, context=2, expert=2)], [("weak, GBS 8 a rank", [1, 2])]),
        ([row(1, 16, 9.0), row(2, 32, 9.0, sequence_length_tokens=200)], []),  # other tokens: another problem
        ([*WEAK[:2], row(4, 64, 9.0, outcome="oom")], [("weak, GBS 8 a rank", [1, 2])]),
        ([row(1, 16, 9.0, pipeline=2), row(2, 32, 9.0, context=2, data=2)], [("weak, GBS 8 a rank", [1, 2])]),
        ([row(1, 16, 9.0, ranks=8, ranks_per_node=8), row(2, 16, 9.0, ranks=8, ranks_per_node=4)],
         [("strong, GBS 16", [1, 2])]),
    ],
)  # fmt: skip
def test_what_scales_how(rows: list[dict[str, Any]], found: list[tuple[str, list[int]]]) -> None:
    """One batch is strong, one batch per rank is weak, and a batch is free where neither tells of a node count."""
    assert series(rows) == found


def test_rows_whose_ranks_are_not_known() -> None:
    """A table that gives no ranks is told by the batch of each node."""
    rows = [one | {"ranks": None, "ranks_per_node": None} for one in WEAK]
    assert series(rows) == [("weak, GBS 16 a node", [1, 2, 4])]


def test_efficiencies() -> None:
    """Strong: 100 s of 1 node are 60 s of 2: 83.3 %; weak: 100 s became 110, 90.9 %; the smallest is in both."""
    assert percents(BOTH) == [
        (100.0, 100.0, None),
        (83.3, None, None),
        (62.5, None, None),
        (None, 90.9, None),
        (None, 80.0, None),
    ]
    # 24 samples in 60 s on 2 nodes are 0.2 a second and node, against 0.16 on one; 40 in 80 s on 4 are 0.125.
    assert percents(FREE) == [(None, None, 100.0), (None, None, 125.0), (None, None, 78.1)]


def test_a_row_that_did_not_end_well_is_compared_and_compares_with_none() -> None:
    """What a run out of memory had reached stands against the fewest nodes, and is no base itself."""
    rows = [row(1, 16, 90.0, outcome="oom", slug="oom"), *WEAK]
    assert percents(rows)[0] == (None, 111.1, None)
    assert percents(rows)[1:] == percents(WEAK)


def test_losses_of_each_series() -> None:
    """From 1 to 4 nodes 62.5 % are left at one batch, 80 % at one batch per rank; no fit tells why."""
    found = [(loss.series.words if loss.series else "", round(100 * loss.kept, 1)) for loss in losses(BOTH)]
    assert found == [("strong, GBS 16", 62.5), ("weak, GBS 8 a rank", 80.0)]
    assert all(list(loss.factors) == [UNEXPLAINED] for loss in losses(BOTH))


def test_the_causes_of_a_weak_loss() -> None:
    """100 s of computing became 100 s beside 25 s of sync: all of the loss is the sync."""
    parts = {"bubble_percent": 0.0, "sharing_percent": 0.0}
    rows = [
        {**WEAK[0], **parts, "compute_percent": 100.0, "sync_percent": 0.0},
        {**WEAK[2], **parts, "compute_percent": 80.0, "sync_percent": 20.0},
    ]
    (loss,) = losses(rows)
    assert {name: round(share, 6) for name, share in loss.shares.items() if round(share, 6)} == {"the DP sync": 1.0}


def test_the_best_of_each_series() -> None:
    """Beside the fastest at any batch stands that of each batch; MP may differ, as it may in one series alone."""
    rows = [*BOTH, row(4, 16, 30.0, tensor=2)]
    found = [(one.among, one.row["nodes"], one.row["iteration_seconds"]) for one in best_of_each(rows)]
    assert found == [
        *(("any GBS", 1, 100.0), ("any GBS", 2, 110.0), ("any GBS", 4, 30.0)),
        *(("strong, GBS 16", 1, 100.0), ("strong, GBS 16", 2, 60.0), ("strong, GBS 16", 4, 30.0)),
        *(("weak, GBS 8 a rank", 1, 100.0), ("weak, GBS 8 a rank", 2, 110.0), ("weak, GBS 8 a rank", 4, 125.0)),
    ]
    assert [(one.among, one.row["nodes"]) for one in best_of_each(WEAK)] == [("", 1), ("", 2), ("", 4)]


GRID = [row(nodes, batch, 6.0 * batch / nodes + 4.0) for nodes in (1, 2, 4, 8) for batch in (16, 32, 64, 128)]


def test_the_best_of_a_grid() -> None:
    """Nodes x batches: the best at any batch and at each; weak series have no layouts of their own to show."""
    assert [one.words for one in Scaling.of(GRID).series][:5] == [
        *(f"strong, GBS {batch}" for batch in (16, 32, 64, 128)),
        "weak, GBS 8 a rank",
    ]
    found = best_of_each(GRID)
    assert [one.among for one in found] == [
        *(["any GBS"] * 4),
        *(f"strong, GBS {batch}" for batch in (16, 32, 64, 128) for _ in range(4)),
    ]
    assert len({one.row["slug"] for one in found}) == len(GRID), "each point of the grid is there"


def test_what_a_plan_will_scale() -> None:
    """Layouts that have not run are in the series that they will make; none of them is in one yet."""
    waiting = [one | {"state": "pending", "outcome": None, "iteration_seconds": None} for one in BOTH]
    assert [(one.words, one.counts) for one in Scaling.planned(waiting).series] == [
        ("strong, GBS 16", (1, 2, 4)),
        ("weak, GBS 8 a rank", (1, 2, 4)),
    ]
    assert not Scaling.of(waiting).series


def repeated(one: dict[str, Any], low: float, high: float) -> dict[str, Any]:
    """A row whose median over several runs lies between these seconds."""
    return one | {"run_seconds_low": low, "run_seconds_high": high}


def test_the_interval_of_an_efficiency() -> None:
    """95 to 105 s against 36 to 44 s on 4 nodes: from 95 / (4 x 44) to 105 / (4 x 36); none where one ran once."""
    base, last = repeated(STRONG[0], 95.0, 105.0), repeated(STRONG[2], 36.0, 44.0)
    assert efficiency_interval(last, base) == pytest.approx((100 * 95 / 176, 100 * 105 / 144))
    assert efficiency_interval(base, base) is None
    assert efficiency_interval(last, STRONG[0]) is None and efficiency_interval(STRONG[2], base) is None
    weak = repeated(WEAK[2], 100.0, 150.0)
    assert efficiency_interval(weak, base) == pytest.approx((100 * 95 / 150, 105.0))
    (loss,) = losses([base, STRONG[1], last])
    assert loss.between == pytest.approx((95 / 176, 105 / 144))


@pytest.mark.parametrize(
    ("between", "told", "sync"),
    [
        (None, True, (1.0, 1.0)),
        ((0.75, 0.85), True, (0.78, 1.37)),  # log 1.25 over log (1 / 0.75) and over log (1 / 0.85)
        ((0.6, 0.9), False, None),  # the loss at one end is 4.8 times that at the other
        ((0.9, 1.1), False, None),  # perhaps none is lost
    ],
)
def test_shares_in_a_loss_that_is_not_known_well(
    between: tuple[float, float] | None, told: bool, sync: tuple[float, float] | None
) -> None:
    """A sync of 25 % of the computing, all of a loss of 20 %: its share is as uncertain as the loss."""
    loss = ScalingLoss(WEAK[0], WEAK[2], {"the DP sync": 1.25, REST: 1.0}, between=between)
    assert loss.is_told is told
    if sync:
        assert tuple(round(end, 2) for end in loss.reach["the DP sync"]) == sync
        low, high = loss.reach[REST]
        assert (low, high) == pytest.approx((1 - loss.reach["the DP sync"][1], 1 - loss.reach["the DP sync"][0]))


def test_each_kind_has_a_column_and_a_heading() -> None:
    """The efficiency of a kind is a column of results.csv that tables can show."""
    shown = {column for heading in HEADINGS.values() for column in heading.columns}
    assert {kind.column for kind in KINDS} <= set(TIDY) & shown
