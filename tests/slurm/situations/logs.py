"""Logs that come late, and logs that go."""

import gzip
import time
from pathlib import Path

from slurm.situations.registry import once, situation
from slurm.stage import Stage


def _log(stage: Stage, config: Path) -> Path:
    (path,) = config.parent.glob("results/*/layouts/*/*-a1*.log")
    return path


@situation("log that comes late")
def late_log(stage: Stage) -> None:
    config = stage.sweep()
    launcher = stage.launch(config, policy={"log_wait_seconds": 60})
    stage.started(config)
    log = _log(stage, config)
    late = log.rename(stage.folder / "late.log")
    stage.go(config)
    stage.ended(config)
    time.sleep(stage.late_seconds)
    late.rename(log)
    launcher.end()
    once(stage, config)


@situation("log that comes after the launcher has gone")
def very_late_log(stage: Stage) -> None:
    config = stage.sweep()
    launcher = stage.launch(config, policy={"log_wait_seconds": 1})
    stage.started(config)
    log = _log(stage, config)
    late = log.rename(stage.folder / "late.log")
    stage.go(config)
    launcher.end()
    outcomes = stage.outcomes(config)
    assert outcomes == ["unread"], outcomes
    late.rename(log)
    (row,) = stage.rows(config)
    assert (row["outcome"], row["iteration_seconds"]) == ("ok", "0.5"), row["outcome"]
    stage.launch(config).end()
    starts = stage.starts(config)
    assert list(starts.values()) == [1], starts


@situation("logs compressed after the end", slow=True)
def compressed_log(stage: Stage) -> None:
    config = stage.sweep(hold=False)
    stage.launch(config).end()
    log = _log(stage, config)
    with gzip.open(f"{log}.gz", "wb") as file:
        file.write(log.read_bytes())
    log.unlink()
    (row,) = stage.rows(config)
    assert row["iteration_seconds"] == "0.5", row["iteration_seconds"]
    (measurement,) = config.parent.glob("results/*/layouts/*/measurement.json")
    measurement.unlink()
    (again,) = stage.rows(config)
    assert again["iteration_seconds"] == "0.5", again["iteration_seconds"]
    stage.launch(config).end()
    once(stage, config)
