"""Set-ups of the kinds that clusters have, for jobs on this machine and on a real Slurm."""

import subprocess
import sys
from pathlib import Path

from needs import lacking
from paths import REPOSITORY

LMOD = Path("/usr/share/lmod/lmod/init/bash")
ENVIRONMENT_MODULES = REPOSITORY / "build" / "environment-modules" / "init.bash"
CONDA_IMITATION = REPOSITORY / "tests" / "programs" / "conda_imitation.sh"
MODULES = ("Environment Modules", "Lmod")
KINDS = (*MODULES, "venv", "an imitation of conda")


def set_up(kind: str, folder: Path) -> list[str]:
    """The lines of a set-up that make the command `lab-stack`, whose two words of output are `stack` and its version.

    Skips where the machine lacks it; with CI=true that is a failure.
    """
    stack = folder / "lab" / "bin" / "lab-stack"
    stack.parent.mkdir(parents=True)
    stack.write_text('#!/bin/sh\necho "stack ${LAB_VERSION-of nobody}"\n')
    stack.chmod(0o755)
    if kind in MODULES:
        modulefile = folder / "modules" / "lab" / "7.1"
        modulefile.parent.mkdir(parents=True)
        modulefile.write_text(f"#%Module1.0\nsetenv LAB_VERSION 7.1\nprepend-path PATH {stack.parent}\n")
        init = LMOD if kind == "Lmod" else ENVIRONMENT_MODULES
        if not init.exists():
            lacking(f"no {kind}: see tests/schedulers/install.sh")
        return [f"source {init}", "module purge", f"module use {modulefile.parents[1]}", "module load lab/7.1"]
    if kind == "venv":
        subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder / "venv")], check=True)
        stack.rename(folder / "venv" / "bin" / "lab-stack")
        return [f"source {folder}/venv/bin/activate", "export LAB_VERSION=7.1"]
    scripts = folder / "envs" / "lab" / "etc" / "conda" / "activate.d"
    scripts.mkdir(parents=True)
    (folder / "envs" / "lab" / "bin").mkdir()
    stack.rename(folder / "envs" / "lab" / "bin" / "lab-stack")
    (scripts / "lab.sh").write_text('export LAB_VERSION=7.1$LAB_SUFFIX\n[ -n "$LAB_DEBUG" ] && echo debugging\n')
    return [f"export CONDA_IMITATION_ENVS={folder}/envs", f"source {CONDA_IMITATION}", "conda activate lab"]


def failing(kind: str) -> tuple[str, str]:
    """A line after such a set-up that fails, and words of its last output."""
    if kind in MODULES:
        return "module load lab/no-such-version", "no-such-version"
    if kind == "venv":
        return "source /no/such/venv/bin/activate", "/no/such/venv/bin/activate: No such file or directory"
    return "conda activate no-such-lab", "EnvironmentNameNotFound: Could not find conda environment: no-such-lab"
