"""Results that are copied, moved or deleted while their jobs wait or run."""

import shutil
import subprocess
import time
from pathlib import Path

from slurm.situations.registry import once, situation
from slurm.stage import Stage
from sweeps import TOY_TRAINER


@situation("results copied while their job runs, the copy launched")
def copied(stage: Stage) -> None:
    config = stage.sweep()
    first = stage.launch(config)
    stage.started(config)
    job = stage.job(config)
    first.kill()
    copy = stage.sweep("copy", hold=False)
    _take("cp", "--archive", config, copy)
    before = stage.journals(config)
    launcher = stage.launch(copy)
    stage.silence()
    assert stage.a.run("squeue", "-h", "-j", job, "-o", "%T").stdout.strip() == "RUNNING", launcher.said
    assert stage.journals(config) == before, "the copy's launcher wrote into the original's journal"
    launcher.end()
    assert list(stage.starts(copy).values()) == [1], launcher.said
    (row,) = stage.rows(copy)
    assert row["outcome"] == "ok", row["state"]
    stage.go(config)
    stage.launch(config).end()
    once(stage, config)


@situation("results moved while their job runs, launched at the new place")
def moved_running(stage: Stage) -> None:
    config = stage.sweep()
    first = stage.launch(config)
    stage.started(config)
    stage.job(config)
    first.kill()
    moved = stage.sweep("moved", counted="here")
    _take("mv", "--no-clobber", config, moved)
    launcher = stage.launch(moved)
    stage.silence()
    stage.go(config)
    launcher.end()
    assert list(stage.starts(config).values()) == [1], launcher.said
    assert stage.outcomes(moved) == ["ok"], stage.rows(moved)


@situation("results moved while their job waits, launched at the new place")
def moved_waiting(stage: Stage) -> None:
    config = stage.sweep(hold=False, options={"partition": "closed"})
    first = stage.launch(config)
    stage.job(config)
    first.kill()
    moved = stage.sweep("moved", hold=False, counted="here")
    _take("mv", "--no-clobber", config, moved)
    launcher = stage.launch(moved)
    stage.silence()
    for _ in range(3):  # the first job has no folder any more; another may run the script of the old place
        while launcher.process.poll() is None:
            stage.open_gate("here", "moved")
            time.sleep(0.5)
        if launcher.process.returncode:
            launcher = stage.launch(moved)
    starts, outcomes = stage.starts(config), stage.outcomes(moved)
    assert (list(starts.values()), outcomes) == ([1], ["ok"]), (starts, outcomes, launcher.said)


@situation("results deleted while their job waits, the sweep started anew with another program")
def deleted_waiting(stage: Stage) -> None:
    old, new = stage.folder / "old.sh", TOY_TRAINER
    old.write_text(new.read_text().replace(": 500))", ": 1000))"))
    starts = f"{stage.folder}/here/starts/{{{{ slug }}}}"

    def sweep(program: Path, partition: str) -> Path:
        environment = {"STARTS": starts, "HOLD": f"{stage.folder}/here/hold"}
        command = ["bash", str(program), "{{ iterations }}", "0.05", "ok"]
        workload = {"name": "toy", "command": command, "environment": environment, "log_format": "megatron-deepspeed"}
        return stage.sweep(options={"partition": partition}, workload=workload)

    config = sweep(old, "closed")
    first = stage.launch(config)
    job = stage.job(config)
    first.kill()
    shutil.rmtree(config.parent / "results")
    sweep(new, "closed")
    second = stage.launch(config)
    other = stage.job(config)
    stage.a.run("scontrol", "update", f"jobid={job}", "partition=debug")
    stage.silence()
    stage.a.run("scontrol", "update", f"jobid={other}", "partition=debug")
    stage.silence()
    starts = stage.starts(config)
    assert list(starts.values()) == [1], starts
    stage.go(config)
    second.end()
    (row,) = stage.rows(config)
    assert (row["outcome"], row["iteration_seconds"]) == ("ok", "0.5"), row["iteration_seconds"]
    starts = stage.starts(config)
    assert list(starts.values()) == [1], starts


def _take(*words: str | Path) -> None:
    """Copy or move the results of the sweep in the last but one word to that in the last one."""
    *command, source, target = map(Path, words)
    subprocess.run([*command, source.parent / "results", target.parent], check=True)
