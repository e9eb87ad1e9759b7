"""A column of results.csv -> where its value comes from: file and line, scheduler's field, statistic or formula."""

import re
from collections.abc import Callable
from functools import partial

from nodesweep.config.columns import TIDY
from nodesweep.config.layout_fields import AXES
from nodesweep.config.model_fields import MODEL_FIELDS
from nodesweep.performance.dimensions import Dimensions
from nodesweep.results.measurement import IterationStatistics
from nodesweep.sweep.layout import Layout
from nodesweep.sweep.settings import SETTINGS

from . import formulas
from .facts import LayoutFacts, LayoutTracer, RunFacts, RunTracer, Trace
from .measured import (
    last_record,
    left_out,
    log_tflops,
    loss,
    measured,
    memory,
    records,
    rounding,
    seconds,
    spread,
    statistic,
    usage,
)


def axis(name: str) -> LayoutTracer:
    """An axis or parameter: where its block gives it, or the field that says the same; else the workload's setting."""
    row = AXES.get(name)
    same_fact = row.same_fact if row else ""

    def trace(facts: LayoutFacts) -> Trace:
        named = [one for one in (name, same_fact) if one and facts.given(one)]
        if name not in SETTINGS or named[:1] == [name]:
            return Trace((facts.axis(named[0] if named else name),))
        if name == "recomputation" and not facts.layout.activation_checkpointing:
            return Trace((facts.axis("activation_checkpointing"),))
        given, by_workload = map(facts.axis, named), facts.by_workload(name)
        found = (*given, *([by_workload] if by_workload else []))
        return Trace(found or (facts.setting(("workload", *SETTINGS[name])),))

    return trace


def _setting(*key: str) -> LayoutTracer:
    return lambda facts: Trace((facts.setting(key),))


def _follows(words: Callable[[Layout], str], *names: str) -> LayoutTracer:
    """A column that follows from other fields, in words; where the block gives the axis `names`, its place too."""

    def trace(facts: LayoutFacts) -> Trace:
        given = [facts.axis(name) for name in names if facts.given(name)]
        return Trace((*given, words(facts.layout)))

    return trace


def _name_of(part: str) -> LayoutTracer:
    def trace(facts: LayoutFacts) -> Trace:
        return Trace((facts.where((part, "name")) or f"{facts.where((part,))}: its file's name",))

    return trace


def _variant(facts: LayoutFacts) -> Trace:
    if facts.layout.variant is None:
        return Trace(("the sweep has no variants",))
    number = [variant.name for variant in facts.sweep.variants].index(facts.layout.variant.name)
    return Trace((str(facts.where(("variants", number, "name"))),))


def _size(facts: LayoutFacts) -> Trace:
    place = facts.setting(("model", "size"))
    return Trace((place,) if facts.layout.model.size else (place, *formulas.parameters(facts.layout.model)))


def _note(facts: LayoutFacts) -> Trace:
    noted = [number for number in facts.conditions if facts.sweep.when[number].note is not None]
    return Trace((str(facts.where(("when", noted[-1], "note"))) if noted else facts.axis("note"),))


def _recorded(name: str) -> LayoutTracer:
    def trace(facts: LayoutFacts) -> Trace:
        if facts.record is None:
            return Trace((facts.outlook,))
        return Trace((f"{facts.record_place}: {name}",))

    return trace


def ended(name: str, facts: RunFacts) -> Trace:
    """A word of the verdict: its rule, and for what the rule decided its evidence and the line of the log it names."""
    if facts.record is None or facts.status != "ended":
        return Trace((facts.outlook,))
    evidence = facts.record.evidence or "none"
    named = re.match(r"line (\d{1,12}): ", evidence)
    rule = facts.record.rule or "not recorded by the version that ended it"
    sentences = (f"{facts.record_place}: {name}", f"rule: {rule}")
    if name not in ("outcome", "evidence"):
        return Trace(sentences)
    return Trace(sentences, (int(named[1]),)) if named else Trace((*sentences, f"evidence: {evidence}"))


def _saved(name: str, facts: LayoutFacts) -> Trace:
    """What a run saved that ended early: its note, and for node-hours what they follow from."""
    if facts.record is None or facts.status != "ended":
        return Trace((facts.outlook,))
    noted = Trace((f"{facts.record_place}: note: {facts.record.note or 'none'}",))
    follows = "iterations_saved * iteration_seconds * nodes / 3600"
    return noted if name == "iterations_saved" else Trace((follows, *noted.sentences))


def _flags(facts: LayoutFacts) -> Trace:
    if facts.measurement is None:
        return Trace((facts.missing,))
    return Trace(("measurement.json: flags", *facts.measurement.flags))


def _repeats(facts: LayoutFacts) -> Trace:
    return Trace((f"only what runs several times has it: {facts.setting(('repeats',))}",))


def _state(facts: LayoutFacts) -> Trace:
    return Trace((facts.journal_place, facts.outlook))


def formula(filled_in: Callable[[Dimensions, IterationStatistics], tuple[str, ...]]) -> RunTracer:
    """A formula with the statistics in it, which have traces of their own."""
    return statistic(lambda facts, measurement, statistics: Trace(filled_in(facts.dimensions, statistics)))


RATES: dict[str, RunTracer] = {
    "tokens_per_second": formula(lambda sizes, found: formulas.tokens_per_second(sizes, found.iteration_seconds)),
    "tflops_per_node": formula(lambda sizes, found: formulas.rate(sizes, found.iteration_seconds, True)),
    "model_tflops_per_node": formula(lambda sizes, found: formulas.rate(sizes, found.iteration_seconds, False)),
    "aggregate_petaflops": formula(lambda sizes, found: formulas.aggregate(sizes, found.tflops_per_node)),
}
"""Columns that follow from the seconds of an iteration."""
MEASURED: dict[str, RunTracer] = {
    "outcome": partial(ended, "outcome"),
    "where": partial(ended, "where"),
    "evidence": partial(ended, "evidence"),
    "outcome_note": partial(ended, "note"),
    "memory_mib": measured(memory),
    "memory_rank": measured(memory),
    "memory_source": measured(memory),
    "iterations": statistic(last_record),
    "records_used": statistic(lambda facts, run, found: Trace(records(facts, run, found))),
    "records_dropped": measured(lambda facts, run: Trace((left_out(facts, run),))),
    "iteration_seconds": statistic(partial(seconds, "")),
    "iteration_seconds_median": statistic(partial(seconds, "median")),
    "iteration_seconds_mean": statistic(partial(seconds, "mean")),
    "iteration_seconds_half_interquartile_range": statistic(spread),
    "iteration_seconds_rounding": statistic(rounding),
    "log_tflops_per_node": statistic(partial(log_tflops, "")),
    "log_tflops_per_node_median": statistic(partial(log_tflops, "median")),
    "log_tflops_per_node_mean": statistic(partial(log_tflops, "mean")),
    "first_loss": measured(partial(loss, 0)),
    "last_loss": measured(partial(loss, -1)),
}
"""How columns are traced that hold what a log, or the scheduler, says of a run; of those of old jobs too."""

OVER_RUNS = tuple(
    name for name in TIDY if name.startswith("run_seconds_") or name in ("shown_run", "runs", "runs_ended")
)
"""Columns that only a layout has that runs several times."""

SAVED = ("iterations_saved", "node_hours_saved")
"""Columns that only a layout has that may end early."""

COLUMNS: dict[str, LayoutTracer] = {
    **MEASURED,
    **RATES,
    "slug": _follows(lambda layout: "the layout's fields, and a hash of what else changes its run"),
    **{row.column: axis(name) for name, row in AXES.items() if not row.follows},
    "ranks_per_node": _setting("machine", "ranks_per_node"),
    "ranks": _follows(formulas.world),
    "data": _follows(formulas.replicas, "data"),
    "variant": _variant,
    "campaign": _setting("campaign"),
    "model": _name_of("model"),
    "model_size": _size,
    **{row.column: _setting("model", name) for name, row in MODEL_FIELDS.items() if row.column},
    "note": _note,
    "state": _state,
    "flags": _flags,
    "attempt": _recorded("attempt"),
    "job_id": _recorded("job_id"),
    "allocated_nodes": partial(usage, "nodes"),
    "energy_joules": partial(usage, "energy_joules"),
    "power_watts": partial(usage, "power_watts"),
    "iterations_requested": _setting("iterations", "total"),
    "warmup_iterations": _setting("iterations", "warmup"),
    **{name: partial(_saved, name) for name in SAVED},
    "statistic": _setting("statistic"),
    **dict.fromkeys(OVER_RUNS, _repeats),
    "log": _recorded("log"),
    "source": _follows(lambda layout: "a layout of this sweep"),
    "source_file": _follows(lambda layout: "only rows of hand-kept tables have one"),
    "source_line": _follows(lambda layout: "only rows of hand-kept tables have one"),
}
"""How each column of results.csv is traced, for layouts of a sweep."""
