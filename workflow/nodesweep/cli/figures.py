"""Draw the figures that results.csv allows, as SVG, PNG and Vega-Lite."""

import argparse
from dataclasses import replace

from nodesweep.common.files import write_atomic_bytes
from nodesweep.performance.calibration.files import read_calibrations
from nodesweep.reports.figures import NAMES, figures_of
from nodesweep.reports.figures.curves import by_calibrations
from nodesweep.results.metrics import Basis
from nodesweep.results.results_file import edited_remark, read_results
from nodesweep.results.table import records

from .arguments import add_sweep_options
from .common import study_of

SUFFIXES = ("svg", "png", "json")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Which sweep."""
    add_sweep_options(parser)


def run(options: argparse.Namespace) -> None:
    """Draw the figures, and take away those of an earlier results.csv that this one does not allow."""
    study = study_of(options)
    rows, remark = records(read_results(study.folder)), edited_remark(study.folder)
    curve = by_calibrations(Basis(study.sweep, study.layouts, read_calibrations(study)))
    drawn, missing = figures_of(rows, study.sweep, study.layouts, curve)
    heading = study.sweep.title or study.sweep.sweep
    if remark:
        heading = f"[results.csv edited] {heading}"
        drawn = [replace(figure, caption=f"{figure.caption} Edited: {remark}.") for figure in drawn]
    folder = study.folder / "figures"
    folder.mkdir(parents=True, exist_ok=True)
    if drawn:
        from nodesweep.reports.figures.drawing import files_of, spec_of  # takes a second, and not all have figures
    for figure in drawn:
        for suffix, content in files_of(figure, spec_of(figure, heading)).items():
            write_atomic_bytes(folder / f"{figure.name}.{suffix}", content)
    for name in set(NAMES) - {figure.name for figure in drawn}:
        for suffix in SUFFIXES:
            (folder / f"{name}.{suffix}").unlink(missing_ok=True)
    names = ", ".join(figure.name for figure in drawn) or "none"
    print(f"{study.sweep.sweep}: figures drawn: {names}: {folder}")
    for one in missing:
        print(f"  not drawn: {one.name}: {one.reason}")
    if remark:
        print(f"{study.sweep.sweep}: {remark}")
