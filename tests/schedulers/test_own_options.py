"""Options of a machine that would fight nodesweep's own directives are refused, with the way out."""

from pathlib import Path
from typing import Any

import pytest
from sweeps import study_in, toy, write

from nodesweep.common.errors import ConfigError
from nodesweep.config.machine import Machine
from nodesweep.schedulers import SCHEDULERS
from nodesweep.sweep.study import Study

QUEUES = [{"name": "debug"}]
REFUSED = {
    "slurm": {
        "output": "<key>.log",
        "o": "<key>.log",
        "error": "<key>.log",
        "e": "<key>.log",
        "open-mode": "<key>.log",
        "job-name": "the key it is found by",
        "J": "the key it is found by",
        "array": "one job that starts once",
        "a": "one job that starts once",
        "requeue": "one job that starts once",
        "no-requeue": "one job that starts once",
        "nodes": "`nodes` of the layouts",
        "N": "`nodes` of the layouts",
        "ntasks": "`ranks_per_node` of the machine",
        "n": "`ranks_per_node` of the machine",
        "ntasks-per-node": "`ranks_per_node` of the machine",
        "export": "`environment`",
        "export-file": "`environment`",
        "chdir": "put a `cd` into `setup`",
        "D": "put a `cd` into `setup`",
        "wrap": "the job script is what runs",
        "input": "the job script is what runs",
        "wait": "reads sbatch's answer",
        "parsable": "reads sbatch's answer",
        "quiet": "reads sbatch's answer",
        "test-only": "reads sbatch's answer",
        "outp": "may be taken for output: nodesweep sends",
        "job-n": "may be taken for job-name",
    },
    "pbs": {
        "N": "the key it is found by",
        "o": "<key>.log",
        "e": "<key>.log",
        "j": "<key>.log",
        "k": "<key>.log",
        "r": "one job that starts once",
        "J": "one job that starts once",
        "S": "for bash",
        "v": "`environment` of the machine",
        "nodes": "`nodes` of the layouts",
        "mpiprocs": "`ranks_per_node`",
        "z": "reads qsub's answer",
    },
    "pjm": {
        "N": "the key it is found by",
        "o": "files of <key>",
        "e": "files of <key>",
        "j": "files of <key>",
        "spath": "files of <key>",
        "restart": "starts once",
        "bulk": "the normal kind",
        "step": "the normal kind",
        "sparam": "the normal kind",
        "node": "`node_shapes`",
        "z": "pjsub's answer",
    },
}
TAKEN: dict[str, dict[str, Any]] = {
    "slurm": {
        "partition": "gpu",
        "account": "lab",
        "A": "lab",
        "qos": "high",
        "reservation": "maintenance",
        "constraint": "a100",
        "clusters": "b",
        "begin": "now+1hour",
        "hold": True,
        "gres": "gpu:4",
        "gpus-per-node": 4,
        "exclusive": True,
        "mem": 0,
        "comment": "--output=elsewhere",
        "dependency": "afterok:17",
        "nodelist": "node8",
        "cpus-per-task": 12,
        "mail-type": ["END", "FAIL"],
        "signal": "B:TERM@60",
        "switches": "1@10:00",
        "licenses": "tool:1",
    },
    "pbs": {
        "q": "workq",
        "A": "lab",
        "P": "project",
        "V": True,
        "l": "filesystems=home",
        "select": "2:ncpus=4",
        "place": "scatter",
        "mem": "4gb",
        "W": "depend=afterok:17.srv",
        "h": True,
    },
    "pjm": {
        "g": "hp1",
        "x": "A=1",
        "X": True,
        "rscgrp": "small",
        "mpi": "rank-map-bychip",
        "S": True,
        "llio": "localtmp-size=30Gi",
        "comment": "x",
        "node-mem": "28Gi",
        "p": 3,
    },
}


def machine(scheduler: str, **values: Any) -> Machine:
    """A machine of a scheduler, checked as when a config is read."""
    return Machine.model_validate({"scheduler": scheduler, **values})


@pytest.mark.parametrize(
    ("scheduler", "name", "says"),
    [(scheduler, name, says) for scheduler, options in REFUSED.items() for name, says in options.items()],
)
def test_what_is_nodesweeps_own_is_refused(scheduler: str, name: str, says: str) -> None:
    """The complaint names the option and the key of the config that says it, or that it is to be left out."""
    with pytest.raises(ValueError) as raised:
        machine(scheduler, options={name: "x"})
    assert f"options.{name}: " in str(raised.value) and says in str(raised.value)


@pytest.mark.parametrize(
    ("scheduler", "name", "key", "value"),
    [
        ("slurm", "time", "elapse_limit_seconds", 60),
        ("slurm", "t", "elapse_limit_seconds", 60),
        ("slurm", "time-min", "queues", QUEUES),
        ("pbs", "walltime", "elapse_limit_seconds", 60),
        ("pjm", "elapse", "elapse_limit_seconds", 60),
        ("pjm", "freq", "frequencies_ghz", [2.0]),
    ],
)
def test_what_a_key_of_the_machine_says_is_said_once(scheduler: str, name: str, key: str, value: Any) -> None:
    """A time limit or a clock is an option as long as no key of the machine says it, and refused beside that key."""
    assert machine(scheduler, options={name: "x"}).options == {name: ("x",)}
    with pytest.raises(ValueError, match=f"options.{name}: the machine says it by `{key}`"):
        machine(scheduler, options={name: "x"}, **{key: value})


@pytest.mark.parametrize("scheduler", TAKEN)
def test_all_other_options_are_taken(scheduler: str) -> None:
    """What a site or a user has to say of a job stays theirs."""
    for name, value in TAKEN[scheduler].items():
        assert name in machine(scheduler, options={name: value}).options


@pytest.mark.parametrize("option", ["slurm partition", "slurm p", "pbs q", "pjm rscgrp"])
def test_a_queue_is_named_once(option: str) -> None:
    """Where the machine has queues, an option that names one would send every job there under another's name."""
    scheduler, name = option.split()
    with pytest.raises(ValueError, match=f"options.{name}: the machine says it by `queues`"):
        machine(scheduler, options={name: "gpu"}, queues=QUEUES)


@pytest.mark.parametrize(
    ("scheduler", "name", "value", "says"),
    [
        ("pbs", "l", "walltime=1:00:00", "walltime: the machine says it by `elapse_limit_seconds`"),
        ("pbs", "l", "mem=4gb, walltime=1:00:00", "walltime: the machine says it by `elapse_limit_seconds`"),
        ("pbs", "W", "umask=027,block=true", "block: nodesweep reads"),
        ("pjm", "L", "node=4,elapse=1:00:00", "node: `nodes` of the layouts"),
        ("pjm", "rsc-list", "elapse=1:00:00", "elapse: the machine says it by `elapse_limit_seconds`"),
        ("pjm", "mpi", ["rank-map-bychip", "proc=4"], "proc: `nodes` of the layouts"),
    ],
)
def test_options_inside_an_option_count(scheduler: str, name: str, value: Any, says: str) -> None:
    """`-l walltime=...` says a time limit as much as `walltime` does."""
    with pytest.raises(ValueError) as raised:
        machine(scheduler, options={name: value}, elapse_limit_seconds=60)
    assert f"options.{name}: {says}" in str(raised.value)


def test_what_a_hole_hides_is_found_when_the_script_is_rendered(tmp_path: Path) -> None:
    """The name of an option inside a value may come of a template."""
    with pytest.raises(ConfigError, match=r"machine\.options\.l: walltime: the machine says it"):
        options = {"l": "{{ 'wall' }}time=1:00:00"}
        study_in(tmp_path, machine={"name": "c", "scheduler": "pbs", "elapse_limit_seconds": 60, "options": options})


def test_the_complaint_stands_at_its_line(tmp_path: Path) -> None:
    """A user reads file, line and key."""
    sweep = toy(machine={"name": "c", "scheduler": "slurm", "options": {"account": "lab", "output": "x.log"}})
    with pytest.raises(ConfigError, match=r"sweep\.yaml:\d+: machine options\.output: nodesweep sends"):
        Study.load([write(tmp_path / "sweep.yaml", sweep)])


@pytest.mark.parametrize("name", [name for name, row in SCHEDULERS.items() if row.is_batch])
def test_every_batch_scheduler_says_what_is_nodesweeps_own(name: str) -> None:
    """A template writes directives, and each of them is an option that a user must not give again."""
    assert SCHEDULERS[name].own_options.reasons and SCHEDULERS[name].limited_by
