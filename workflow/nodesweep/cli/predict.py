"""Rooms that look ahead: predict what is in no sweep yet, explain what is known of one."""

import argparse
from typing import Any

from nodesweep.common.errors import NodesweepError
from nodesweep.launch.history import decisions_of
from nodesweep.launch.records import ended
from nodesweep.performance.calibration import Calibration
from nodesweep.performance.calibration.files import read_calibrations
from nodesweep.performance.forecast import forecast
from nodesweep.performance.predict import AXES, WhatIf, layouts_like, predict_layouts
from nodesweep.reports.prediction import prediction_text, table
from nodesweep.sweep.layout import Layout
from nodesweep.sweep.study import Study

from .common import limited_study_of, study_of, written


def predict(options: argparse.Namespace) -> None:
    """Say what layouts would take that are like one of the sweep, but for the axes that are given."""
    study = study_of(options)
    calibrations = read_calibrations(study)
    _check_campaign(options.campaign, calibrations)
    like = study.layout_beginning(options.like) if options.like else _fastest(study)
    axes = {name: values for name in AXES if (values := getattr(options, name)) is not None}
    expansion = layouts_like(study.sweep, like, axes)
    found = predict_layouts(study.sweep, expansion.layouts, calibrations, options.campaign)
    print(f"like {like.slug}, but for {', '.join(axes) or 'nothing'}\n")
    print(table(found), *(prediction_text(one) for one in found), sep="\n\n")
    for point in expansion.rejected:
        print(f"\nnot {', '.join(f'{name} {point.fields[name]}' for name in axes)}: {point.law}: {point.reason}")


def explain(options: argparse.Namespace) -> None:
    """Say where the time of a sweep's runs goes and what they tell; or what is foreseen of layouts, part by part."""
    study = limited_study_of(options)
    if options.slug:
        decisions, outcomes = decisions_of(study), ended(study)
        for slug in options.slug:
            layout = study.layout_beginning(slug)
            known = decisions.calibrations.get(layout.campaign)
            print(prediction_text(WhatIf(layout, forecast(layout, known), study.sweep.training_tokens)))
            why_not = decisions.not_run(layout.slug)
            outlook = f"{why_not.outcome}: {why_not.reason}" if why_not else "nothing keeps it from running"
            outcome = outcomes.get(layout.slug)
            print(f"  it has run ({outcome}) and needs no more runs" if outcome else f"  {outlook}")
        return
    from nodesweep.reports.tables.explanation import explanation
    from nodesweep.results.table import from_csv

    text = explanation(study.sweep, from_csv(written(study.folder / "results.csv")))
    calibrations = read_calibrations(study).values()
    print(text.strip() or "No run has told yet where its time goes.")
    for calibration in calibrations:
        print("", *calibration.summary(), sep="\n")


def _check_campaign(name: str | None, calibrations: dict[str, Calibration]) -> None:
    if name is not None and name not in calibrations:
        known = ", ".join(calibrations) or "none yet: run the sweep, or `nodesweep measure`, first"
        raise NodesweepError(f"no run of a campaign {name!r:.80} has been fitted; campaigns that have: {known}")


def _fastest(study: Study) -> Layout:
    """The measured layout with the most tokens per second; the one with the most nodes where none was measured."""
    rows: list[dict[str, Any]] = []
    if (study.folder / "results.csv").exists():
        from nodesweep.results.table import from_csv, records

        rows = records(from_csv(written(study.folder / "results.csv")))
    measured = {row["slug"]: row["tokens_per_second"] for row in rows if row["tokens_per_second"]}
    layouts = list(study.layouts.values())
    return max(layouts, key=lambda layout: (measured.get(layout.slug, 0.0), layout.nodes))
