"""Blocks become points: expressions are worked out, and axes vary together."""

from pathlib import Path
from typing import Any

import pytest
from sweeps import toy, write

from nodesweep.common.errors import ConfigError
from nodesweep.reports.plan import plan_csv, plan_markdown
from nodesweep.reports.plan_remarks import plan_remarks
from nodesweep.sweep.study import Study


def study(folder: Path, block: dict[str, Any], **changes: Any) -> Study:
    """The toy sweep with one block; None takes a key out of it."""
    whole = {"nodes": [1, 2], "global_batch": 16, "sequence_length": 128, **block}
    block = {name: value for name, value in whole.items() if value is not None}
    return Study.load([write(folder / "sweep.yaml", toy(layouts=[block], **changes))])


def refusal(folder: Path, block: dict[str, Any], **changes: Any) -> str:
    """What is said of a sweep that cannot be used."""
    with pytest.raises(ConfigError) as caught:
        study(folder, block, **changes)
    return str(caught.value)


def values(found: Study, *names: str) -> list[tuple[Any, ...]]:
    """Values of the layouts of a sweep."""
    return [tuple(one.values()[name] for name in names) for one in found.layouts.values()]


def test_weak_scaling(tmp_path: Path) -> None:
    """A batch in proportion to the ranks; its slug is that of the same numbers written out."""
    found = study(tmp_path, {"global_batch": "{{ 8 * ranks }}"})
    assert values(found, "nodes", "global_batch") == [(1, 8), (2, 16)]
    assert found.layout_beginning("n2").slug == study(tmp_path, {"nodes": 2}).layout_beginning("n2").slug
    assert found.layout_beginning("n2").expressions == {"global_batch": "{{ 8 * ranks }}"}


def test_expressions_are_worked_out_after_what_they_need(tmp_path: Path) -> None:
    """DP follows from an axis that is an expression itself, the batch from DP, a parameter from the batch."""
    block = {
        "nodes": 4,
        "global_batch": ["{{ 8 * data }}", 64],
        "tensor": "{{ ranks // 2 }}",
        "activation_checkpointing": "{{ nodes > 2 }}",
        "parameters": {"pieces": "{{ global_batch // 8 }}", "label": "tp{{ tensor }}"},
    }
    found = study(tmp_path, block)
    names = ("tensor", "data", "global_batch", "activation_checkpointing", "pieces", "label")
    assert values(found, *names) == [(2, 2, 16, True, 2, "tp2"), (2, 2, 64, True, 8, "tp2")]


def test_expressions_see_what_when_changes(tmp_path: Path) -> None:
    """Model and machine are those of the layout, and `when` sees the value that follows."""
    changes = {
        "when": [
            {"if": "nodes == 2", "model": {"layers": 8}},
            {"if": "global_batch == 32", "note": "eight layers"},
        ]
    }
    found = study(tmp_path, {"global_batch": "{{ model.layers * 4 }}"}, **changes)
    assert [(one.global_batch, one.note) for one in found.layouts.values()] == [(16, ""), (32, "eight layers")]


@pytest.mark.parametrize(
    ("block", "says"),
    [
        ({"global_batch": "{{ nodez }}"}, "unknown name 'nodez'"),
        ({"global_batch": "{{ nodez | default(16) }}"}, "unknown name 'nodez'"),
        ({"global_batch": "{{ nodes }"}, "not a valid expression"),
        ({"global_batch": "{{ nodes }} samples"}, "{{ nodes }} samples gives '1 samples' (nodes 1): that is no number"),
        ({"global_batch": "{{ 8 / (nodes - 1) }}"}, "division by zero (nodes 1)"),
        ({"tensor": "{{ data }}"}, "goes in a circle: "),
        ({"global_batch": "{{ 2 * global_batch }}"}, "goes in a circle: global_batch needs global_batch"),
        ({"activation_checkpointing": "{{ nodes }}"}, "that is neither True nor False"),
        ({"parameters": {"depth": "{{ 2 * depth }}"}}, "goes in a circle: depth needs depth"),
        ({"parameters": {"word": "{{ '{{ $(id)' }}"}}, "which has holes again; let it give a value"),
        ({"precision": "{{ '{{ 1 }}' }}"}, "which has holes again; let it give a value"),
    ],
)
def test_expressions_without_a_value_are_refused(tmp_path: Path, block: dict[str, Any], says: str) -> None:
    """What gives no value for some layout is refused by file, line, key and expression, with the values it saw."""
    said = refusal(tmp_path, block)
    line = (tmp_path / "sweep.yaml").read_text().splitlines()[int(said.split(":")[1]) - 1]
    assert says in said and f"layouts[0].{next(iter(block))}" in said and "{{" in line


@pytest.mark.parametrize(
    ("batch", "says"),
    [
        ("{{ 8 * nodes - 5.5 if nodes == 1 else 12 }}", "gives '2.5' (nodes 1): it should be a whole number"),
        ("{{ 6 * (nodes - 1) }}", "gives '0' (nodes 1): it should be greater than or equal to 1"),
        ("{{ 8 * nodes - 12 }}", "gives '-4' (nodes 1): it should be greater than or equal to 1"),
    ],
)
def test_numbers_that_do_not_fit_reject_their_layout(tmp_path: Path, batch: str, says: str) -> None:
    """A point whose expression gives a fraction or less than 1 is in the plan, with the numbers; the other runs."""
    (rejected,) = study(tmp_path, {"nodes": [1, 3], "global_batch": batch}).expansion.rejected
    assert rejected.law == "expression"
    assert says in rejected.reason and rejected.reason.startswith("layouts[0].global_batch: {{ ")


def test_a_law_that_breaks_before_an_expression_is_the_reason(tmp_path: Path) -> None:
    """Where DP is no whole number, that is what is said, not that the batch cannot be worked out of it."""
    found = study(tmp_path, {"tensor": 2, "global_batch": "{{ 8 * data }}"})
    assert [one.law for one in found.expansion.rejected] == ["world size"]


def test_together(tmp_path: Path) -> None:
    """Axes that vary together are one axis beside the others, in place of the first of them."""
    group = {"tensor": [1, 2], "pipeline": [2, 1], "parameters": {"depth": [1, 4]}}
    found = study(tmp_path, {"nodes": [2, 4], "micro_batch": [1, 2], "together": group})
    assert values(found, "nodes", "tensor", "pipeline", "micro_batch", "depth") == [
        (2, 1, 2, 1, 1),
        (2, 1, 2, 2, 1),
        (2, 2, 1, 1, 4),
        (2, 2, 1, 2, 4),
        (4, 1, 2, 1, 1),
        (4, 1, 2, 2, 1),
        (4, 2, 1, 1, 4),
        (4, 2, 1, 2, 4),
    ]


def test_several_groups_hold_what_a_block_must_have(tmp_path: Path) -> None:
    """Two groups vary beside each other, and may give the nodes and the batch."""
    groups = [{"nodes": [1, 2], "global_batch": [8, "{{ 8 * nodes }}"]}, {"parameters": {"a": [1, 2], "b": ["x", "y"]}}]
    found = study(tmp_path, {"nodes": None, "global_batch": None, "together": groups})
    assert values(found, "nodes", "global_batch", "a", "b") == [
        (1, 8, 1, "x"),
        (1, 8, 2, "y"),
        (2, 16, 1, "x"),
        (2, 16, 2, "y"),
    ]


@pytest.mark.parametrize(
    ("block", "says"),
    [
        ({"together": {"tensor": [1, 2], "pipeline": [4, 2, 1]}}, "different lengths (tensor 2, pipeline 3)"),
        ({"together": {"nodes": [1, 2]}}, "nodes stands twice"),
        ({"together": [{"tensor": 1}, {"tensor": 2}]}, "tensor stands twice"),
        ({"together": {"tensr": [1, 2]}}, "did you mean 'tensor'?"),
        ({"together": {"backend": [1, 2]}}, "an axis of your own stands under parameters"),
        ({"nodes": None, "together": {"tensor": [1, 2]}}, "layouts[0].nodes is missing; it has no default"),
    ],
)
def test_groups_that_do_not_fit_are_refused(tmp_path: Path, block: dict[str, Any], says: str) -> None:
    """Lists of one length, each axis once, and nothing that is needed left out."""
    assert says in refusal(tmp_path, block)


def test_an_expression_that_gives_the_value_of_another_is_in_the_plan(tmp_path: Path) -> None:
    """A run that two values of an axis ask for runs once; what stands there in numbers twice is still refused."""
    found = study(tmp_path, {"nodes": 2, "global_batch": [16, "{{ 8 * nodes }}"]})
    assert len(found.layouts) == 1
    assert [(one.law, one.reason) for one in found.expansion.rejected] == [
        ("twice", f"the same run as {next(iter(found.layouts))} of layouts[0]")
    ]
    assert ",twice,the same run as n2-dp2-" in plan_csv(found, [])
    assert "two identical layouts" in refusal(tmp_path, {"nodes": 2, "global_batch": [16, 16]})


def test_a_plan_says_what_has_no_effect(tmp_path: Path) -> None:
    """A parameter that no word asks for makes runs that are alike, such as three of each layout; the plan says so."""
    block = {"parameters": {"repeat": [1, 2], "depth": [1], "seeds": "{{ 2 * depth }}", "TOY_ALGO": ["Ring"]}}
    assert study(tmp_path, block).sweep.idle_parameters == ["repeat", "seeds"]
    found = study(tmp_path, block)
    text = plan_markdown(found, [], plan_remarks(found, [], lambda key: None))
    assert "Nothing asks for repeat, seeds: layouts that differ in that alone run alike." in text
