"""The nearest values that a rejected point names are values with which the whole point runs."""

import doctest
from typing import Any

import pytest
from sweeps import toy

from nodesweep.config.loader import REPOSITORY, read_part
from nodesweep.config.model_files import read_model
from nodesweep.config.sweep import Sweep
from nodesweep.sweep import broken_law, constraints, pipeline_split, points
from nodesweep.sweep.expand import Expansion, expand

HEADS_64 = {"name": "heads", "layers": 8, "hidden_size": 512, "attention_heads": 64, "vocab_size": 1024}
HEADS_28 = HEADS_64 | {"hidden_size": 448, "attention_heads": 28, "ffn_hidden_size": 1792}
EXPERTS = HEADS_64 | {"experts": 8, "experts_per_token": 2, "expert_ffn_hidden_size": 640}
EIGHT_RANKS = toy()["machine"] | {"ranks_per_node": 8}


def test_doctests() -> None:
    """The examples hold."""
    assert not any(doctest.testmod(module).failed for module in (broken_law, constraints, pipeline_split, points))


def expanded(model: dict[str, Any], axes: dict[str, Any], **changes: Any) -> Expansion:
    """The points of a block on nodes of 8 ranks, with a lawful layout beside them."""
    block = {"nodes": 1, "global_batch": 64, "sequence_length": 128}
    whole = toy(model=model, machine=EIGHT_RANKS, layouts=[block | axes, block | {"sequence_length": 256}]) | changes
    return expand(Sweep.model_validate(whole))


@pytest.mark.parametrize(
    ("model", "axes", "changes", "says"),
    [
        (EXPERTS, {"expert": 8, "expert_tensor": 5}, {}, "EP 8 x ETP 5 = 40; nearest ETP: 1"),
        (EXPERTS, {"expert": 4, "expert_tensor": 5}, {}, "EP 4 x ETP 5 = 20; nearest ETP: 2"),
        (HEADS_28, {"tensor": 8}, {}, "28 attention heads do not split over MP 8; nearest MP: 4"),
        (HEADS_64, {"nodes": 4, "tensor": 6}, {}, "replicas of MP 6 x PP 1 = 6; nearest MP: 4 or 8"),
        (HEADS_64, {"nodes": 4, "tensor": 6}, {"exclude": ["tensor == 4"]}, "= 6; nearest MP: 2 or 8"),
        (HEADS_64, {"nodes": 3, "pipeline": 2, "tensor": 8}, {}, "PP 2 = 16; nearest nodes: 2 or 4"),
        (
            HEADS_64,
            {"nodes": 3, "pipeline": 2, "tensor": 8},
            {"machine": EIGHT_RANKS | {"max_nodes": 3}},
            "PP 2 = 16; nearest nodes: 2",
        ),
        (HEADS_64, {"global_batch": "{{ 3 * ranks - 4 }}"}, {}, "GBS 20 does not split over DP 8 x MBS 1; nearest GBS"),
        (
            HEADS_64,
            {"nodes": 4, "tensor": 6, "pipeline": 3},
            {},
            "near value mends it: 8 layers do not split over PP 3, and 64 attention heads do not split over MP 6",
        ),
        (
            EXPERTS,
            {"expert": 8, "expert_tensor": 1, "tensor": 8, "pipeline": 2, "nodes": 1, "data": 1},
            {},
            "leave data out, and change another size",
        ),
        (
            HEADS_28 | {"kv_heads": 7},
            {"tensor": 8},
            {"exclude": ["tensor < 8 and sequence_length == 128"]},
            "no single near value mends it (MP 7: world size, MP 1: excluded)",
        ),
    ],
)
def test_what_is_offered_runs(model: dict[str, Any], axes: dict[str, Any], changes: dict[str, Any], says: str) -> None:
    """A value is named where laws, machine and conditions take the point with it, else what holds it back."""
    found = expanded(model, axes, **changes)
    assert [one.reason for one in found.rejected if says in one.reason], [one.reason for one in found.rejected]


def test_each_value_that_is_named_is_lawful() -> None:
    """Every nearest value of a grid of 240 points gives a layout that is not rejected."""
    axes = {"nodes": [1, 2, 3], "tensor": [1, 3, 4, 7], "pipeline": [1, 2, 3, 8], "micro_batch": [1, 3, 4]}
    names = {"nodes": "nodes", "MP": "tensor", "PP": "pipeline", "GBS": "global_batch"}
    tried = 0
    for point in expanded(HEADS_28, axes).rejected[::7]:
        _, named, advice = point.reason.partition("; nearest ")
        size, _, values = advice.partition(": ")
        for value in values.partition(";")[0].split(" or ") if named else ():
            given = {name: point.fields[name] for name in (*axes, "global_batch")} | {names[size]: int(value)}
            assert not expanded(HEADS_28, given).rejected
            tried += 1
    assert tried > 10


def torchtitan(**axes: Any) -> Expansion:
    """Points of Llama 3 8B run by torchtitan on nodes of 8 ranks, with a lawful layout beside them."""
    workload = read_part(REPOSITORY / "config" / "workloads" / "torchtitan.yaml").values
    return expanded(read_model("llama3-8b").model.model_dump(exclude_unset=True), axes, workload=workload)


def test_hybrid_sharding_of_one_group() -> None:
    """One group of all ranks is ZeRO 3, and a group is of hsdp alone; both say what to write."""
    one = torchtitan(sharding="hsdp", sharding_group=8).rejected
    assert [point.reason for point in one] == [
        "torchtitan does not run layouts with sharding == 'hsdp' and sharding_groups == 1; "
        "one group of all replicas is zero3, set sharding: zero3 or a smaller sharding_group"
    ]
    assert (
        "groups of 16; nearest sharding_group: 4" in torchtitan(sharding="hsdp", sharding_group=16).rejected[0].reason
    )
    both = torchtitan(sharding=["fsdp", "hsdp"], sharding_group=4).rejected
    assert [point.reason for point in both] == [
        "torchtitan: sharding_group 4 reaches the trainer under hsdp alone; "
        "give hsdp a block of its own, with the sharding_group"
    ]
