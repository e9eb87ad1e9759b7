"""`python -m nodesweep`: the commands of nodesweep."""

from nodesweep.cli.main import command

if __name__ == "__main__":
    command()
