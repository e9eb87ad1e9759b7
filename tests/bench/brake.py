"""`python brake.py SHARE COMMAND...`: run a command slower, by stopping its processes for a share of their time.

With a share of 0.1, each 100 ms of running are followed by 10 ms in which all processes of the command stand still.
"""

import os
import signal
import subprocess
import sys
import time
from contextlib import suppress

RUNNING_SECONDS = 0.1


def main() -> int:
    """Run and stop in turns until the command ends; its exit code is passed on."""
    share, command = float(sys.argv[1]), sys.argv[2:]
    process = subprocess.Popen(command, process_group=0)

    def send(number: int) -> None:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, number)

    signal.signal(signal.SIGTERM, lambda *_: (send(signal.SIGTERM), send(signal.SIGCONT)))
    owed, before = 0.0, time.monotonic()
    while process.poll() is None:
        time.sleep(RUNNING_SECONDS)
        stopped = time.monotonic()
        owed += share * (stopped - before)
        send(signal.SIGSTOP)
        time.sleep(max(owed, 0.0))
        send(signal.SIGCONT)
        before = time.monotonic()
        owed -= before - stopped  # a sleep is never exact: what it was too long is taken off the next one
    return process.returncode


if __name__ == "__main__":
    sys.exit(main())
