"""What a plan remarks on, in plan.md and on the terminal: what has no effect, is not filled in, or is not judged."""

import csv
from pathlib import Path
from typing import Any

import pytest
from sweeps import toy, write

from nodesweep.cli.main import main

QUEUES = {"name": "ours", "scheduler": "slurm", "queues": [{"name": "gpu", "elapse_limit_seconds": 86400}]}
BLOCK = {"nodes": [1, 2], "tensor": [1, 2], "global_batch": 16, "sequence_length": 128}


@pytest.fixture(autouse=True)
def inside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Commands run in a folder of their own."""
    monkeypatch.chdir(tmp_path)


def planned(capsys: pytest.CaptureFixture[str], **changes: Any) -> tuple[list[str], str]:
    """The remarks that the command prints, and plan.md."""
    write(Path("sweep.yaml"), toy(**changes))
    assert main(["plan", "--configfile", "sweep.yaml"]) == 0
    counts, *remarks = capsys.readouterr().out.splitlines()
    assert "to run" in counts
    return [remark.removeprefix("toy: ") for remark in remarks], Path("results/toy/plan.md").read_text()


def test_conditions_that_hold_for_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    """A misspelt word excludes nothing; a condition that holds for a point rejected before is no mistake."""
    block = {**BLOCK, "parameters": {"attention": ["flash", "fused"]}}
    remarks, plan = planned(
        capsys,
        workload=toy()["workload"] | {"environment": {"ATTENTION": "{{ attention }}", "STARTS": "starts"}},
        layouts=[block],
        exclude=["attention == 'flahs'", "attention == 'fused' and nodes == 2", "nodes == 1 and tensor == 2"],
        when=[{"if": "tensor == 4", "note": "never"}, {"if": "nodes == 2", "note": "twice"}],
    )
    assert remarks[:2] == [
        "sweep.yaml:42: exclude[0] holds for no point, and changes nothing: attention == 'flahs'",
        "sweep.yaml:46: when[0].if holds for no layout, and changes nothing: tensor == 4",
    ]
    assert not [remark for remark in remarks[2:] if " holds for " in remark]
    assert "- sweep.yaml:42: exclude\\[0\\] holds for no point" in plan


def test_parameters_that_nothing_asks_for(capsys: pytest.CaptureFixture[str]) -> None:
    """The terminal says it too."""
    remarks, _ = planned(capsys, layouts=[{**BLOCK, "parameters": {"repeat": [1, 2]}}])
    assert "Nothing asks for repeat: layouts that differ in that alone run alike." in remarks


def test_enough_that_ends_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    """Of 12 iterations 2 are warm-up, and 10 are looked at for the first time once the run is over."""
    enough = {"percent": 1, "least": 10}
    remarks, _ = planned(capsys, iterations={"total": 12, "warmup": 2, "enough": enough}, layouts=[BLOCK])
    said = "ends no run of 3 layouts: it looks first at 10 iterations after warm-up (enough.least), and there are 10"
    assert f"sweep.yaml:27: iterations.enough {said}" in remarks
    remarks, _ = planned(capsys, iterations={"total": 13, "warmup": 2, "enough": enough}, layouts=[BLOCK])
    assert not [remark for remark in remarks if "iterations.enough" in remark]


def test_paths_that_are_still_to_be_filled_in(capsys: pytest.CaptureFixture[str]) -> None:
    """A variable that has the path of a shipped file is named with its place; one that `when` mends is not counted."""
    environment = {"MEGATRON_LM": "/path/to/Megatron-LM", "STARTS": "/data/path/to/starts"}
    mended = {"if": "nodes == 1", "workload": {"environment": {"MEGATRON_LM": "/home/me/Megatron-LM"}}}
    workload = toy()["workload"] | {"environment": environment}
    remarks, _ = planned(capsys, workload=workload, layouts=[BLOCK], when=[mended])
    assert remarks[0] == (
        "sweep.yaml:22: workload.environment.MEGATRON_LM is still /path/to/Megatron-LM: "
        "write its path on your machine there, or 2 layouts will not find it"
    )


def test_a_variant_whose_path_is_still_to_be_filled_in(capsys: pytest.CaptureFixture[str]) -> None:
    """What sets the variable is named: a variant, or an entry under `when`, and not the workload that these replace."""
    workload = toy()["workload"] | {"environment": {"SOURCE": "/path/to/source", "STARTS": "starts"}}
    variants = [{"name": "old", "env": {"SOURCE": "/path/to/old"}}, {"name": "new", "env": {"SOURCE": "/opt/new"}}]
    remarks, _ = planned(capsys, workload=workload, variants=variants)
    assert remarks[0].startswith("sweep.yaml:37: variants[0].env.SOURCE is still /path/to/old: ")
    assert remarks[0].endswith("or 2 layouts will not find it") and "/path/to/" not in remarks[1]
    changed = {"if": "nodes == 2", "workload": {"environment": {"SOURCE": "/path/to/other"}}}
    remarks, _ = planned(capsys, workload=workload, when=[changed])
    assert [remark.partition(" is still ")[0].partition(": ")[2] for remark in remarks[:2]] == [
        "workload.environment.SOURCE",
        "when[0].workload.environment.SOURCE",
    ]


def test_memory_that_no_limit_judges(capsys: pytest.CaptureFixture[str]) -> None:
    """A machine that does not say how much memory a node has is named once."""
    remarks, plan = planned(capsys)
    assert remarks == [
        "memory is not judged: machine here gives no memory_mib_per_node; with it the plan tells what cannot fit, "
        "and that is not run (2 layouts)"
    ]
    assert "- Limit of a rank's memory: unknown (2 layouts)" in plan
    remarks, plan = planned(capsys, machine=toy()["machine"] | {"memory_mib_per_node": 2048})
    assert remarks == []
    assert "- Limit of a rank's memory: 2.0 GiB (2 layouts)" in plan


def test_what_sets_time_limits(capsys: pytest.CaptureFixture[str]) -> None:
    """A guess sets none, so that jobs ask for all that a queue gives; what the config expects does."""
    machine = QUEUES | {"memory_mib_per_node": 2048, "peak_tflops": [{"precision": "fp32", "tflops_per_node": 1}]}
    remarks, plan = planned(capsys, machine=machine)
    assert remarks == [
        "2 layouts will ask for all of the 86400 s of queue gpu: no run tells how long they take, and a guess sets no "
        "limit; give iterations.expected_seconds, or elapse_limit_seconds of the machine"
    ]
    assert "- Time by a guess: " in plan and "- Time limit set by queue (2 layouts)" in plan
    remarks, plan = planned(capsys, machine=machine, iterations={"total": 3, "warmup": 1, "expected_seconds": 2})
    assert remarks == []
    assert "- Time limit set by iterations.expected_seconds (2 layouts)" in plan
    with Path("results/toy/plan.csv").open() as lines:
        assert {row["elapse_limit_source"] for row in csv.DictReader(lines)} == {"iterations.expected_seconds"}
    _, plan = planned(capsys, machine=machine | {"elapse_limit_seconds": 60})
    assert "- Time limit set by machine (2 layouts)" in plan


def test_rejections_are_counted_by_law(capsys: pytest.CaptureFixture[str]) -> None:
    """Above the list of all points stands how many each law rejects, with the reason it gives most often."""
    layouts = [{**BLOCK, "nodes": [1, 2, 4], "tensor": [1, 8], "global_batch": [16, 18]}]
    _, plan = planned(capsys, layouts=layouts, exclude=["nodes == 1"])
    _, _, rejected = plan.partition("## Rejected (9)\n\n")
    lines = [" ".join(line.split()) for line in rejected.splitlines()]
    assert lines[0] == "| Law | Points | For example |"
    counts = [line.split(" | ")[:2] for line in lines[2:5]]
    assert counts == [["| world size", "6"], ["| excluded", "2"], ["| batch", "1"]]
    assert sum("nearest MP" in line for line in lines) == 4


def test_what_may_be_less_says_how_much_less(capsys: pytest.CaptureFixture[str]) -> None:
    """A guess of memory stands beside the least that it may be, and the verdicts are explained."""
    _, plan = planned(capsys, machine=toy()["machine"] | {"memory_mib_per_node": 300})
    assert "| Mem [GiB] | At least | Verdict |" in " ".join(plan.split())
    assert "- uncertain: Mem is a guess; what is needed may be as little as At least, or more" in plan
    assert "will not fit: 95 % of At least" not in plan


def test_a_search_over_layouts_of_several_batches(capsys: pytest.CaptureFixture[str]) -> None:
    """Strong and weak series lose points to layouts of another batch, unless each batch is sought by itself."""
    layouts = [{**BLOCK, "tensor": 1}, {**BLOCK, "tensor": 1, "nodes": 2, "global_batch": "{{ 16 * ranks }}"}]
    remarks, _ = planned(capsys, layouts=layouts, search={"for_each": ["nodes"]})
    (remark,) = (remark for remark in remarks if "seeks" in remark)
    assert remark.startswith("sweep.yaml:") and "at any batch (GBS 16, 32)" in remark
    assert "for_each: [nodes, global_batch] seeks" in remark
    for changes in ({"search": {"for_each": ["nodes", "global_batch"]}}, {"search": {}, "layouts": layouts[:1]}):
        assert not any("seeks" in remark for remark in planned(capsys, **{"layouts": layouts, **changes})[0])


def test_more_threads_than_shared_cores(capsys: pytest.CaptureFixture[str]) -> None:
    """Ranks times threads are told of where fewer cores are shared, the ranks alone where threads are unknown."""
    machine = toy()["machine"] | {"name": "mine", "shared_cores": 3}
    block = {"nodes": [1, 2, 4], "global_batch": 16, "sequence_length": 128}
    one = machine | {"environment": {"OMP_NUM_THREADS": 1}}
    two = [
        {"name": "one"},
        {"name": "two", "env": {"OMP_NUM_THREADS": 2}},
        {"name": "any", "env": {"OMP_NUM_THREADS": ""}},
    ]
    remarks, _ = planned(capsys, machine=one, layouts=[block], variants=two)
    told = sorted(remark.partition(" (sweep.yaml")[0] for remark in remarks if " threads at once " in remark)
    assert told == [
        "1 layout will run at least 4 threads at once on the 3 cores of machine mine",
        "1 layout will run up to 4 threads at once on the 3 cores of machine mine",
        "2 layouts will run up to 8 threads at once on the 3 cores of machine mine",
    ]
    remarks, _ = planned(capsys, machine=one | {"shared_cores": 4}, layouts=[block])
    assert not [remark for remark in remarks if " threads at once " in remark]
