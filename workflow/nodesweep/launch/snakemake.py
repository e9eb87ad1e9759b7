"""All that depends on how Snakemake works inside, as seen in 9.27; tests/launch/test_snakemake.py notices changes.

For the rest the plugins and the Snakefile use what Snakemake documents. What stands here, and why:

- `check_command_lines` steps between Snakemake's parser and what follows it: then Snakemake reads the config files
  itself, names neither file nor line of broken YAML, and runs code in a file that asks for its YAML extension. The
  registry of executors is asked for its options by the parser, whatever executor is chosen; once that has read the
  command line, options of profiles, of SNAKEMAKE_PROFILE and in their short forms are all in one place.
- `_chosen` keeps the executor's `machine` for the Snakefile: Snakemake hands an executor's settings to the executor
  alone, after the Snakefile was read (`DAGApi.execute_workflow`).
- `lift_job_rate`: there is no option for no limit of jobs per timespan, and with one Snakemake goes through all ready
  jobs each timespan, and keeps its process alive for another one after its work is done.
- `layouts_to_run` and `tabulate_after_failure` ask Snakemake's workflow for what its interfaces do not have.
- `interrupt_on_signals` takes SIGTERM from Snakemake's scheduler, which would answer it by waiting for the whole sweep.
- `CHATTER`: Snakemake tells its remarks apart by no event, so that their words must do.
"""

import hashlib
import json
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from itertools import takewhile
from pathlib import Path
from typing import Any, Protocol

from snakemake_interface_executor_plugins.registry import ExecutorPluginRegistry

from nodesweep.common.errors import NodesweepError
from nodesweep.common.files import file_error_message
from nodesweep.config.loader import load_sweep, read_yaml
from nodesweep.sweep.study import DEFAULT_SWEEP, Study

from .reruns import withdraw_records
from .time_limits import with_limits

CHATTER = (
    "Building DAG of jobs",
    "Using shell: ",
    "Select jobs to execute",
    "Conda environments: ignored",
    "Elapsed time: ",
    "Assuming unrestricted shared filesystem",
)
"""How Snakemake's remarks begin that say nothing of a sweep and have no event; one that is worded anew is shown."""


class _ConfigSettings(Protocol):
    configfiles: Iterable[Path]
    config: dict[str, Any]


class _DagSettings(Protocol):
    omit_from: Iterable[str]


class _SchedulingSettings(Protocol):
    max_jobs_per_timespan: object


class _Rule(Protocol):
    name: str


class _SnakemakeJob(Protocol):
    rule: _Rule


class _Dag(Protocol):
    def needrun_jobs(self) -> Iterable[_SnakemakeJob]: ...


class SnakemakeWorkflow(Protocol):
    """What is used of Snakemake's `Workflow`."""

    config_settings: _ConfigSettings
    dag_settings: _DagSettings
    scheduling_settings: _SchedulingSettings
    dag: _Dag


@dataclass
class _Chosen:
    """The executor of this process: `machine`, for sweeps written for another scheduler, empty for none.

    `executor`: whether nodesweep's own was asked for, by a profile or on the command line. `stands_aside`: whether
    another launcher has the sweep.
    """

    executor: bool = False
    machine: str = ""
    stands_aside: bool = False


_chosen = _Chosen()


class _Arguments(Protocol):
    """What is used of a parsed command line of Snakemake, profiles included."""

    snakefile: object
    executor: str | None
    configfile: Iterable[Path]
    config: list[str] | None


def check_command_lines() -> None:
    """Have the sweep of each snakemake command line checked before Snakemake reads its files in its own way.

    Other workflows, whose Snakefile knows nothing of nodesweep, are left alone.
    """
    make_options = ExecutorPluginRegistry.register_cli_args

    def before_parsing(registry: object, parser: object) -> None:
        make_options(registry, parser)
        cli: Any = sys.modules["snakemake.cli"]
        if not hasattr(cli.args_to_api, "checks"):
            cli.args_to_api = _checked(cli)

    ExecutorPluginRegistry.register_cli_args = before_parsing


def _checked(cli: Any) -> Callable[[_Arguments, object], object]:
    """What takes the place of Snakemake's `args_to_api`."""
    go_on = cli.args_to_api

    def checked(arguments: _Arguments, parser: object) -> object:
        if _is_ours(cli.resolve_snakefile(arguments.snakefile, allow_missing=True)):
            try:
                _check(arguments, cli.parse_config)
            except NodesweepError as error:
                print(f"Error: {error}", file=sys.stderr)
                return False
        return go_on(arguments, parser)

    checked.checks = True  # type: ignore[attr-defined]
    return checked


def _is_ours(snakefile: object) -> bool:
    """Whether a Snakefile is nodesweep's, a copy of it, or one that includes it."""
    try:
        return isinstance(snakefile, str | Path) and b"nodesweep" in Path(snakefile).read_bytes()
    except OSError:
        return False  # Snakemake says what is wrong with it


def _check(arguments: _Arguments, parse_config: Callable[[list[str] | None], dict[str, Any]]) -> None:
    """Load the sweep of a command line; raises NodesweepError."""
    if arguments.executor == "nodesweep":
        machine = getattr(arguments, "nodesweep_machine", "")
        choose_executor(machine if isinstance(machine, str) else "")  # an option that is left out has a mark of its own
    paths = tuple(str(Path(path).absolute()) for path in arguments.configfile)
    for path in paths:
        read_yaml(Path(path))
    try:
        config = parse_config(arguments.config)
    except ValueError as error:  # a --config that is no KEY=VALUE
        raise NodesweepError(str(error)) from None
    if paths:
        _study(paths, _overrides(paths, config))


def choose_executor(machine: str) -> None:
    """Note that nodesweep's own executor was asked for; `machine`: the profile's, or empty."""
    _chosen.executor, _chosen.machine = True, machine


def study_of(workflow: SnakemakeWorkflow) -> Study:
    """The study of `--configfile` and `--config`, the quickstart where neither names one; raises NodesweepError."""
    return _study(*_named(workflow))


def prepared_study_of(workflow: SnakemakeWorkflow) -> Study:
    """The study for the Snakefile; a launcher first takes back the records that no longer hold.

    Snakemake then runs what lacks its record. Ends the process with one message where the study cannot be used:
    Snakemake would print a traceback.
    """
    try:
        study = study_of(workflow)
        if _chosen.executor:
            withdraw_records(study)
        return study
    except NodesweepError as error:
        raise SystemExit(f"Error: {error}") from None
    except OSError as error:
        raise SystemExit(f"Error: {file_error_message(error)}") from None


def dated(paths: Iterable[Path]) -> list[Path]:
    """Input files of a rule without those that Snakemake cannot take, for which `undated_digest` stands.

    It fails a rule whose output is older than its input, takes the output away, and runs it again each time; braces in
    a path are its wildcards, and nothing escapes them.
    """
    return [path for path in paths if not _is_unfit(path)]


def undated_digest(paths: Iterable[Path]) -> str:
    """What changes, as a parameter of a rule, when a file that is no input does; empty without one."""
    unfit = [path.read_bytes() for path in paths if _is_unfit(path)]
    return hashlib.sha256(b"\0".join(unfit)).hexdigest() if unfit else ""


def _is_unfit(path: Path) -> bool:
    """Whether a file is dated in the future, or has a brace in its path."""
    return path.stat().st_mtime > time.time() or not {"{", "}"}.isdisjoint(str(path))


def command_of(workflow: SnakemakeWorkflow) -> Callable[[object], str]:
    """The shell words that call nodesweep on the same study: `<command> plan`, ..., as a parameter of a rule.

    That is a function of the wildcards: in a text, Snakemake would take braces of a path for wildcards.
    """
    words = shlex.join(_command(workflow))
    return lambda wildcards: words


def tabulate_after_failure(workflow: SnakemakeWorkflow) -> None:
    """Make the tables of a sweep that failed in part, but for what --omit-from names and what follows.

    Each step says itself what is wrong. Whoever interrupts a step need not wait for the others. A launcher that stands
    aside leaves the tables to the other one.
    """
    if _chosen.stands_aside:
        return
    unwanted = set(workflow.dag_settings.omit_from)
    with suppress(KeyboardInterrupt):
        for step in takewhile(lambda step: step not in unwanted, ("measure", "tables", "figures", "report")):
            if subprocess.run([*_command(workflow), step], check=False).returncode:
                return


def stand_aside() -> None:
    """Make no tables of a sweep that another launcher has."""
    _chosen.stands_aside = True


def layouts_to_run(workflow: SnakemakeWorkflow) -> int:
    """How many layouts Snakemake is going to hand over, some at a time."""
    return sum(job.rule.name == "run" for job in workflow.dag.needrun_jobs())


def lift_job_rate(workflow: SnakemakeWorkflow) -> None:
    """Let Snakemake hand over jobs at any rate; asked before it makes its job scheduler."""
    workflow.scheduling_settings.max_jobs_per_timespan = None


def interrupt_on_signals() -> None:
    """Have SIGTERM end the launcher as Ctrl-C does, and SIGHUP, when its terminal closes, unless `nohup` shields it."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    if signal.getsignal(signal.SIGHUP) == signal.SIG_DFL:
        signal.signal(signal.SIGHUP, signal.default_int_handler)


def _command(workflow: SnakemakeWorkflow) -> list[str]:
    paths, overrides = _named(workflow)
    words = [sys.executable, "-m", "nodesweep", *(word for path in paths for word in ("--configfile", path))]
    return [*words, "--config", overrides] if overrides != "{}" else words


def _named(workflow: SnakemakeWorkflow) -> tuple[tuple[str, ...], str]:
    settings = workflow.config_settings
    paths = tuple(str(path) for path in settings.configfiles) or (str(DEFAULT_SWEEP),)
    return paths, _overrides(paths, dict(settings.config))


def _overrides(paths: tuple[str, ...], config: dict[str, Any]) -> str:
    """The keys over those of the files, as JSON: the command line's, and the machine a profile brings along.

    A profile's machine takes the place of one of another scheduler, unless the command line names a machine.
    """
    machine = _chosen.machine
    if machine and "machine" not in config:
        files = [Path(path) for path in paths]
        own, other = (load_sweep(files, changes)[0].machine for changes in (config, {**config, "machine": machine}))
        if own.scheduler != other.scheduler:
            config = {**config, "machine": machine}
    return json.dumps(config, sort_keys=True)


@lru_cache
def _study(paths: tuple[str, ...], overrides: str) -> Study:
    return with_limits(Study.load([Path(path) for path in paths], json.loads(overrides)))
