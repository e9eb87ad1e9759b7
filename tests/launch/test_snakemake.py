"""What launch/snakemake.py takes for granted of Snakemake, and what users meet of it: fails where Snakemake changes."""

import json
import math
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from paths import REPOSITORY
from snakemake.api import Workflow
from snakemake.dag import DAG
from snakemake.settings.types import ConfigSettings, DAGSettings
from snakemake_interface_common.exceptions import ApiError
from sweeps import run_nodesweep, run_snakemake, snakemake_command, starts, toy, write

from nodesweep.launch.snakemake import CHATTER
from nodesweep.sweep.study import Study
from snakemake_executor_plugin_nodesweep import ExecutorSettings


def full_log(folder: Path) -> str:
    """Snakemake's own log of the last run, with all it says."""
    return max(folder.glob(".snakemake/log/*.log"), key=lambda path: path.stat().st_mtime_ns).read_text()


def test_what_is_left_out_snakemake_still_says(tmp_path: Path) -> None:
    """Each remark that is not shown begins a line of Snakemake's own log; one that is worded anew would be shown."""
    config = write(tmp_path / "sweep.yaml", toy())
    shown = run_snakemake(tmp_path, config, "all").stdout
    local = snakemake_command(config, "plan", "--forceall", "--executor", "local", "--cores", "1")
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY / "workflow")}
    text = full_log(tmp_path)
    assert subprocess.run(local, cwd=tmp_path, env=environment, capture_output=True, check=False).returncode == 0
    said = (text + full_log(tmp_path)).splitlines()
    assert [start for start in CHATTER if not any(line.startswith(start) for line in said)] == []
    assert [line for line in shown.splitlines() if line.startswith(CHATTER)] == []


def test_what_is_asked_of_the_workflow_is_there() -> None:
    """Its settings, its DAG and the jobs that are to run have the names that are used."""
    assert {"configfiles", "config"} <= set(ConfigSettings.__dataclass_fields__)
    assert "omit_from" in DAGSettings.__dataclass_fields__
    assert {"config_settings", "dag_settings"} <= set(Workflow.__dataclass_fields__)
    assert hasattr(Workflow, "dag") and hasattr(DAG, "needrun_jobs")


TIMERS = """
import sys, threading
from snakemake.cli import main
started = []
start = threading.Timer.start
threading.Timer.start = lambda timer: (started.append(timer), start(timer))
try:
    main(sys.argv[1:])
finally:
    print("timers:", len(started))
"""


def test_no_timer_outlives_the_work(tmp_path: Path) -> None:
    """Snakemake starts no timer, which would keep its process alive for a second after its last job."""
    command = snakemake_command(write(tmp_path / "sweep.yaml", toy()), "plan")
    command[1:3] = ["-c", TIMERS]
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY / "workflow")}
    run = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert run.returncode == 0 and "timers: 0" in run.stdout, run.stdout + run.stderr


def test_a_sweep_is_checked_before_snakemake_reads_it(tmp_path: Path) -> None:
    """Broken YAML is told with file and line, and a file that asks for Snakemake's YAML extension runs no code."""
    config = tmp_path / "sweep.yaml"
    config.write_text("__use_yte__: true\n__definitions__:\n- open('ran', 'w')\nsweep: toy\n")
    run = run_snakemake(tmp_path, config)
    assert run.returncode != 0 and "sweep.yaml:1: __use_yte__ would run code" in run.stdout
    assert "Traceback" not in run.stdout and not (tmp_path / "ran").exists()
    config.write_text("sweep: toy\nlayouts: [1\n")
    run = run_snakemake(tmp_path, config)
    assert run.returncode != 0 and "sweep.yaml:3" in run.stdout and "Traceback" not in run.stdout


HOSTILE = "__use_yte__: true\n__definitions__:\n- open('ran', 'w')\nsweep: toy\n"


@pytest.mark.parametrize(
    "words",
    [
        "--configfile=sweep.yaml --executor local -j1",
        "--configfiles {quickstart} sweep.yaml -n",
        "--profile profile",
        "SNAKEMAKE_PROFILE",
    ],
)
def test_no_command_line_runs_code_of_a_config(words: str, tmp_path: Path) -> None:
    """However a file is named, and whatever the executor: it is refused before Snakemake reads it."""
    (tmp_path / "sweep.yaml").write_text(HOSTILE)
    (tmp_path / "profile").mkdir()
    (tmp_path / "profile" / "profile.yaml").write_text("configfile: sweep.yaml\ncores: 1\n")
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY / "workflow")}
    if words == "SNAKEMAKE_PROFILE":
        environment[words], words = "profile", ""
    command = [sys.executable, "-m", "snakemake", "--snakefile", str(REPOSITORY / "Snakefile")]
    command += words.format(quickstart=REPOSITORY / "config" / "quickstart.yaml").split()
    run = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert run.returncode == 1 and "Traceback" not in run.stderr
    assert run.stderr.splitlines()[-1] == "Error: sweep.yaml:1: __use_yte__ would run code; a sweep is plain YAML"
    assert not (tmp_path / "ran").exists()


def test_a_config_dated_in_the_future(tmp_path: Path) -> None:
    """By the clock of another host: the sweep is planned once, and anew when it changes; the plan stays."""
    config = write(tmp_path / "sweep.yaml", toy())
    later = time.time() + 86400
    os.utime(config, (later, later))
    first = run_snakemake(tmp_path, config, "plan")
    assert first.returncode == 0, first.stdout
    assert "Nothing to be done" in run_snakemake(tmp_path, config, "plan").stdout
    write(config, toy(title="Another title"))
    os.utime(config, (later, later))
    assert run_snakemake(tmp_path, config, "plan").returncode == 0
    assert "Another title" in (tmp_path / "results" / "toy" / "plan.md").read_text()


def test_other_workflows_are_left_alone(tmp_path: Path) -> None:
    """A workflow that knows nothing of nodesweep may use Snakemake's YAML extension beside an installed plugin."""
    (tmp_path / "Snakefile").write_text("rule all:\n    shell: 'touch made'\n")
    (tmp_path / "config.yaml").write_text("__use_yte__: true\nnumber: ?1 + 1\n")
    command = [sys.executable, "-m", "snakemake", "--configfile", "config.yaml", "--cores", "1"]
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY / "workflow")}
    assert subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, check=False).returncode == 0
    assert (tmp_path / "made").exists()


def test_tables_after_a_failure_with_keys_on_the_command_line(tmp_path: Path) -> None:
    """With --config, which rules hand on as JSON, a sweep that failed in part has its tables all the same."""
    config = write(tmp_path / "sweep.yaml", toy(ending="{{ 'crash' if nodes == 2 else 'ok' }}"))
    run = run_snakemake(tmp_path, config, "--config", "title=Another title")
    assert run.returncode != 0 and "NameError" not in run.stdout and "Traceback" not in run.stdout
    tables = (tmp_path / "results" / "toy" / "tables.md").read_text()
    assert "Another title" in tables and "crash after iteration 1" in tables


def test_results_that_were_deleted_are_made_again(tmp_path: Path) -> None:
    """Without results.csv there is something to be done, though tables and page are there; no layout runs for it."""
    config = write(tmp_path / "sweep.yaml", toy())
    assert run_snakemake(tmp_path, config, "all").returncode == 0
    results = tmp_path / "results" / "toy" / "results.csv"
    text = results.read_bytes()
    results.unlink()
    again = run_snakemake(tmp_path, config, "all")
    assert again.returncode == 0 and "Nothing to be done" not in again.stdout
    assert (results.read_bytes(), set(starts(tmp_path).values())) == (text, {1})
    assert "Nothing to be done" in run_snakemake(tmp_path, config, "all").stdout


@pytest.mark.parametrize(
    ("option", "value", "way_out"),
    [
        ("jobs_at_once", -3, "--nodesweep-jobs-at-once is -3: give a number of 1 or more"),
        ("retries", -1, "--nodesweep-retries is -1: give a number of 0 or more"),
        ("hang_seconds", -1.0, "--nodesweep-hang-seconds is -1.0: give a number of 0 or more"),
        ("hang_seconds", math.nan, "--nodesweep-hang-seconds is nan: give a number of 0 or more"),
        ("poll_seconds", 0.0, "--nodesweep-poll-seconds is 0.0: give a number of seconds above 0"),
    ],
)
def test_numbers_that_a_launcher_cannot_work_with(option: str, value: float, way_out: str) -> None:
    """They are refused with option, value and way out."""
    with pytest.raises(ApiError) as refused:
        ExecutorSettings(**{option: value})
    assert str(refused.value) == way_out


def test_no_jobs_at_once(tmp_path: Path) -> None:
    """A launcher that may submit nothing would wait for ever: it ends at once, with one message."""
    run = run_snakemake(tmp_path, write(tmp_path / "sweep.yaml", toy()), "--nodesweep-jobs-at-once", "0")
    assert run.returncode != 0 and "Traceback" not in run.stdout and not starts(tmp_path)
    (line,) = [line for line in run.stdout.splitlines() if "jobs-at-once" in line]
    assert line.endswith("--nodesweep-jobs-at-once is 0: give a number of 1 or more")


def without_rights(command: list[str], folder: Path) -> subprocess.CompletedProcess[str]:
    """Run a command that may not write where files forbid it, also where root runs the tests."""
    if os.geteuid() == 0:
        drop = "-dac_override,-dac_read_search,-fowner"
        command = ["setpriv", f"--bounding-set={drop}", f"--inh-caps={drop}", *command]
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY / "workflow")}
    streams = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
    return subprocess.run(command, cwd=folder, env=environment, timeout=120, **streams)


def test_results_that_cannot_be_written(tmp_path: Path) -> None:
    """A read-only results/ is told in one message with the way out, by the commands and by snakemake itself."""
    config = write(tmp_path / "sweep.yaml", toy())
    results = tmp_path / "results"
    results.mkdir(mode=0o555)
    for command in (
        [sys.executable, "-m", "nodesweep", "plan", "--configfile", str(config)],
        snakemake_command(config),
    ):
        run = without_rights(command, tmp_path)
        assert run.returncode != 0 and "Traceback" not in run.stdout, run.stdout
        (line,) = [line for line in run.stdout.splitlines() if "Permission denied" in line]
        assert "results/toy: Permission denied; make it writable, or run in a folder of your own" in line


def test_an_edited_results_file_is_remarked_on(tmp_path: Path) -> None:
    """tables, figures and report say that it was changed, on the terminal and in what they write; no false alarm."""
    config = write(tmp_path / "sweep.yaml", toy())
    assert run_snakemake(tmp_path, config, "measure").returncode == 0
    folder = tmp_path / "results" / "toy"
    results, text = folder / "results.csv", (folder / "results.csv").read_text()

    def said_by(command: str) -> str:
        run = run_nodesweep(tmp_path, command, "--configfile", str(config))
        assert run.returncode == 0, run.stdout
        return run.stdout

    commands = ("tables", "figures", "report")
    assert not any("was changed" in said_by(command) for command in commands)
    results.write_text(text.replace(",0.5,", ",0.25,"))
    assert results.read_text() != text
    assert all("results.csv was changed after nodesweep wrote it" in said_by(command) for command in commands)
    figure = next((folder / "figures").glob("*.json"))
    for path in (folder / "tables.md", figure, folder / "report.html"):
        assert "was changed after nodesweep wrote it" in path.read_text()
    assert "results.csv edited" in json.loads(figure.read_text())["spec"]["title"]["text"]
    said_by("measure")
    assert results.read_text() == text and "was changed" not in said_by("tables")
    results.write_text(text.replace(",0.5,", ",0.25,"))
    (folder / "results.csv.sha256").unlink()  # as of an earlier version, which noted nothing
    assert "was changed" not in said_by("tables")


def test_a_profile_for_another_scheduler_brings_its_machine(tmp_path: Path) -> None:
    """The machine of the executor's settings reaches the Snakefile: scripts are those of Slurm."""
    config = write(tmp_path / "sweep.yaml", toy())
    run = run_snakemake(tmp_path, config, "scripts", profile="slurm")
    assert run.returncode == 0, run.stdout
    script = next(tmp_path.glob("results/toy/layouts/*/job.sh")).read_text()
    assert "#SBATCH" in script and Study.load([config]).sweep.machine.scheduler == "local"


def test_a_folder_in_place_of_a_record_is_one_message(tmp_path: Path) -> None:
    """What stands where job.json is needed is named, with the way out and without a traceback."""
    config = write(tmp_path / "sweep.yaml", toy())
    slug = next(iter(Study.load([config], results=tmp_path / "results").layouts))
    (tmp_path / "results" / "toy" / "layouts" / slug / "job.json").mkdir(parents=True)
    run = run_snakemake(tmp_path, config)
    assert run.returncode != 0 and "Traceback" not in run.stdout
    assert "job.json: Is a directory; move the folder away that stands where a file is needed" in run.stdout
