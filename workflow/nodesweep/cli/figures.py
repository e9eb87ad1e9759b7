"""Rooms of what is looked at: figures."""

import argparse

from nodesweep.common.files import write_atomic_bytes
from nodesweep.performance.calibration.files import read_calibrations
from nodesweep.reports.figures import NAMES, figures_of
from nodesweep.reports.figures.curves import by_calibrations
from nodesweep.results.metrics import Basis

from .common import study_of, written

SUFFIXES = ("svg", "png", "json")


def figures(options: argparse.Namespace) -> None:
    """Draw the figures that results.csv allows, and take away those of an earlier one that it does not."""
    from nodesweep.results.table import from_csv, records

    study = study_of(options)
    rows = records(from_csv(written(study.folder / "results.csv")))
    curve = by_calibrations(Basis(study.sweep, study.layouts, read_calibrations(study)))
    drawn, missing = figures_of(rows, study.sweep, study.layouts, curve)
    folder = study.folder / "figures"
    folder.mkdir(parents=True, exist_ok=True)
    if drawn:
        from nodesweep.reports.figures.drawing import files_of, spec_of
    for figure in drawn:
        files = files_of(figure, spec_of(figure, study.sweep.title or study.sweep.sweep))
        for suffix, content in files.items():
            write_atomic_bytes(folder / f"{figure.name}.{suffix}", content)
    for name in set(NAMES) - {figure.name for figure in drawn}:
        for suffix in SUFFIXES:
            (folder / f"{name}.{suffix}").unlink(missing_ok=True)
    names = ", ".join(figure.name for figure in drawn) or "none"
    print(f"{study.sweep.sweep}: figures drawn: {names}: {folder}")
    for one in missing:
        print(f"  not drawn: {one.name}: {one.reason}")
