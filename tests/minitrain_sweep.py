"""Sweeps of the real trainer minitrain over all ways to split a model, small enough for two cores."""

import re
from pathlib import Path
from typing import Any

import yaml
from paths import REPOSITORY

MODEL = {
    "name": "small-mixture",
    "layers": 4,
    "hidden_size": 32,
    "attention_heads": 4,
    "kv_heads": 2,
    "vocab_size": 64,
    "experts": 4,
    "experts_per_token": 2,
    "expert_ffn_hidden_size": 32,
    "gated_ffn": True,
    "biases": "none",
    "norm": "rmsnorm",
    "positions": "rotary",
    "tied_embeddings": False,
}


def minitrain_sweep(machine: str, layouts: list[dict[str, Any]], **changes: Any) -> dict[str, Any]:
    """Two runs of each layout, of three iterations; each start of a job leaves a line in <folder of the run>/starts."""
    workload = yaml.safe_load((REPOSITORY / "config" / "workloads" / "minitrain.yaml").read_text())
    batch = {"micro_batch": 2, "global_batch": 16, "sequence_length": 32, "activation_checkpointing": False}
    return {
        "sweep": "axes",
        "model": MODEL,
        "machine": machine,
        "workload": {**workload, "name": "minitrain", "setup": ['echo "job $$" >>"{{ directory }}/starts"']},
        "iterations": {"total": 3, "warmup": 1},
        "repeats": 2,
        "layouts": [{**batch, **block} for block in layouts],
        **changes,
    }


def trainings(folder: Path) -> dict[str, int]:
    """How often the trainer began its work in each run below results/, by the logs of all its submissions."""
    found: dict[str, int] = {}
    for log in folder.glob("results/*/layouts/*/*.log"):
        begun = re.findall(r"^\[before the start of training step\]", log.read_text(), re.MULTILINE)
        found[log.parent.name] = found.get(log.parent.name, 0) + len(begun)
    return found
