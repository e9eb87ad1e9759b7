"""Say what layouts would take that are in no sweep yet, how surely, and by what."""

import argparse
from collections.abc import Sequence

from nodesweep.common.errors import NodesweepError
from nodesweep.config.layout_fields import AXES
from nodesweep.config.parameters import ParameterValue, read_value
from nodesweep.config.tidy_row import TidyRow
from nodesweep.performance.calibration import Calibration
from nodesweep.performance.calibration.files import read_calibrations
from nodesweep.performance.predict import layouts_like, predict_layouts
from nodesweep.reports.prediction import prediction_text, table
from nodesweep.results.predicted_scaling import (
    batch_of_ranks,
    predicted_efficiencies,
    row_of_layout,
    scales_weakly,
    slugs_in_series,
)
from nodesweep.results.results_file import read_results
from nodesweep.results.scaling_kinds import KindName, batch_of_rank
from nodesweep.results.table import records
from nodesweep.sweep.layout import Layout
from nodesweep.sweep.study import Study

from .arguments import add_sweep_options
from .axes import add_axis
from .common import study_of


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Which layouts, and by which runs."""
    add_sweep_options(parser)
    for row in AXES.values():
        add_axis(parser, row)
    parser.add_argument(
        "--parameter",
        action="append",
        default=[],
        type=_parameter,
        metavar="NAME=VALUE[,VALUE...]",
        help="values of a free parameter of the sweep; may be given several times",
    )
    parser.add_argument(
        "--like",
        metavar="SLUG",
        help="layout that says the rest (default: the fastest measured, with --scaling of a series that scales so)",
    )
    parser.add_argument(
        "--scaling",
        choices=("strong", "weak"),
        help="with --nodes: whether the global batch stays, or grows with the ranks (default: as the measured rows do)",
    )
    parser.add_argument("--campaign", metavar="NAME", help="the runs to go by (default: those of the same campaign)")


def run(options: argparse.Namespace) -> None:
    """Say what layouts would take that are like one of the sweep, but for the axes that are given."""
    study = study_of(options)
    calibrations = read_calibrations(study)
    _check_campaign(options.campaign, calibrations)
    rows = _rows(study)
    like = study.layout_beginning(options.like) if options.like else _fastest(study, rows, options.scaling)
    axes = {name: values for name in AXES if (values := getattr(options, name)) is not None}
    parameters = dict(options.parameter)
    for name in parameters:
        if name not in study.sweep.parameters:
            known = ", ".join(study.sweep.parameters) or "it has none"
            raise NodesweepError(f"--parameter {name}: no parameter of {study.sweep.sweep}; known here: {known}")
    grown = _grown_batch(options, rows, like)
    expansion = layouts_like(study.sweep, like, axes | grown, parameters)
    found = predict_layouts(study.sweep, expansion.layouts, calibrations, options.campaign)
    print(f"like {like.slug}, but for {', '.join((*axes, *parameters)) or 'nothing'}")
    if grown:
        print(f"weak scaling: GBS {batch_of_rank(row_of_layout(like))}; --global-batch {like.global_batch} keeps it")
    print()
    print(
        table(found, predicted_efficiencies(rows, found, options.campaign)),
        *(prediction_text(one) for one in found),
        sep="\n\n",
    )
    for point in expansion.rejected:
        asked = ", ".join(f"{name} {point.fields[name]}" for name in (*axes, *parameters))
        print(f"\nnot {asked}: {point.law}: {point.reason}")


def _check_campaign(name: str | None, calibrations: dict[str, Calibration]) -> None:
    if name is not None and name not in calibrations:
        known = ", ".join(calibrations) or "none yet: run the sweep, or `nodesweep measure`, first"
        raise NodesweepError(f"no run of a campaign {name!r:.80} has been fitted; campaigns that have: {known}")


def _rows(study: Study) -> list[TidyRow]:
    """The rows of results.csv, none where nothing was measured."""
    return records(read_results(study.folder)) if (study.folder / "results.csv").exists() else []


def _grown_batch(options: argparse.Namespace, rows: Sequence[TidyRow], like: Layout) -> dict[str, list[str]]:
    """The axis of the batch where it grows with the ranks: it was asked for, or the layout scales weakly alone."""
    if options.scaling and options.global_batch:
        raise NodesweepError("--global-batch gives the batch itself; leave out --scaling")
    if options.scaling and not options.nodes:
        raise NodesweepError(f"--scaling {options.scaling} says what the batch does over nodes; give --nodes too")
    asked = options.nodes and not options.global_batch
    weak = options.scaling == "weak" or (options.scaling is None and asked and scales_weakly(rows, like))
    return {"global_batch": [batch_of_ranks(like)]} if weak else {}


def _fastest(study: Study, rows: Sequence[TidyRow], scaling: KindName | None) -> Layout:
    """The measured layout with the most tokens per second; the one with the most nodes where none was measured.

    Where layouts are in a series that scales as asked for, it is one of them.
    """
    measured = {row["slug"]: row["tokens_per_second"] for row in rows if row["tokens_per_second"]}
    asked = slugs_in_series(rows, scaling) if scaling else set()
    layouts = [layout for layout in study.layouts.values() if layout.slug in asked] or list(study.layouts.values())
    return max(layouts, key=lambda layout: (measured.get(layout.slug, 0.0), layout.nodes))


def _parameter(text: str) -> tuple[str, list[ParameterValue]]:
    """The name and the values of a parameter, numbers and True or False as such."""
    name, equals, values = text.partition("=")
    if not equals or not values:
        raise argparse.ArgumentTypeError(f"{text!r:.80} is not NAME=VALUE, such as attention_backend=flash,fused")
    return name, [read_value(value) for value in values.split(",")]
