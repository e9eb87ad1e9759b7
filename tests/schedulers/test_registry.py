"""The registry finds every scheduler by itself, and a scheduler's row is all that anybody asks."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from sweeps import copied_repository, toy

from nodesweep.common.errors import ConfigError
from nodesweep.common.outcomes import OUTCOME_OF_CAUSE
from nodesweep.config.machine import Machine
from nodesweep.schedulers import SCHEDULERS, TEMPLATES
from nodesweep.schedulers.base import SchedulerRow
from nodesweep.schedulers.local import Local
from nodesweep.schedulers.markers import CAUSES

NEW_SCHEDULER = '''
"""A scheduler that only this test has."""

from nodesweep.common.errors import SchedulerError

from .base import Job, Patience, SchedulerRow, Sighting
from .batch import Batch


class Tide(Batch):
    """Takes no job."""

    patience = Patience(polls=2, unclear_seconds=60, silent_seconds=900)

    def submit(self, script, key):
        """Refuse every job."""
        raise SchedulerError("refused")

    def poll(self, jobs):
        """See no job."""
        return {}

    def cancel(self, jobs):
        """Do nothing."""


SCHEDULER = SchedulerRow(
    title="Tide",
    meaning="Tide of the harbour",
    connect=Tide,
    commands=("tidesub",),
    causes=frozenset({"preempted"}),
    directive=lambda name, value: f"{name} is {value}",
    variables=("TIDE_",),
    node_file_variable="TIDE_NODES",
    memory_of="node",
    accounts={"memory_bytes": "the high-water mark"},
)
'''
NEW_TEMPLATE = """\
{% extends "batch_job.sh.j2" %}
{% block directives %}
{% for name, value in options %}
#TIDE {{ directive(name, value) }}
{% endfor %}
{% endblock %}
{% block key %}"${TIDE_JOB:-}"{% endblock %}
{% block output %}
exec >>"${directory}/${NODESWEEP_KEY}.log"
{% endblock %}
"""
ASKING = """
from pathlib import Path
from nodesweep.config.schema import reference
from nodesweep.reports.run_diff import NotedRun, document
from nodesweep.reports.tables.document import MEMORY_MEANING
from nodesweep.results.environment import Fact
from nodesweep.schedulers.job_script import provenance_script, render
from nodesweep.sweep.study import Study
study = Study.load([Path("sweep.yaml")])
(layout,) = study.layouts.values()
print(render(layout, "toy", study.folder))
print(provenance_script())
print(reference())
print(MEMORY_MEANING["scheduler"])
print(document(*(NotedRun(job, {}, "", [Fact("environment", "TIDE_JOB", job)]) for job in ("first", "second"))))
"""


def test_a_module_and_a_template_make_a_scheduler(tmp_path: Path) -> None:
    """Two new files in a copy of the package, no edit: scripts, provenance, reference, tables and diffs know it."""
    package = copied_repository(tmp_path / "nodesweep") / "workflow" / "nodesweep"
    (package / "schedulers" / "tide.py").write_text(NEW_SCHEDULER)
    (package / "schedulers" / "templates" / "tide.sh.j2").write_text(NEW_TEMPLATE)
    machine = {"name": "harbour", "scheduler": "tide", "options": {"water": "high"}}
    layouts = [{"nodes": [1], "global_batch": 16, "sequence_length": 128}]
    (tmp_path / "sweep.yaml").write_text(yaml.safe_dump(toy(machine=machine, layouts=layouts)))
    environment = {**os.environ, "PYTHONPATH": str(package.parent)}
    command = [sys.executable, "-c", ASKING]
    asked = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=60)
    assert asked.returncode == 0, asked.stderr
    assert "\n#TIDE water is high\nset -euo pipefail\n" in asked.stdout
    assert "\nexport NODESWEEP_KEY\nexec >>" in asked.stdout
    assert " TIDE_NODES; do\n" in asked.stdout
    assert "`tide`: Tide of the harbour." in asked.stdout
    assert re.search(r"a node \([^)]*\bTide\b[^)]*\)", asked.stdout)
    assert "## Of the jobs themselves" in asked.stdout and "## Environment" not in asked.stdout


def test_every_scheduler_is_a_module_with_a_template() -> None:
    """Templates are those of the schedulers, two they extend, and the script that all jobs call."""
    templates = {path.name for path in TEMPLATES.glob("*.j2")}
    assert templates == {f"{name}.sh.j2" for name in (*SCHEDULERS, "job", "batch_job", "provenance")}


@pytest.mark.parametrize("name", SCHEDULERS)
def test_a_row_is_whole(name: str) -> None:
    """Every cause belongs to an outcome; a figure of memory says what it is of, and where it stands in the accounts."""
    row = SCHEDULERS[name]
    assert row.causes <= OUTCOME_OF_CAUSE.keys() and OUTCOME_OF_CAUSE.keys() >= CAUSES
    assert row.title and row.meaning and row.commands
    assert (row.memory_of is None) == ("memory_bytes" not in row.accounts)
    assert set(row.machine_keys) <= Machine.model_fields.keys()
    assert row.is_batch == bool(row.nodes_variable or row.node_file_variable) == bool(row.variables)
    assert row.is_batch != bool(row.time_limit_command)


def test_a_row_refuses_what_is_no_cause_and_no_account() -> None:
    """A word that no outcome knows, or a figure that Usage has no field for, is an error when the module is read."""
    with pytest.raises(ValueError, match="'bad_luck' is the cause of no outcome"):
        SchedulerRow(title="Tide", meaning="", connect=Local, commands=(), causes=frozenset({"bad_luck"}))
    with pytest.raises(ValueError, match="Tide: colour is no field of Usage"):
        SchedulerRow(
            title="Tide", meaning="", connect=Local, commands=(), causes=frozenset(), accounts={"colour": "blue"}
        )


def test_options_are_refused_where_a_scheduler_takes_none() -> None:
    """A row that says nothing of directives takes no options, with the key's name in the message."""
    with pytest.raises(ConfigError, match=r"machine\.options\.mem: this scheduler takes no options"):
        SCHEDULERS["local"].directive("mem", "1G")


@pytest.mark.parametrize("name", [name for name, row in SCHEDULERS.items() if row.machine_keys])
def test_keys_of_one_scheduler_are_refused_for_every_other(name: str) -> None:
    """PJM's node_allocation is for PJM alone."""
    values = {"node_allocation": "torus", "node_shapes": {4: "2x2"}}
    for key in SCHEDULERS[name].machine_keys:
        assert Machine.model_validate({"scheduler": name, key: values[key]})
        for other in SCHEDULERS.keys() - {name}:
            with pytest.raises(ValueError, match=f"for scheduler {name}; leave"):
                Machine.model_validate({"scheduler": other, key: values[key]})
