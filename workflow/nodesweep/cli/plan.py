"""Write plan.csv and plan.md: what runs, and what does not and why."""

import argparse

from nodesweep.common.files import write_atomic
from nodesweep.config.origins import origins
from nodesweep.launch.history import decisions_of
from nodesweep.launch.plan import Planned, planned
from nodesweep.launch.records import final_outcomes, journal_states
from nodesweep.reports.plan import jobs_in_words, plan_csv, plan_markdown
from nodesweep.reports.plan_remarks import plan_remarks
from nodesweep.sweep.study import DEFAULT_SWEEP

from .arguments import add_sweep_options
from .common import limited_study_of, tell_problem


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Which sweep."""
    add_sweep_options(parser)


def run(options: argparse.Namespace) -> None:
    """Write both files and say how many layouts are to run."""
    study = limited_study_of(options)
    study.folder.mkdir(parents=True, exist_ok=True)
    states = journal_states(study)
    layouts = planned(study, decisions_of(study), final_outcomes(study), states)
    write_atomic(study.folder / "plan.csv", plan_csv(study, layouts))
    where = origins(options.configfile or [DEFAULT_SWEEP], options.config).where
    remarks = plan_remarks(study, layouts, where)
    write_atomic(study.folder / "plan.md", plan_markdown(study, layouts, remarks))
    runs, done, left = (sum(counted) for counted in zip(*map(_counted, layouts), strict=True))
    in_jobs = f" in {jobs_in_words(layouts)}" if study.sweep.repeats.at_most > 1 and runs else ""
    counts = (
        f"{runs} layouts to run{in_jobs}, {f'{done} ended, ' if done else ''}{f'{left} not to run, ' if left else ''}"
        f"{len(study.expansion.rejected)} points rejected"
    )
    print(f"{study.sweep.sweep}: {counts}: {study.folder / 'plan.md'}")
    for remark in remarks:
        print(f"{study.sweep.sweep}: {remark}")
    for slug, state in states.items():
        if state.problem:
            tell_problem(study, slug, state.problem)


def _counted(one: Planned) -> tuple[bool, bool, bool]:
    """Whether a layout is to run, has ended, or is not to run."""
    return one.runs, bool(one.ended), one.not_run is not None
