"""Let finished layouts run again with the next invocation."""

import argparse

from nodesweep.common.lock import SweepLock
from nodesweep.launch.reruns import request_rerun

from .arguments import add_sweep_options
from .common import study_of


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Which layouts."""
    add_sweep_options(parser)
    meant = "layouts, as plan.md names them; one of their runs: SLUG-r1, SLUG-r2, ..."
    parser.add_argument("slug", nargs="+", metavar="SLUG", help=meant)


def run(options: argparse.Namespace) -> None:
    """Let finished layouts run again with the next invocation."""
    study = study_of(options)
    with SweepLock(study.folder):
        for run in [run for slug in options.slug for run in study.runs_named(slug)]:
            request_rerun(study, run.slug)
            print(f"{run.slug}: runs with the next launch: the command that ran the sweep")
