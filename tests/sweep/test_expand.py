"""A sweep becomes lawful layouts and rejected points; nothing vanishes."""

import math
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sweeps import toy, write

from nodesweep.common.errors import ConfigError
from nodesweep.config.sweep import Sweep
from nodesweep.launch.history import decisions_of
from nodesweep.launch.plan import planned
from nodesweep.reports.plan import plan_csv, plan_markdown
from nodesweep.sweep.expand import Expansion, expand
from nodesweep.sweep.study import Study


def expanded(**changes: Any) -> Expansion:
    """The expansion of the toy sweep with changes."""
    return expand(Sweep.model_validate(toy(**changes)))


def block(**axes: Any) -> dict[str, Any]:
    """One block of layouts."""
    return {"nodes": 8, "global_batch": 16, "sequence_length": 128, **axes}


def reason(law: str, **changes: Any) -> str:
    """The reason of the one point that breaks a law; a lawful layout stands beside it."""
    axes = changes.pop("axes")
    result = expanded(layouts=[block(**axes), block(nodes=1, note="lawful")], **changes)
    assert [point.law for point in result.rejected] == [law]
    return result.rejected[0].reason


def test_data_parallel_size_follows() -> None:
    """8 nodes of 2 ranks at MP 2 and PP 2 leave DP 4."""
    machine = toy()["machine"] | {"ranks_per_node": 2}
    layout = expanded(machine=machine, layouts=[block(tensor=2, pipeline=2)]).layouts[0]
    assert (layout.ranks, layout.data, layout.micro_batches) == (16, 4, 4)


@pytest.mark.parametrize(
    ("law", "axes", "says"),
    [
        ("world size", {"nodes": 6, "tensor": 4}, "6 nodes x 1 ranks = 6 ranks do not hold whole replicas of MP 4"),
        ("world size", {"nodes": 6, "tensor": 4}, "nearest nodes: 4 or 8"),
        ("world size", {"data": 3}, "DP 3 x MP 1 x PP 1 = 3; leave data out and it follows"),
        ("batch", {"micro_batch": 3}, "GBS 16 does not split over DP 8 x MBS 3; nearest GBS: 24"),
        ("batch", {"nodes": 2, "micro_batch": 3}, "nearest GBS: 12 or 18"),
        ("layers", {"pipeline": 8}, "4 layers do not split over PP 8; nearest PP: 4"),
        ("attention heads", {"tensor": 8}, "4 attention heads do not split over MP 8; nearest MP: 4"),
        ("machine frequency", {"frequency_ghz": 2.5}, "2.5 GHz; clocks here lets a job choose: none; leave it out"),
    ],
)
def test_each_law_gives_numbers_and_way_out(law: str, axes: dict[str, Any], says: str) -> None:
    """A rejected point says the law, its numbers and the nearest value that would do."""
    assert says in reason(law, axes=axes)


def test_laws_of_the_model_and_the_machine() -> None:
    """Heads must divide the hidden size, FFN splits over MP, node counts stay within the machine's."""
    model = toy()["model"]
    odd = {"if": "tensor == 2", "model": {"attention_heads": 6}}
    assert "64 does not split over 6 heads; nearest hidden size: 60 or 66" in reason(
        "hidden size", axes={"tensor": 2}, when=[odd]
    )
    ffn = model | {"ffn_hidden_size": 250}
    assert "feed-forward width 250 does not split over MP 4; nearest MP: 2" in reason(
        "feed-forward width", axes={"tensor": 4}, model=ffn
    )
    machine = toy()["machine"] | {"max_nodes": 4}
    assert "8 nodes; here takes 1 to 4 nodes" in reason("machine nodes", axes={}, machine=machine)


def test_exclude_keeps_the_point_with_the_condition() -> None:
    """An excluded point is listed with the expression that took it out."""
    result = expanded(layouts=[block(tensor=[1, 4], pipeline=[1, 2])], exclude=["tensor == 4 and pipeline > 1"])
    assert len(result.layouts) == 3
    assert [(point.law, point.reason) for point in result.rejected] == [
        ("excluded", "exclude[0] holds: tensor == 4 and pipeline > 1")
    ]


def test_when_changes_model_machine_and_workload() -> None:
    """Settings change for the layouts the condition holds for, and so does their slug."""
    change = {"if": "tensor == 2", "model": {"hidden_size": 128}, "workload": {"environment": {"MODE": "wide"}}}
    narrow, wide = expanded(layouts=[block(tensor=[1, 2])], when=[change]).layouts
    assert (narrow.model.hidden_size, wide.model.hidden_size) == (64, 128)
    assert wide.workload.environment["MODE"] == "wide" and "MODE" not in narrow.workload.environment
    assert narrow.slug.rpartition("-")[2] != wide.slug.rpartition("-")[2]


def test_when_sets_note_and_iterations() -> None:
    """The layout carries its own iterations and note, in order; only the number of iterations is part of its slug."""
    whens = [
        {"if": "nodes >= 2", "note": "many", "iterations": {"warmup": 2}},
        {"if": "nodes == 4", "note": "most", "iterations": {"total": 1, "warmup": 0}},
    ]
    before = expanded(layouts=[block(nodes=[1, 2, 4], note="plain")]).layouts
    layouts = expanded(layouts=[block(nodes=[1, 2, 4], note="plain")], when=whens).layouts
    assert [layout.note for layout in layouts] == ["plain", "many", "most"]
    assert [(one.iterations.total, one.iterations.warmup) for one in layouts] == [(3, 1), (3, 2), (1, 0)]
    assert [one.slug == other.slug for one, other in zip(layouts, before, strict=True)] == [True, True, False]


def test_a_rejected_point_has_its_note_too() -> None:
    """What is excluded keeps the note that a condition gave it."""
    result = expanded(layouts=[block(nodes=[1, 2])], when=[{"if": "nodes == 2", "note": "why"}], exclude=["nodes == 2"])
    assert [point.fields["note"] for point in result.rejected] == ["why"]


def test_when_may_change_the_ranks_of_a_node() -> None:
    """MP 4 on one node runs where the condition gives the node four ranks; DP follows from the changed machine."""
    change = {"if": "tensor == 4", "machine": {"ranks_per_node": 4}}
    result = expanded(layouts=[block(nodes=[1, 2], tensor=4)], when=[change])
    assert [(layout.ranks, layout.data) for layout in result.layouts] == [(4, 1), (8, 2)]


def test_variants_are_an_axis() -> None:
    """Every layout runs once under each named environment."""
    variants = [{"name": "plain"}, {"name": "tcmalloc", "env": {"LD_PRELOAD": "libtcmalloc.so"}}]
    slugs = [layout.slug for layout in expanded(layouts=[block(nodes=[1, 2])], variants=variants).layouts]
    assert ["plain" in slug for slug in slugs] == [True, False, True, False]
    assert ["tcmalloc" in slug for slug in slugs] == [False, True, False, True]


def test_slug_tells_apart_what_changes_the_run_and_nothing_else() -> None:
    """Model and iterations are part of a layout's identity; notes, names and warm-up are not."""

    def slug(**changes: Any) -> str:
        return expanded(layouts=[block(note=changes.pop("note", ""))], **changes).layouts[0].slug

    model = toy()["model"]
    assert (
        slug() == slug(note="other") == slug(model=model | {"name": "b"}) == slug(iterations={"total": 3, "warmup": 2})
    )
    assert len({slug(), slug(model=model | {"layers": 8}), slug(iterations={"total": 4})}) == 3
    assert slug().startswith("n8-dp8-mp1-pp1-mbs1-gbs16-s128-")


def test_identical_layouts_and_empty_sweeps_are_refused() -> None:
    """The same run twice, or no run at all, is a mistake to be told of."""
    with pytest.raises(ConfigError, match=r"layouts\[1\] and layouts\[0\]: two identical layouts, n8-"):
        expanded(layouts=[block(), block(note="same run")])
    with pytest.raises(ConfigError, match="none of 1 points can run"):
        expanded(layouts=[block(tensor=3)])
    with pytest.raises(ConfigError, match="over 100000 points"):
        expanded(layouts=[block(nodes=list(range(1, 500)), micro_batch=list(range(1, 500)))])


def test_plan_lists_every_point(tmp_path: Path) -> None:
    """plan.csv has a line per point, plan.md the counts and the reasons; hostile marks are inert."""
    sweep = toy(title="A | <b>title</b>", layouts=[block(nodes=[1, 3], tensor=[1, 2], note="*x*")])
    study = Study.load([write(tmp_path / "sweep.yaml", sweep)])
    layouts = planned(study, decisions_of(study), {})
    lines = plan_csv(study, layouts).splitlines()
    assert [line.partition(",")[0] for line in lines] == ["verdict", "runs", "rejected", "rejected", "rejected"]
    text = plan_markdown(study, layouts)
    assert text.startswith("# Plan: A \\| &lt;b&gt;title&lt;/b&gt;\n\n4 points: 1 to run, 3 rejected.")
    assert "GBS 16 does not split over DP 3 x MBS 1; nearest GBS: 15 or 18" in text


AXIS = st.lists(st.integers(1, 12), min_size=1, max_size=3, unique=True)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    nodes=AXIS,
    tensor=AXIS,
    pipeline=AXIS,
    micro_batch=AXIS,
    global_batch=st.lists(st.integers(1, 64), min_size=1, max_size=2, unique=True),
    ranks_per_node=st.integers(1, 4),
    layers=st.integers(1, 12),
    heads=st.integers(1, 12),
    hidden=st.integers(1, 96),
    max_nodes=st.one_of(st.none(), st.integers(1, 12)),
)
def test_every_point_of_any_sweep_is_lawful_or_explained(
    nodes: list[int],
    tensor: list[int],
    pipeline: list[int],
    micro_batch: list[int],
    global_batch: list[int],
    ranks_per_node: int,
    layers: int,
    heads: int,
    hidden: int,
    max_nodes: int | None,
) -> None:
    """Whatever the axes: points are neither lost nor doubled, layouts obey all laws, the others say why not."""
    axes = {
        "nodes": nodes,
        "tensor": tensor,
        "pipeline": pipeline,
        "micro_batch": micro_batch,
        "global_batch": global_batch,
    }
    machine = {"name": "m", "scheduler": "local", "ranks_per_node": ranks_per_node, "max_nodes": max_nodes}
    model = {"layers": layers, "attention_heads": heads, "hidden_size": hidden, "vocab_size": 64}
    try:
        result = expanded(layouts=[block(**axes)], machine=machine, model=model)
    except ConfigError as error:
        assert "points can run" in str(error)
        return
    assert len(result.layouts) + len(result.rejected) == math.prod(len(axis) for axis in axes.values())
    assert len({layout.slug for layout in result.layouts}) == len(result.layouts)
    for one in result.layouts:
        assert one.nodes * ranks_per_node == one.data * one.tensor * one.pipeline
        assert one.global_batch == one.micro_batches * one.data * one.micro_batch
        assert layers % one.pipeline == heads % one.tensor == 4 * hidden % one.tensor == hidden % heads == 0
        assert max_nodes is None or one.nodes <= max_nodes
    assert all(point.law and any(sign.isdigit() for sign in point.reason) for point in result.rejected)


def test_another_machine_is_another_run() -> None:
    """The same layout on another machine has another slug; other limits of the same machine change none."""
    here, there, later = (
        Sweep.model_validate(toy(machine={"name": name, "scheduler": "local", "elapse_limit_seconds": seconds}))
        for name, seconds in (("here", 60), ("there", 60), ("here", 120))
    )
    slugs = [[layout.slug for layout in expand(sweep).layouts] for sweep in (here, there, later)]
    assert slugs[0] == slugs[2] and not set(slugs[0]) & set(slugs[1])
