"""Scaling of a sweep in sentences and tables: best layouts, losses and their causes."""

import math
from collections.abc import Hashable, Sequence

from nodesweep.common.markdown import pipe_table
from nodesweep.common.numbers import UNKNOWN, from_to, percent, percents_between, rounded, word
from nodesweep.config.tidy_row import TidyRow, number_of, required_count, text_of
from nodesweep.results.combined_runs import RUNS_DISAGREE
from nodesweep.results.scaling import REST, SAME, UNEXPLAINED, BestLayout, ScalingLoss, tokens_per_second
from nodesweep.results.scaling_kinds import (
    BATCH,
    STRONG,
    THROUGHPUT,
    KindName,
    ScalingSeries,
    efficiency_interval,
    problem_but_batch,
)

from .naming import NamePart, distinct, named

LEAST_SHARE = 0.005
SAME_BY_RUNS = 0.05
"""How far the interval of a speed per node may reach from the same, for it to be called the same."""
MOST_BATCHES = 2
"""Batches at which one problem scales in one way that have a sentence each."""
MOST_SPANS = 2
"""Sets of numbers of nodes that a plan names for each way of scaling."""
MOST_NAMED = 5
"""Layouts that are named in one cell."""
_EFFICIENCY = "Efficiency"
_CAMPAIGN, _AMONG, _BEST, _AS_GOOD, _MAY_BE_FASTER = "Campaign", "Scaling", "Best measured", "As good", "May be faster"
BEST_LEFT = frozenset({_CAMPAIGN, _AMONG, _BEST, _AS_GOOD, _MAY_BE_FASTER})
"""Headings of the columns of words in a table of the best."""


def by_campaign(rows: Sequence[TidyRow]) -> bool:
    """Whether it takes the campaign to tell rows apart: there are several, and some are more than a variant."""
    several = len({row["campaign"] for row in rows}) > 1
    return several and any(row["campaign"] != row["variant"] for row in rows)


def kinds_in_words(losses: Sequence[ScalingLoss]) -> str:
    """What the ways of scaling mean that are told of; empty where there is a strong one alone, as ever."""
    kinds = dict.fromkeys(loss.series.kind for loss in losses if loss.series)
    if not kinds.keys() - {STRONG}:
        return ""
    return " ".join(f"{kind.name.capitalize()} scaling: {kind.meaning}." for kind in kinds)


def sentences(losses: Sequence[ScalingLoss], parts: Sequence[NamePart], campaigns: bool) -> list[str]:
    """Losses of scaling in words: a sentence each, but one for all batches of a kind where there are many.

    `parts`: the parts of a name that tell the rows of the sweep apart.
    """
    kinds = len({loss.series.kind for loss in losses if loss.series}) > 1
    groups: dict[Hashable, list[ScalingLoss]] = {}
    for place, loss in enumerate(losses):
        series = loss.series
        groups.setdefault((series.kind.name, problem_but_batch(loss.first)) if series else place, []).append(loss)
    found: list[str] = []
    for group in groups.values():
        if len(group) > MOST_BATCHES:
            found.append(_of_many_batches(group, parts, campaigns))
        else:
            found += [sentence(loss, parts, campaigns, kinds) for loss in group]
    return found


def sentence(loss: ScalingLoss, parts: Sequence[NamePart], campaigns: bool, kinds: bool = False) -> str:
    """A loss of scaling in words; `parts`: the parts of a name that tell the rows of its sweep apart.

    `kinds`: whether the sweep scales in several ways, so that a strong series is said to be one too.
    """
    first, last, series = loss.first, loss.last, loss.series
    given = [part for part in parts if not part.follows]
    batch, start = "", "From"
    if series is not None and (kinds or series.kind is not STRONG):
        batch = _batch(series)
        start = f"{series.kind.name.capitalize()} scaling from"
        given = [part for part in given if part.column != BATCH or series.kind.any_batch]
    same = [part for part in given if first[part.column] == last[part.column]]
    other = [part for part in given if first[part.column] != last[part.column]]
    changed = [f"{named(first, [part])}, then {named(last, [part])}" for part in other]
    details = "; ".join(filter(None, (", ".join(filter(None, (batch, named(last, same)))), *changed)))
    campaign = f", campaign {first['campaign']}" if campaigns else ""
    head = f"{start} {first['nodes']} to {last['nodes']} nodes{f' ({details})' if details else ''}{campaign}"
    return " ".join(filter(None, (f"{head}: {_kept(loss)}", _causes(loss), _doubt(loss))))


def _of_many_batches(losses: Sequence[ScalingLoss], parts: Sequence[NamePart], campaigns: bool) -> str:
    """The losses of one problem at many batches: what is left at each, and where most is lost goes to what."""
    spans = {(loss.first["nodes"], loss.last["nodes"]) for loss in losses}
    ends = [end for loss in losses for end in (loss.first, loss.last)]
    same = [part for part in parts if not part.follows and part.column != BATCH and distinct(ends, [part]) == 1]
    details = named(ends[0], same)
    campaign = f", campaign {ends[0]['campaign']}" if campaigns else ""
    (kind,) = {loss.series.kind for loss in losses if loss.series}
    first = f"{_span(losses[0])} " if len(spans) == 1 else ""
    batches = kind.same.replace("batch", "batches")
    head = f"{kind.name.capitalize()} scaling {first}at {len(losses)} {batches}"
    head += f"{f' ({details})' if details else ''}{campaign}"
    widest = sorted(losses, key=lambda loss: -required_count(loss.last, "nodes") / required_count(loss.first, "nodes"))
    each = [
        f"{_percent(loss)} at {_batch(loss.series)}{'' if first else f' {_span(loss)}'}"
        for loss in widest
        if loss.series
    ]
    worst = min(losses, key=lambda loss: loss.kept)
    at = f" at {_batch(worst.series)}" if worst.series else ""
    causes = _causes(worst, at) if worst.kept < 1 - SAME and UNEXPLAINED not in worst.factors else ""
    left = f"{head}: of the speed per node is left {_first(each, ', ')}."
    return " ".join(filter(None, (left, causes, _doubt(worst))))


def _batch(series: ScalingSeries) -> str:
    return series.words.partition(", ")[2] or series.words


def _span(loss: ScalingLoss) -> str:
    return f"from {loss.first['nodes']} to {loss.last['nodes']} nodes"


def _percent(loss: ScalingLoss) -> str:
    """What is left of the speed per node, and between what by the runs of both rows."""
    return f"{100 * loss.kept:.0f} %{f' ({_between(loss)})' if loss.between else ''}"


def _between(loss: ScalingLoss) -> str:
    low, high = loss.between or (loss.kept, loss.kept)
    return f"{from_to(100 * low, 100 * high)} % by its runs"


def _kept(loss: ScalingLoss) -> str:
    """What becomes of the speed per node, in words."""
    between = f" ({_between(loss)})" if loss.between else ""
    if abs(math.log(loss.kept)) < SAME and all(abs(math.log(end)) < SAME_BY_RUNS for end in loss.between or ()):
        return f"the speed per node stays the same{between}."
    if loss.between and loss.between[0] <= 1 <= loss.between[1]:
        return f"{_percent(loss)} of the speed per node is left: too far apart to tell whether any is lost."
    if loss.kept > 1:
        return f"the speed per node grows to {100 * loss.kept:.0f} %{between}."
    return f"{_percent(loss)} of the speed per node is left."


def _causes(loss: ScalingLoss, at: str = "") -> str:
    """What the loss goes to, or the gain comes by, in words; empty where there is none. `at`: which loss."""
    if abs(math.log(loss.kept)) < SAME or (loss.between and loss.between[0] <= 1 <= loss.between[1]):
        return ""
    gains = loss.kept > 1
    if UNEXPLAINED in loss.factors:
        return "No fit tells why." if gains else "No fit tells where the rest goes."
    if not loss.is_told:
        return f"Its runs differ too much to tell what the {'gain comes by' if gains else 'loss goes to'}."
    if min(loss.reach.get(REST, (0.0, 0.0))) < -1:
        return f"The fit is too far off to tell what the {'gain comes by' if gains else 'loss goes to'}."
    shares = sorted(loss.shares.items(), key=lambda item: -item[1])
    more, less = ("comes by", "is lost to") if gains else ("goes to", "comes back by")
    most = [(name, loss.reach[name]) for name, share in shares if share > LEAST_SHARE]
    back = [(name, loss.reach[name]) for name, share in shares if share < -LEAST_SHARE]
    verb, word_before = more.split(" ")
    told = ", ".join(
        f"{_range(*reach)} {f'{verb} ' if place == 0 else ''}{word_before} {name}"
        for place, (name, reach) in enumerate(most)
    )
    rest = "".join(f", and {_range(-high, -low)} {less} {name}" for name, (low, high) in back)
    return f"Of the {'gain' if gains else 'loss'}{at} {told}{rest}."


def _range(low: float, high: float) -> str:
    """Shares as percents: one where both ends round to it, the higher alone where the lower may be none."""
    ends = [f"{100 * end:.0f}" for end in (low, high)]
    if low < LEAST_SHARE <= high:
        return f"up to {ends[1]} %"
    return f"{' to '.join(dict.fromkeys(ends))} %"


def _doubt(loss: ScalingLoss) -> str:
    """That the row which all others are compared with is flagged, but for what the interval tells."""
    flags = (text_of(loss.first, "flags") or "").split("; ") if loss.series else []
    flags = [flag for flag in flags if flag and not (loss.between and flag.startswith(RUNS_DISAGREE))]
    if not flags:
        return ""
    more = f" and {len(flags) - 1} more" if len(flags) > 1 else ""
    return f"All is compared with {loss.first['slug']}, which is flagged: {flags[0]}{more}."


def planned_scaling(series: Sequence[ScalingSeries]) -> str:
    """What scales how once all is measured, in a sentence; empty where nothing does.

    Series of a kind over as many nodes are one, with all their batches; of each kind those over the most come first.
    """
    batches: dict[KindName, dict[tuple[int, ...], dict[str, None]]] = {}
    for one in series:
        batches.setdefault(one.kind.name, {}).setdefault(one.counts, {})[one.batch] = None
    told = []
    for name, of_kind in batches.items():
        widest = sorted(of_kind.items(), key=lambda item: -len(item[0]))
        told += [f"{name} over {_counts(counts)} ({_batches(list(found))})" for counts, found in widest[:MOST_SPANS]]
        left = sum(len(found) for _, found in widest[MOST_SPANS:])
        told += [f"{left} more {name} series"] if left else []
    return f"Scaling: {'; '.join(told)}." if told else ""


def _counts(counts: Sequence[int]) -> str:
    if len(counts) > MOST_NAMED:
        return f"{len(counts)} numbers of nodes from {counts[0]} to {counts[-1]}"
    return f"{', '.join(map(str, counts))} nodes"


def _batches(found: Sequence[str]) -> str:
    """Batches of series in words: `GBS 16, 32`, `GBS 4, 8 a rank`, `any GBS`."""
    if THROUGHPUT.batch_of({}) in found:
        return THROUGHPUT.words(found[0])
    amounts, units = zip(*(batch.partition(" ")[::2] for batch in found), strict=True)
    unit = units[0] if len(set(units)) == 1 else ""
    return f"GBS {_first(amounts if unit or not any(units) else found, ', ')}{f' {unit}' if unit else ''}"


def best_cells(
    found: Sequence[BestLayout], parts: Sequence[NamePart], campaigns: bool
) -> tuple[list[str], list[list[str]]]:
    """Headings and rows of a table of the best of each node count, in markdown."""
    unmeasured, several = any(best.unmeasured for best in found), any(best.among for best in found)
    headings = [*([_CAMPAIGN] if campaigns else []), *([_AMONG] if several else []), "Nodes", _BEST, "Sec/it"]
    headings += ["Tokens/s", *([_EFFICIENCY] if several else []), "Measured", _AS_GOOD]
    headings += [_MAY_BE_FASTER] if unmeasured else []
    rows = [
        [
            *([word(text_of(best.row, "campaign"))] if campaigns else []),
            *([word(best.among)] if several else []),
            str(best.row["nodes"]),
            word(named(best.row, parts)),
            _seconds(best.row),
            f"{tokens_per_second(best.row):.0f}",
            *([_efficiency(best)] if several else []),
            str(best.measured),
            word(_first([_tie(row, best.row, parts) for row in best.ties])),
            *([word(_first([_unmeasured(row, parts) for row in best.unmeasured]))] if unmeasured else []),
        ]
        for best in found
    ]
    return headings, rows


def _tie(row: TidyRow, best: TidyRow, parts: Sequence[NamePart]) -> str:
    """A layout that is as good as the best, with its seconds, or its speed where it has another batch."""
    same = row[BATCH] == best[BATCH]
    return f"{named(row, parts)}: {f'{_seconds(row)} s' if same else f'{tokens_per_second(row):.0f} tokens/s'}"


def _efficiency(best: BestLayout) -> str:
    """The efficiency of a best layout in its series, and between what it lies by its runs and those of its base."""
    if best.series is None:
        return UNKNOWN
    ends = efficiency_interval(best.row, best.series.base)
    return f"{percent(number_of(best.row, best.series.kind.column))} {percents_between(ends)}".strip()


def best_table(headings: list[str], rows: list[list[str]]) -> str:
    """Headings and rows of `best_cells` as a table in markdown."""
    return pipe_table(headings, rows, BEST_LEFT)


def _first(texts: Sequence[str], between: str = "; ") -> str:
    """The first texts in one line, with the number of those left out."""
    left = len(texts) - MOST_NAMED
    return between.join([*texts[:MOST_NAMED], *([f"and {left} more"] if left > 0 else [])])


def _unmeasured(row: TidyRow, parts: Sequence[NamePart]) -> str:
    low, high = (rounded(number_of(row, f"predicted_seconds_{end}"), 1, 3) for end in ("low", "high"))
    return f"{named(row, parts)}: {low} to {high} s predicted, {row['state']}"


def _seconds(row: TidyRow) -> str:
    return rounded(number_of(row, "iteration_seconds"), 1, 3)
