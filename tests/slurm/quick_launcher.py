"""A launcher without Snakemake around it, which starts in half a second: quick_launcher.py CONFIG POLICY

POLICY is that of a profile, as JSON. What it says goes to stdout.
"""

import json
import signal
import sys
from dataclasses import fields
from pathlib import Path

from nodesweep.cli.main import main
from nodesweep.common.errors import NodesweepError
from nodesweep.common.lock import SweepLock
from nodesweep.launch.history import decisions_of
from nodesweep.launch.reruns import withdraw_records
from nodesweep.launch.runner import Runner
from nodesweep.launch.submission import Policy
from nodesweep.schedulers import scheduler_of
from nodesweep.sweep.study import Study


def launch(config: Path, policy: Policy) -> int:
    """Make all runs that a sweep needs; 1 where one of them needs another."""
    study = Study.load([config])
    withdraw_records(study)
    lock = SweepLock(study.folder)
    main(["--configfile", str(config), "scripts"])
    scheduler = scheduler_of(study.sweep.machine.scheduler)
    runner = Runner(study, scheduler, policy, say, decisions_of(study), check_lock=lock.check)
    runner.recover()
    open_runs = {slug for slug in study.runs if not study.record(slug).exists()}
    runner.add(list(open_runs))
    final = True
    while open_runs:
        for done in runner.step():
            open_runs.discard(done.slug)
            final = final and done.final
        runner.wait(0.2)
    lock.release()
    return 0 if final else 1


def say(line: str) -> None:
    """Tell the user."""
    print(line, flush=True)


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        known = {field.name for field in fields(Policy)}  # another version's nodesweep may be under test
        policy = {name: value for name, value in json.loads(sys.argv[2]).items() if name in known}
        sys.exit(launch(Path(sys.argv[1]), Policy(**policy)))
    except NodesweepError as error:
        say(str(error))
        sys.exit(1)
