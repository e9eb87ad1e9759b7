"""The text of `nodesweep explain-log`: what was read of a log and why, or why nothing was."""

import json
import re
from collections.abc import Iterable
from dataclasses import asdict

from nodesweep.common.text import plain
from nodesweep.config.model_fields import MODEL_FIELDS
from nodesweep.importers.job_logs.constraints import completed, text_of
from nodesweep.importers.job_logs.described_model import (
    is_gpt_by_default,
    missing_of_model,
    model_of,
    shape_of,
    taken_of_size,
)
from nodesweep.importers.job_logs.fields import layout_in_log
from nodesweep.logs.finest import IterationAmounts, SecondsSource, sources, with_finest_seconds
from nodesweep.logs.memory import highest
from nodesweep.logs.patterns.endings import Signature, Success
from nodesweep.logs.patterns.lines import StartLine
from nodesweep.logs.patterns.trainer import Format
from nodesweep.logs.reading import LogReading
from nodesweep.logs.rules import rules
from nodesweep.logs.summary import summary
from nodesweep.logs.warmup import warm_up
from nodesweep.results.checks import amounts_of
from nodesweep.results.outcome import Verdict, decide_from_log
from nodesweep.results.rows import size_label

ALIKE = re.compile(r"(?i)\b(?:global[_ ])?(?:step|iter|iteration|batch|update)s?\b[^\w\n]{0,6}\d")
NO_ITERATION = re.compile(r"(?i)\b(?:evaluat|validat|load|checkpoint|resum|rerun|start|terminat)")
MOST_ALIKE = 3
NO_FAILURE = ("ok", "ok_no_iterations", "truncated")
"""Causes of logs in which nothing failed."""
_FIGURES = (
    ("median_elapsed_s", "s per iteration"),
    ("median_tflops_per_gpu", "TFLOP/s per device by the log"),
    ("median_hardware_tflops_per_gpu", "TFLOP/s per device by the log, recomputation counted"),
    ("median_samples_per_s", "samples/s"),
    ("median_tokens_per_s", "tokens/s"),
    ("median_tokens_per_s_per_gpu", "tokens/s per device"),
    ("median_mfu_pct", "% MFU"),
    ("median_power_w_per_gpu", "W per device"),
)


def look_alikes(lines: Iterable[str], form: Format | None) -> list[str]:
    """The first lines that may be iterations of a trainer nobody has described, plain and numbered from 1."""
    found: list[str] = []
    for number, line in enumerate(lines, 1):
        if len(found) == MOST_ALIKE:
            break
        line = line[:2000]
        if ALIKE.search(line) and not NO_ITERATION.search(line) and not _is_known(line, form):
            found.append(f"line {number}: {plain(line, 160)}")
    return found


def _is_known(line: str, form: Format | None) -> bool:
    """Whether a line says how a run started or ended."""
    patterns = (
        row.line.pattern if isinstance(row, StartLine) else row.pattern
        for row in rules(form).rows_in(line)
        if isinstance(row, StartLine | Success | Signature)
    )
    return any(pattern.search(line) for pattern in patterns)


def _amounts(reading: LogReading) -> IterationAmounts:
    """What an iteration trains on, as far as the log itself tells."""
    values, _, _ = layout_in_log(reading)
    return amounts_of(shape_of(completed(values)[0], is_told=False))


def explanation(name: str, reading: LogReading, alike: list[str]) -> str:
    """All there is to say of a log; `alike`: its lines that look like iterations, where none was read."""
    verdict = decide_from_log(reading)
    parts = [
        [f"{name}: {_size(reading)}, {reading.lines:,} lines"],
        _format(reading),
        _iterations(reading, _amounts(reading)) if reading.iterations else _nothing(reading, verdict, alike),
        _memory(reading),
        [f"arguments: {len(reading.arguments)}", *_layout(reading)] if reading.arguments else [],
        [f"{label}: {total.value:g} (line {total.line})" for label, total in reading.totals.items()],
        [
            f"outcome: {verdict.cause}{f' {verdict.where}' if verdict.where else ''}"
            + (f" ({verdict.note})" if verdict.note else ""),
            f"  {verdict.evidence}" if verdict.evidence else "  nothing in the log says so",
        ],
        ["what was found, and how often:", *_matched(reading)] if reading.matched else [],
    ]
    return "\n".join(line for part in parts for line in part)


def _layout(reading: LogReading) -> list[str]:
    """The layout and the model that the arguments tell, and what of the model they leave open."""
    values, _, remarks = layout_in_log(reading)
    known, _ = completed(values)
    sizes = [row.phrase(known[name]) for name, row in MODEL_FIELDS.items() if known.get(name)]
    missing = missing_of_model(known, is_gpt_by_default(values, reading))
    model = None if missing else model_of(known)
    left_open = missing or taken_of_size(known)
    label = f" ({size_label(model)} parameters)" if model else ""
    return [
        f"  layout: {text_of(known)}",
        *([f"  model: {', '.join(sizes)}{label}"] if sizes else []),
        *(f"  {remark}" for remark in (*remarks, left_open) if remark),
    ]


def _size(reading: LogReading) -> str:
    packed = f", {reading.unpacked_bytes:,} unpacked" if reading.unpacked_bytes is not None else ""
    return f"{reading.size_bytes:,} bytes{packed}"


def as_json(reading: LogReading) -> str:
    """A reading as JSON: figures by name, the outcome, and how often each kind of line or figure was found."""
    verdict, amounts = decide_from_log(reading), _amounts(reading)
    finest = with_finest_seconds(reading, amounts)
    document = {
        **summary(finest),
        "elapsed_s_from": [asdict(source) for source in _sources(finest, amounts)],
        "outcome": verdict.cause,
        "outcome_where": verdict.where,
        "outcome_evidence": verdict.evidence,
        "outcome_note": verdict.note,
        "lines": reading.lines,
        "matched": dict(sorted(reading.matched.items())),
    }
    return json.dumps(document, ensure_ascii=False)


def _format(reading: LogReading) -> list[str]:
    if reading.format is None:
        return ["format: not recognised"]
    count = f"{len(reading.iterations)} record{'' if len(reading.iterations) == 1 else 's'}"
    printed = f", {reading.repeats} printed more than once" if reading.repeats else ""
    restarts = f", numbers went back {reading.restarts} times" if reading.restarts else ""
    return [f"format: {reading.format.name}: {count}{printed}{restarts}"]


def _sources(finest: LogReading, amounts: IterationAmounts) -> tuple[SecondsSource, ...]:
    """Where the seconds come from of the records behind warm-up."""
    dropped, _ = warm_up(finest)
    return sources(tuple(row for row in finest.iterations[dropped:] if row.seconds is not None), amounts)


def _iterations(reading: LogReading, amounts: IterationAmounts) -> list[str]:
    finest = with_finest_seconds(reading, amounts)
    short = summary(finest)
    by = (f"    by {source.words}" for source in _sources(finest, amounts))
    figures = {key: f"  {short[key]:g} {unit}" for key, unit in _FIGURES if short[key] is not None}
    first, last = reading.iterations[0], reading.iterations[-1]
    total = f" of {short['train_iters']}" if short["train_iters"] else ""
    interval = reading.log_interval or 1
    every = f", one record each {interval}" if interval > 1 else ""
    return [
        f"iterations: {first.number} to {last.number}{total}{every} (lines {first.line} to {last.line})",
        f"warm-up: {_warm_up(reading)}",
        *((figures.pop(_FIGURES[0][0]), *by) if _FIGURES[0][0] in figures else ()),
        *figures.values(),
        *_losses(reading),
    ]


def _warm_up(reading: LogReading) -> str:
    dropped, reason = warm_up(reading)
    kept = len(reading.iterations) - dropped
    if dropped:
        records = "record" if dropped == 1 else f"{dropped} records"
        return f"the first {records}: {reason}; figures are medians of the other {kept}"
    if kept == 1 and reading.shows_start and reading.format and reading.format.warm_up.records:
        return f"the only record is one itself: {reading.format.warm_up.reason}"
    if not reading.shows_start:
        return f"none: the log does not show the start of a run; figures are medians of all {kept}"
    return f"none; figures are medians of all {kept}"


def _losses(reading: LogReading) -> list[str]:
    losses = [row.loss for row in reading.iterations if row.loss is not None]
    if not losses:
        return ["  no loss"]
    missing = sum(row.loss is None and not row.cut for row in reading.iterations)
    without = f"; {missing} record{'' if missing == 1 else 's'} without" if missing else ""
    return [f"  loss {losses[0]} to {losses[-1]}{without}"]


def _memory(reading: LogReading) -> list[str]:
    lines = []
    for figure in ("allocated", "reserved"):
        top = highest(reading.rank_memory, f"peak_{figure}_mib")
        if top is not None:
            value = getattr(top, f"peak_{figure}_mib")
            ranks = "1 rank reports" if len(reading.rank_memory) == 1 else f"{len(reading.rank_memory)} ranks report"
            lines.append(f"memory {figure} at most: {value:.1f} MiB (rank {top.rank}, line {top.line}; {ranks})")
    if reading.node_memory is not None:
        node = reading.node_memory
        lines.append(f"memory of a node used at most: {node.peak_used_mib:.1f} MiB (line {node.line})")
    return lines


def _nothing(reading: LogReading, verdict: Verdict, alike: list[str]) -> list[str]:
    """Why no iteration was read."""
    if not reading.lines:
        return ["no iterations: the log is empty"]
    if reading.training_started_line is not None and verdict.cause not in NO_FAILURE:
        return [f"no iterations: training started (line {reading.training_started_line}) and ended before the first"]
    reasons = [
        f"  {near.count} lines hold '{near.text}' but are no whole iteration line of {name}; the first is line "
        f"{near.line}: {near.sample}"
        for name, near in reading.near_misses.items()
    ]
    if not reasons:
        reasons = ["  no line holds what the iteration lines of known trainers hold"]
    if alike and not reading.near_misses:
        reasons += ["  lines that look like iterations of another trainer; describe them as the workload's log_format:"]
        reasons += [f"    {line}" for line in alike]
    return ["no iterations:", *reasons]


def _matched(reading: LogReading) -> list[str]:
    width = max(len(f"{count:,}") for count in reading.matched.values())
    rows = sorted(reading.matched.items(), key=lambda item: (-item[1], item[0]))
    return [f"  {count:>{width},} {label}" for label, count in rows]
