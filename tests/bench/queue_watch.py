"""What it costs to watch a queue: jobs that wait for long, one launcher, the real Slurm.

python tests/bench/queue_watch.py --jobs 500 --minutes 30: CPU seconds, memory and status commands of the launcher.
"""

import argparse
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import psutil
from slurm.stage import Stage, site


def main() -> None:
    """Submit jobs that are held, watch, and print what that took."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--jobs", type=int, default=500)
    parser.add_argument("--minutes", type=float, default=30)
    parser.add_argument("--poll-seconds", type=float, default=30, help="as in profiles/slurm")
    options = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="queue-watch-"))
    with site(nodes=1) as place:
        stage = Stage(place, folder, silent_seconds=None, quick=False)
        for command in ("squeue", "sacct", "sbatch", "scontrol"):
            stage.wrap(command, f"echo {command} >>{folder}/calls")
        (folder / "calls").touch()
        (folder / "calls").chmod(0o666)
        variants = [{"name": f"v{number}"} for number in range(options.jobs)]
        config = stage.sweep(options={"hold": True}, variants=variants)
        policy = {"jobs_at_once": options.jobs, "poll_seconds": options.poll_seconds, "canary": 0}
        launcher = stage.launch(config, policy=policy)
        while Counter(stage.events(config))["submitted"] < options.jobs:
            assert launcher.process.poll() is None, launcher.said
            time.sleep(1)
        process = psutil.Process(launcher.process.pid)
        before, memory = _cpu_seconds(process), process.memory_info().rss
        submitting, asked = before, Counter((folder / "calls").read_text().split())
        time.sleep(60 * options.minutes)
        assert launcher.process.poll() is None, launcher.said
        after, memory_after = _cpu_seconds(process), process.memory_info().rss
        calls = Counter((folder / "calls").read_text().split()) - asked
        stage.close()
    print(
        f"{options.jobs} jobs submitted in {submitting:.1f} CPU seconds of the launcher and its commands "
        f"({', '.join(f'{count} {name}' for name, count in asked.items())});\n"
        f"watched for {options.minutes:g} min: {after - before:.2f} CPU seconds, "
        f"{memory >> 20} MiB at the start, {memory_after >> 20} MiB at the end, "
        f"{', '.join(f'{count} {name}' for name, count in calls.items()) or 'no commands'}"
    )


def _cpu_seconds(process: psutil.Process) -> float:
    """Of a process and of all it has started and that has ended."""
    return sum(process.cpu_times()[:4])


if __name__ == "__main__":
    main()
