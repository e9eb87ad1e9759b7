"""Write the JSON Schemas of the config files and config/README.md."""

import argparse

from nodesweep.common.files import write_atomic
from nodesweep.config.schema import REFERENCE, SCHEMAS, reference, schemas


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add no options: the schemas are those of all sweeps."""


def run(_: argparse.Namespace) -> None:
    """Write the JSON Schemas of the config files and config/README.md."""
    for name, text in schemas().items():
        write_atomic(SCHEMAS / name, text)
    write_atomic(REFERENCE, reference())
