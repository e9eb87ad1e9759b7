"""Give up jobs that nobody knows anything of, so that their layouts may run again."""

import argparse

from nodesweep.launch import journal
from nodesweep.launch.forgetting import forget

from .arguments import add_sweep_options
from .common import study_of


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Which layouts, and whether to believe the scheduler."""
    add_sweep_options(parser)
    parser.add_argument(
        "slug", nargs="+", metavar="SLUG", help="layouts that `nodesweep status` shows as held; slugs as in plan.md"
    )
    parser.add_argument("--force", action="store_true", help="even where the scheduler knows the job, or is silent")


def run(options: argparse.Namespace) -> None:
    """End the open submission of each layout as lost; a launcher at work takes note of it."""
    study = study_of(options)
    for slug in options.slug:
        runs = [run.slug for run in study.runs_named(slug)]
        known = [run for run in runs if journal.state(study.journal(run)).is_open]
        for run in known or runs[:1]:
            print(forget(study, run, options.force))
