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
    launcher = stage.launch(config)
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
    launcher = stage.launch(config, LOG_SECONDS="1")
    stage.started(config)
    log = _log(stage, config)
    late = log.rename(stage.folder / "late.log")
    stage.go(config)
    launcher.end()
    assert stage.outcomes(config) != ["ok"]
    late.rename(log)
    once(stage, config)
    again = stage.launch(config)
    again.end()
    once(stage, config)


@situation("logs compressed after the end")
def compressed_log(stage: Stage) -> None:
    config = stage.sweep(hold=False)
    stage.launch(config).end()
    (before,) = stage.rows(config)
    log = _log(stage, config)
    with gzip.open(f"{log}.gz", "wb") as file:
        file.write(log.read_bytes())
    log.unlink()
    (after,) = stage.rows(config)
    assert after["iteration_seconds"] == before["iteration_seconds"] == "0.5"
    (measurement,) = config.parent.glob("results/*/layouts/*/measurement.json")
    measurement.unlink()
    (again,) = stage.rows(config)
    assert again["iteration_seconds"] == "0.5", again
    stage.launch(config).end()
    once(stage, config)
