"""Memory of the embedded trainer on this machine: measured by sweeps of nodesweep, half of it fitted, half foreseen.

`python tests/bench/trainer_memory.py [FOLDER]`: runs 42 layouts of four models on 1, 2 and 4 ranks, two iterations each
(about ten minutes on two cores), or takes what lies in a folder they ran in. In the order of the lists below every
second run is fitted, as `nodesweep calibrate` does it; the others are foreseen by what came out, and by constants of
config/workloads/minitrain.yaml.
"""

import os
import subprocess
import sys
import tempfile
from pathlib import Path
from statistics import median
from typing import Any

import yaml

from nodesweep.common.units import MIB
from nodesweep.config.training import MemoryConstants
from nodesweep.performance.calibration.memory_fit import fit
from nodesweep.performance.calibration.observations import Observation
from nodesweep.performance.dimensions import Dimensions
from nodesweep.performance.memory import peak
from nodesweep.results.table import from_csv, records
from nodesweep.sweep.study import REPOSITORY, Study

MACHINE = {
    "scheduler": "local",
    "ranks_per_node": 1,
    "max_nodes": 64,
    "shared_cores": "host",
    "memory_mib_per_node": 8000,
    "elapse_limit_seconds": 600,
    "environment": {"OMP_NUM_THREADS": 1, "CUDA_VISIBLE_DEVICES": ""},
}
WIDE_GPT = {"layers": 4, "hidden_size": 256, "attention_heads": 8, "vocab_size": 4096}
WIDE_LLAMA = WIDE_GPT | {
    "kv_heads": 4,
    "ffn_hidden_size": 704,
    "gated_ffn": True,
    "biases": "none",
    "norm": "rmsnorm",
    "positions": "rotary",
    "tied_embeddings": False,
}
MODELS: dict[str, Any] = {"lt": "llama-tiny", "lw": WIDE_LLAMA, "gt": "gpt-tiny", "gw": WIDE_GPT}
# Ranks, samples of a micro batch and of all, tokens of a sample, recomputation, other axes.
LAYOUTS: dict[str, list[tuple[int, int, int, int, str, dict[str, Any]]]] = {
    "lt": [
        (1, 2, 4, 256, "full", {}),
        (1, 64, 64, 256, "none", {}),
        (1, 64, 64, 256, "full", {}),
        (1, 16, 16, 512, "selective", {}),
        (1, 16, 16, 512, "none", {}),
        (1, 16, 16, 512, "none", {"precision": "bf16"}),
        (1, 16, 16, 512, "full", {"precision": "bf16"}),
        (2, 2, 8, 256, "full", {"tensor": 2}),
        (2, 2, 8, 256, "full", {"pipeline": 2}),
        (2, 2, 8, 256, "full", {"context": 2}),
        (2, 2, 8, 256, "full", {}),
        (2, 2, 8, 256, "full", {"sharding": "fsdp"}),
        (2, 2, 8, 256, "none", {"sharding": "zero1"}),
        (4, 2, 8, 256, "full", {}),
        (4, 2, 8, 256, "full", {"tensor": 2, "pipeline": 2}),
        (4, 2, 8, 256, "full", {"context": 2, "sharding": "fsdp"}),
    ],
    "lw": [
        (1, 4, 4, 512, "full", {}),
        (1, 16, 16, 512, "none", {}),
        (1, 16, 16, 512, "full", {}),
        (1, 16, 16, 512, "selective", {}),
        (2, 16, 16, 512, "none", {"tensor": 2}),
        (2, 16, 16, 512, "full", {"tensor": 2}),
        (2, 4, 16, 512, "none", {"pipeline": 2}),
        (2, 8, 16, 512, "full", {"pipeline": 2}),
        (2, 16, 16, 512, "none", {"context": 2}),
        (2, 16, 16, 512, "selective", {"context": 2}),
        (2, 8, 16, 512, "none", {}),
        (2, 8, 16, 512, "none", {"sharding": "zero1"}),
        (2, 8, 16, 512, "none", {"sharding": "fsdp"}),
        (2, 8, 16, 512, "full", {"sharding": "fsdp"}),
        (4, 4, 8, 512, "none", {"tensor": 2, "context": 2}),
        (4, 4, 8, 512, "full", {"sharding": "fsdp", "context": 2}),
    ],
    "gt": [
        (1, 2, 4, 256, "full", {}),
        (1, 64, 64, 256, "none", {}),
        (1, 16, 16, 512, "selective", {}),
        (2, 2, 8, 256, "full", {"tensor": 2}),
        (2, 16, 32, 256, "none", {"pipeline": 2}),
        (4, 2, 8, 256, "full", {}),
    ],
    "gw": [
        (1, 16, 16, 512, "none", {}),
        (1, 16, 16, 512, "full", {}),
        (2, 16, 16, 512, "none", {"tensor": 2}),
        (2, 8, 8, 512, "none", {"context": 2}),
    ],
}


def sweep_of(name: str) -> dict[str, Any]:
    """The sweep of a model, as its config file has it."""
    keys = ("nodes", "micro_batch", "global_batch", "sequence_length", "recomputation")
    return {
        "sweep": name,
        "title": "Memory of the embedded trainer",
        "model": MODELS[name],
        "machine": MACHINE,
        "workload": "minitrain",
        "iterations": {"total": 2, "warmup": 1},
        "prune": "never",
        "layouts": [dict(zip(keys, values, strict=True)) | axes for *values, axes in LAYOUTS[name]],
    }


def measured(name: str) -> list[tuple[Dimensions, float, str]]:
    """The layouts of a sweep with the peak of the rank that took most, in MiB; runs it where it did not run here."""
    config = Path(f"{name}.yaml")
    config.write_text(yaml.safe_dump(sweep_of(name), sort_keys=False))
    study = Study.load([config])
    if not (study.folder / "results.csv").exists():
        command = ["snakemake", "--snakefile", REPOSITORY / "Snakefile", "--profile", REPOSITORY / "profiles" / "local"]
        subprocess.run([*map(str, command), "--configfile", str(config)], check=True, capture_output=True)
    rows = {row["slug"]: row for row in records(from_csv((study.folder / "results.csv").read_text()))}
    return [(Dimensions.of(each), rows[slug]["memory_mib"], f"{name} {slug}") for slug, each in study.layouts.items()]


def foreseen_mib(case: Dimensions, constants: MemoryConstants) -> float:
    """The peak of a run by the formula."""
    return peak(case, constants).highest_bytes / MIB


def off_percent(runs: list[tuple[Dimensions, float, str]], constants: MemoryConstants) -> str:
    """How far a formula is off some runs, in words."""
    errors = sorted(100 * abs(foreseen_mib(case, constants) / mib - 1) for case, mib, _ in runs)
    return f"{len(runs)} runs, {median(errors):.1f} % off in the median, {errors[-1]:.1f} % at worst"


def main() -> None:
    """Run or read, fit, compare."""
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(sys.argv[1] if sys.argv[1:] else folder)
        runs = [run for name in LAYOUTS for run in measured(name)]
        fitted, others = runs[::2], runs[1::2]
        model = fit([Observation(name, case, None, mib) for case, mib, name in fitted]).model
        written = Study.load([Path("lt.yaml")]).sweep.workload.memory_constants
        assert model is not None and written is not None
        for number, (case, mib, name) in enumerate(runs):
            by = foreseen_mib(case, written)
            print(
                f"{'other' if number % 2 else 'fitted':6} {name:56} {mib:7.1f} {by:7.1f} {100 * (by / mib - 1):+6.1f} %"
            )
        print(f"fitted to half: {model.constants}")
        print(f"the fitted half by these: {off_percent(fitted, model.constants)}")
        print(f"the other half by these: {off_percent(others, model.constants)}")
        print(f"the other half by the workload's: {off_percent(others, written)}")
        os.chdir("/")


if __name__ == "__main__":
    main()
