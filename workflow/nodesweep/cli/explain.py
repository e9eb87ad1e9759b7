"""Say where the time of the runs goes, or what is foreseen of layouts and why."""

import argparse

from nodesweep.launch import journal
from nodesweep.launch.history import decisions_of
from nodesweep.launch.records import final_outcomes
from nodesweep.performance.calibration.files import read_calibrations
from nodesweep.performance.predict import WhatIf
from nodesweep.reports.prediction import prediction_text
from nodesweep.reports.tables.explanation import explanation
from nodesweep.results.results_file import edited_remark, read_results

from .arguments import add_sweep_options
from .common import limited_study_of


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Which layouts."""
    add_sweep_options(parser)
    parser.add_argument("slug", nargs="*", metavar="SLUG", help="layouts of the sweep, run or not")


def run(options: argparse.Namespace) -> None:
    """Say where the time of a sweep's runs goes and what they tell; or what is foreseen of layouts, part by part."""
    study = limited_study_of(options)
    if options.slug:
        decisions, outcomes = decisions_of(study), final_outcomes(study)
        for slug in options.slug:
            layout = study.layout_beginning(slug)
            print(prediction_text(WhatIf(layout, decisions.forecast(layout.slug), study.sweep.training_tokens)))
            why_not = decisions.not_run(layout.slug, journal.state(study.journal(layout.slug)))
            outlook = f"{why_not.outcome}: {why_not.reason}" if why_not else "nothing keeps it from running"
            outcome = outcomes.get(layout.slug)
            print(f"  it has run ({outcome}) and needs no more runs" if outcome else f"  {outlook}")
        return
    text = explanation(study.sweep, read_results(study.folder))
    calibrations = read_calibrations(study).values()
    print(text.strip() or "No run has told yet where its time goes.")
    for calibration in calibrations:
        print("", *calibration.summary(), sep="\n")
    if remark := edited_remark(study.folder):
        print(f"\n{remark}")
