"""Write tables.md from results.csv."""

import argparse

from nodesweep.common.files import write_atomic
from nodesweep.reports.figures import figures_of, section
from nodesweep.reports.tables.document import document_of, render
from nodesweep.reports.tables.explanation import explanation
from nodesweep.results.results_file import edited_remark, read_results
from nodesweep.results.table import records

from .arguments import add_sweep_options
from .common import study_of


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Which sweep."""
    add_sweep_options(parser)


def run(options: argparse.Namespace) -> None:
    """Write the tables, with links to the figures that their rows allow."""
    study = study_of(options)
    frame, remark = read_results(study.folder), edited_remark(study.folder)
    figures, _ = figures_of(records(frame), study.sweep, study.layouts)
    tables = render(document_of(study.sweep, frame), frame) + section(figures) + explanation(study.sweep, frame)
    write_atomic(study.folder / "tables.md", f"**Edited: {remark}.**\n\n{tables}" if remark else tables)
    print(f"{study.sweep.sweep}: tables written: {study.folder / 'tables.md'}")
    if remark:
        print(f"{study.sweep.sweep}: {remark}")
