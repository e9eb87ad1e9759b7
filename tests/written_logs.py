"""A sweep and logs of our own writing for the tests of measure, results and tables."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from nodesweep.config.sweep import Sweep
from nodesweep.logs.custom_format import format_of
from nodesweep.logs.reader import read_log
from nodesweep.reports.tables.document import document_of, render
from nodesweep.results.measure import measure
from nodesweep.results.measurement import Measurement, MeasurementSettings
from nodesweep.results.outcome import decide
from nodesweep.results.rows import LayoutRun
from nodesweep.results.table import build
from nodesweep.results.terminal_record import TerminalRecord
from nodesweep.schedulers.base import End
from nodesweep.sweep.expand import expand
from nodesweep.sweep.layout import Layout

SUCCESS = End(0)
STARTED = "[before the start of training step] datetime: 2026-02-03 04:05:06 "
OUT_OF_MEMORY = "RuntimeError: DefaultCPUAllocator: can't allocate memory: you tried to allocate 4096 bytes."

BIG_MODEL = {"name": "gpt-30b", "layers": 48, "hidden_size": 7168, "attention_heads": 56, "vocab_size": 50304}


def sweep_of(layouts: list[dict[str, Any]], **changes: Any) -> Sweep:
    """A sweep of the big model with one rank a node; `changes` replace whole keys."""
    values = {
        "sweep": "study",
        "title": "30B model benchmarking results",
        "model": BIG_MODEL,
        "machine": {"name": "m", "description": "one processor", "scheduler": "local", "frequencies_ghz": [2.0]},
        "workload": {"command": ["train"], "log_format": "megatron-deepspeed", "memory_source": "log-node-used"},
        "iterations": {"total": 3, "warmup": 0},
        "layouts": layouts,
        "statistic": "mean",
    }
    return Sweep.model_validate(values | changes)


def layouts_of(sweep: Sweep) -> tuple[Layout, ...]:
    """The layouts that can run, in the order of the config."""
    return expand(sweep).layouts


def document(sweep: Sweep, runs: Iterable[LayoutRun]) -> str:
    """The tables of a sweep with these runs."""
    table = build(runs)
    return render(document_of(sweep, table), table)


def record_line(number: int, total: int, seconds: float, extra: str = "") -> str:
    """A line of a log that records one iteration."""
    return f" iteration {number:8d}/{total:8d} | elapsed time per iteration (ms): {seconds * 1000:.1f} |{extra}"


def node_memory_line(mib: float) -> str:
    """A line of a log in which a node reports its memory."""
    return f"(after 1 iterations) CPU memory (MB) | used: {mib} | total: 32768.0 | avail: 1.0 | used percent: 1.0"


def run_of(sweep: Sweep, layout: Layout, folder: Path, lines: Iterable[str], end: End = SUCCESS) -> LayoutRun:
    """A layout whose job wrote `lines` and ended so, recorded and measured."""
    log = folder / f"{layout.slug}.log"
    log.write_text("".join(f"{line}\n" for line in lines))
    reading = read_log(log, format_of(sweep.workload.log_format))
    verdict = decide(end, reading, layout.iterations.total)
    record = TerminalRecord(
        slug=layout.slug,
        attempt=1,
        job_id="77",
        outcome=verdict.outcome,
        where=verdict.where,
        evidence=verdict.evidence,
        note=verdict.note,
        rule=verdict.rule,
        log=log.name,
    )
    return LayoutRun(
        layout, "ended", record, measure(layout, record, reading, MeasurementSettings.of(layout, sweep.statistic))
    )


def measurement_of(sweep: Sweep, layout: Layout, folder: Path, lines: Iterable[str], end: End = SUCCESS) -> Measurement:
    """The measurement of a layout whose job wrote `lines` and ended so."""
    measurement = run_of(sweep, layout, folder, lines, end).measurement
    assert measurement is not None
    return measurement
