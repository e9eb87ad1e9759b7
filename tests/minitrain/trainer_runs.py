"""Starts real minitrain processes for the tests and reads their lines."""

import os
import re
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass

ITERATION = re.compile(r"^ iteration +(\d+)/.* lm loss: (\S+) .* grad norm: (\S+) ", re.MULTILINE)

MODEL = {
    "--num-layers": 4,
    "--hidden-size": 32,
    "--num-attention-heads": 4,
    "--seq-length": 32,
    "--vocab-size": 64,
    "--micro-batch-size": 2,
    "--global-batch-size": 16,
    "--train-iters": 3,
    "--lr": 0.02,
}


@dataclass(frozen=True)
class Run:
    """How a run ended and what it wrote."""

    code: int
    out: str
    errors: str

    @property
    def losses(self) -> list[float]:
        """The loss of each iteration."""
        return [float(loss) for _, loss, _ in ITERATION.findall(self.out)]

    @property
    def norms(self) -> list[float]:
        """The gradient norm of each iteration."""
        return [float(norm) for _, _, norm in ITERATION.findall(self.out)]


def options(**changes: object) -> list[str]:
    """The small model's arguments; changes by name, where None takes one away and True is a bare flag."""
    chosen = {**MODEL, **{"--" + name.replace("_", "-"): value for name, value in changes.items()}}
    arguments = []
    for name, value in chosen.items():
        if value is not None:
            arguments += [name] if value is True else [name, str(value)]
    return arguments


def environment(variables: Mapping[str, str] | None = None) -> dict[str, str]:
    """This process's environment without any launcher's ranks, one thread per process; `variables` are added."""
    launchers = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "MASTER_", "SLURM_", "OMPI_", "PMIX_")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(launchers)}
    return {**kept, "OMP_NUM_THREADS": "1", **(variables or {})}


def train(
    ranks: int,
    arguments: list[str],
    *,
    before: str = "",
    torchrun: bool = False,
    variables: Mapping[str, str] | None = None,
) -> Run:
    """Run minitrain on `ranks` ranks, which itself or torchrun starts; `before` is shell text to run first."""
    command = [sys.executable, "-m", "minitrain", *arguments]
    if torchrun:
        launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--no-python"]
        command = [*launcher, "--nproc-per-node", str(ranks), *command]
    elif ranks > 1:
        command += ["--local-ranks", str(ranks)]
    if before:
        command = ["bash", "-c", f'{before}; exec "$@"', "bash", *command]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, env=environment(variables))
    return Run(done.returncode, done.stdout, done.stderr)
