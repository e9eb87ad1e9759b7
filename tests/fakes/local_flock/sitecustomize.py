"""A fake: flock is granted to everybody, as two hosts see it where a file system keeps it local.

No file system with local flock can be had on one machine. Python runs this file at its start where PYTHONPATH has its
folder. Hearts beat faster than in earnest: NODESWEEP_TEST_GIVEN_UP_SECONDS says after how long without a beat a holder
counts as gone.
"""

import fcntl
import os

from nodesweep.common import lock

fcntl.flock = lambda descriptor, operation: None
lock.HEARTBEAT_SECONDS = 0.05
lock.LOOK_SECONDS = 0.02
lock.GIVEN_UP_SECONDS = float(os.environ.get("NODESWEEP_TEST_GIVEN_UP_SECONDS", "20"))
