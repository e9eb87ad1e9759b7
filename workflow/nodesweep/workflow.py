"""What Snakefile and executor ask: the study this Snakemake process works on, and how rules call nodesweep."""

import argparse
import json
import shlex
import sys
from functools import lru_cache
from pathlib import Path
from typing import Any

from .errors import NodesweepError
from .records import withdraw_records
from .study import DEFAULT_SWEEP, Study


def study_of(workflow: Any) -> Study:
    """The study of `--configfile` and `--config`, the quickstart where neither names one.

    Ends the process with one message where it cannot be used: Snakemake would print a traceback.
    """
    try:
        return _study(*_arguments(workflow))
    except NodesweepError as error:
        raise SystemExit(f"Error: {error}") from None


def check_command_line(words: list[str]) -> None:
    """Check the sweep a snakemake command line names before Snakemake reads its files in its own way.

    Snakemake says neither file nor line of broken YAML, and runs code in a file that asks for its YAML extension.
    Records that no longer hold go as well: Snakemake runs what lacks its record. Raises NodesweepError.
    """
    from snakemake.cli import parse_config  # it imports the executor plugins, which import this module

    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    parser.add_argument("--configfile", "--configfiles", nargs="*", action="extend", type=Path, default=[])
    parser.add_argument("--config", "-C", nargs="*", action="extend", default=[])
    named = parser.parse_known_args(words)[0]
    if named.configfile:
        paths = tuple(str(path.absolute()) for path in named.configfile)
        withdraw_records(_study(paths, json.dumps(parse_config(named.config), sort_keys=True)))


def command_of(workflow: Any) -> str:
    """The shell words that call nodesweep on the same study: `<command> plan`, ..."""
    paths, overrides = _arguments(workflow)
    words = [sys.executable, "-m", "nodesweep", *(word for path in paths for word in ("--configfile", path))]
    return shlex.join([*words, "--config", overrides] if overrides != "{}" else words)


def _arguments(workflow: Any) -> tuple[tuple[str, ...], str]:
    settings = workflow.config_settings
    paths = tuple(str(path) for path in settings.configfiles) or (str(DEFAULT_SWEEP),)
    return paths, json.dumps(dict(settings.config), sort_keys=True)


@lru_cache
def _study(paths: tuple[str, ...], overrides: str) -> Study:
    return Study.load([Path(path) for path in paths], json.loads(overrides))
