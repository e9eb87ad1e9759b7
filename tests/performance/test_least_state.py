"""The least that weights, gradients and optimizer states take, of models whose activations no formula gives."""

from pathlib import Path
from typing import Any

import pytest
from sweeps import toy, write

from nodesweep.common.units import GIB
from nodesweep.config.training import MemoryConstants, Training
from nodesweep.launch.history import decisions_of
from nodesweep.performance.dimensions import Dimensions
from nodesweep.performance.forecast import MemoryForecast, forecast
from nodesweep.performance.least_state import least_state_bytes
from nodesweep.performance.memory import stage_memory
from nodesweep.reports.prediction import forecast_cells
from nodesweep.sweep.study import Study

GPUS = {"name": "gpus", "scheduler": "slurm", "ranks_per_node": 8, "memory_mib_per_node": 8 * 80 * 1024}
EXPERTS = 48 * 128 * 3 * 2048 * 768  # of Qwen3 30B-A3B: layers, experts, matrices
OTHERS = 30_532_122_624 - EXPERTS
NEW = {"parameters": {"MEGATRON_CORE": ["0.17"]}}


def study(folder: Path, workload: Any = "megatron-lm", **axes: Any) -> Study:
    """A sweep of Qwen3 30B-A3B on one node of eight GPUs of 80 GiB."""
    block = {"nodes": 1, "global_batch": 64, "sequence_length": 4096, **axes}
    config = toy(model="qwen3-30b-a3b", machine=GPUS, workload=workload, layouts=[block])
    return Study.load([write(folder / "sweep.yaml", config)], results=folder / "results")


def memory_of_one(folder: Path, **changes: Any) -> MemoryForecast:
    """What is foreseen of the memory of its one layout."""
    (layout,) = study(folder, **changes).layouts.values()
    return forecast(layout).memory


@pytest.mark.parametrize(
    ("axes", "expected"),
    [
        ({"sharding": "none"}, 16 * (OTHERS + EXPERTS)),
        ({"sharding": "none", "expert": 8}, 16 * (OTHERS + EXPERTS / 8)),
        ({"sharding": "none", "expert": 2, "precision": "fp32"}, 16 * (OTHERS + EXPERTS / 2)),
        # DP 8 share out 12 of the 16 bytes; of an expert there are 8 / EP copies to do so
        ({"expert": 8}, (4 + 12 / 8) * OTHERS + 16 * EXPERTS / 8),
        ({"expert": 2}, (4 + 12 / 8) * OTHERS + (4 + 12 / 4) * EXPERTS / 2),
        ({"expert": 2, "sharding": "zero3"}, 16 / 8 * (OTHERS + EXPERTS)),
        ({**NEW, "expert": 2, "sharding": "hsdp", "sharding_group": 4}, 16 / 4 * (OTHERS + EXPERTS)),
    ],
)
def test_the_state_of_a_mixture_of_experts(tmp_path: Path, axes: dict[str, Any], expected: float) -> None:
    """Parameters of experts over EP, 16 bytes each, and what ZeRO shares out over those that hold the same."""
    memory = memory_of_one(tmp_path, **axes)
    assert memory.bytes is None
    assert memory.least_bytes == pytest.approx(expected, rel=1e-12)
    assert memory.verdict == ("will not fit" if expected > 80 * GIB else "")


@pytest.mark.parametrize(("expert_tensor", "split"), [(1, 2), (2, 4)])
def test_experts_split_by_tensor_parallelism_too(tmp_path: Path, expert_tensor: int, split: int) -> None:
    """EP 2 x ETP 2 splits the experts four ways; MP 2 splits them as well at most where there is no EP."""
    whole = memory_of_one(tmp_path, sharding="none", tensor=2, expert=2, expert_tensor=expert_tensor)
    assert 16 * EXPERTS / split < whole.least_bytes < 16 * (EXPERTS / split + OTHERS)
    alone = memory_of_one(tmp_path, sharding="none", tensor=2)
    assert 16 * EXPERTS / 2 < alone.least_bytes < 16 * (EXPERTS / 2 + OTHERS)


def test_nothing_is_said_of_a_state_that_is_not_known(tmp_path: Path) -> None:
    """Few bits, states in the host's memory, and a command that does not tell how experts and states are split."""
    assert memory_of_one(tmp_path, precision="fp8").least_bytes == 0
    assert memory_of_one(tmp_path, offload="optimizer").least_bytes == 0
    untold: dict[str, Any] = {"name": "mine", "command": ["./train.sh"], "precision": "bf16"}
    assert memory_of_one(tmp_path, workload=untold).least_bytes == 0
    told = {**untold, "training": {"zero_stage": 0}, "passes": ["expert", "expert_tensor"]}
    assert memory_of_one(tmp_path, workload=told).least_bytes == 16 * (OTHERS + EXPERTS)


def test_what_cannot_hold_its_state_does_not_run(tmp_path: Path) -> None:
    """The plan prunes it and says why; what holds its state is shown with that, and has no verdict."""
    found = study(tmp_path, sharding="none", expert=[1, 8])
    decisions = decisions_of(found)
    first, second = found.layouts
    pruned = decisions.not_run(first)
    assert pruned is not None
    assert pruned.reason == "weights, gradients and optimizer state alone need 455.0 of 80.0 GiB"
    assert decisions.not_run(second) is None
    assert forecast_cells(decisions.forecast(second))[:3] == ["-", "77.0", "-"]


@pytest.mark.parametrize("zero", [0, 1, 2, 3])
@pytest.mark.parametrize("pipeline", [1, 2])
def test_it_is_never_above_the_state_of_a_dense_model(zero: int, pipeline: int) -> None:
    """Where a formula gives the state of each stage, the least is no more than that of the stage that has most."""
    case = Dimensions(
        ranks=8 * pipeline,
        data=4,
        tensor=2,
        pipeline=pipeline,
        micro_batch=1,
        global_batch=8,
        sequence_length=16,
        activation_checkpointing=False,
        layers=4,
        hidden_size=8,
        attention_heads=2,
        vocab_size=256,
        precision="bf16",
        training=Training(zero_stage=zero),
    )
    constants = MemoryConstants(process_mib=0, allocator_factor=1)
    most = max(stage_memory(case, stage, constants).state_bytes for stage in range(pipeline))
    assert 0.5 * most < least_state_bytes(case) <= most
