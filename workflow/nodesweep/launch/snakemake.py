"""What Snakefile and executor ask: the study this Snakemake process works on, and how rules call nodesweep."""

import argparse
import json
import shlex
import sys
from functools import lru_cache
from pathlib import Path
from typing import Any

from nodesweep.common.errors import NodesweepError
from nodesweep.config.loader import load_sweep
from nodesweep.sweep.study import DEFAULT_SWEEP, Study

from .reruns import withdraw_records
from .time_limits import with_limits


def study_of(workflow: Any) -> Study:
    """The study of `--configfile` and `--config`, the quickstart where neither names one.

    Ends the process with one message where it cannot be used: Snakemake would print a traceback.
    """
    try:
        return _study(*_arguments(workflow))
    except NodesweepError as error:
        raise SystemExit(f"Error: {error}") from None


_profile: dict[str, str] = {}
"""What the profile of this process says of the sweep: its `machine`, for sweeps written for another scheduler."""


def check_command_line(words: list[str], machine: str) -> None:
    """Check the sweep a snakemake command line names before Snakemake reads its files in its own way.

    Snakemake says neither file nor line of broken YAML, and runs code in a file that asks for its YAML extension.
    Records that no longer hold go as well: Snakemake runs what lacks its record. `machine`: the profile's, or empty.
    Raises NodesweepError.
    """
    _profile["machine"] = machine
    from snakemake.cli import parse_config  # it imports the executor plugins, which import this module

    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    parser.add_argument("--configfile", "--configfiles", nargs="*", action="extend", type=Path, default=[])
    parser.add_argument("--config", "-C", nargs="*", action="extend", default=[])
    named = parser.parse_known_args(words)[0]
    if named.configfile:
        paths = tuple(str(path.absolute()) for path in named.configfile)
        withdraw_records(_study(paths, _overrides(paths, parse_config(named.config))))


def command_of(workflow: Any) -> str:
    """The shell words that call nodesweep on the same study: `<command> plan`, ..."""
    paths, overrides = _arguments(workflow)
    words = [sys.executable, "-m", "nodesweep", *(word for path in paths for word in ("--configfile", path))]
    return shlex.join([*words, "--config", overrides] if overrides != "{}" else words)


def _arguments(workflow: Any) -> tuple[tuple[str, ...], str]:
    settings = workflow.config_settings
    paths = tuple(str(path) for path in settings.configfiles) or (str(DEFAULT_SWEEP),)
    return paths, _overrides(paths, dict(settings.config))


def _overrides(paths: tuple[str, ...], config: dict[str, Any]) -> str:
    """The keys over those of the files, as JSON: the command line's, and the machine a profile brings along.

    A profile's machine takes the place of one of another scheduler, unless the command line names a machine.
    """
    machine = _profile.get("machine")
    if machine and "machine" not in config:
        files = [Path(path) for path in paths]
        own, other = (load_sweep(files, changes)[0].machine for changes in (config, {**config, "machine": machine}))
        if own.scheduler != other.scheduler:
            config = {**config, "machine": machine}
    return json.dumps(config, sort_keys=True)


@lru_cache
def _study(paths: tuple[str, ...], overrides: str) -> Study:
    return with_limits(Study.load([Path(path) for path in paths], json.loads(overrides)))
