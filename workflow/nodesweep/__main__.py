"""`python -m nodesweep`: the commands of nodesweep."""

import sys

from nodesweep.cli.main import command

if __name__ == "__main__":
    sys.exit(command())
