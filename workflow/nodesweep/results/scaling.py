"""Explained rows of results.csv -> what follows: the best layout of each node count, and where scaling goes."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from nodesweep.common.markdown import inert, pipe_table
from nodesweep.common.numbers import rounded

from .metrics import bases

Row = Mapping[str, Any]
_FIELDS = (
    *(("DP", "data"), ("MP", "tensor"), ("PP", "pipeline"), ("MBS", "micro_batch_samples")),
    *(("GBS", "global_batch_samples"), ("AC", "activation_checkpointing"), ("GHz", "frequency_ghz")),
    *(("", "variant"), ("", "model_size"), ("sequence", "sequence_length_tokens")),
)
_SHARES = ("compute_percent", "bubble_percent", "sharing_percent")
_WORDS = {True: "on", False: "off"}
SAME = 0.01
"""A speed per node that differs by less is the same."""
LEAST_SHARE = 0.005
MOST_NAMED = 5
"""Layouts that are named in one cell."""
_LEFT = ("Campaign", "Best measured", "As good", "May be faster")
BEST_LEFT = frozenset(_LEFT)
"""Headings of the columns of words in a table of the best."""


@dataclass(frozen=True)
class Best:
    """The fastest measured layout of a node count, those that may be as fast, and the unmeasured that may be faster."""

    row: Row
    measured: int
    ties: tuple[Row, ...]
    unmeasured: tuple[Row, ...]


@dataclass(frozen=True)
class Loss:
    """Speed per node between two rows of one problem.

    `factors`: by how many times the node-seconds of an iteration grow by each cause; their product is 1 / efficiency.
    """

    first: Row
    last: Row
    factors: Mapping[str, float]

    @property
    def kept(self) -> float:
        """What is left of the speed per node."""
        return 1 / math.prod(self.factors.values())

    @property
    def shares(self) -> dict[str, float]:
        """What each cause has of the loss, on a logarithmic scale; below 0 for what gives some back."""
        whole = -math.log(self.kept)
        return {name: math.log(factor) / whole for name, factor in self.factors.items()}


def best_of_each(rows: Sequence[Row]) -> list[Best]:
    """The best of each node count of a campaign, model and sequence length, by tokens per second.

    Two tie where the intervals of their times overlap.
    """
    known = [row for row in rows if row["nodes"] and row["global_batch_samples"] and row["sequence_length_tokens"]]
    order = {key: number for number, key in enumerate(dict.fromkeys(map(_group, known)))}
    found = []
    for _, part in groupby(
        sorted(known, key=lambda row: (order[_group(row)], row["nodes"])), key=lambda row: (_group(row), row["nodes"])
    ):
        group = list(part)
        timed = [row for row in group if row["outcome"] == "ok" and row["iteration_seconds"]]
        if timed:
            best = max(timed, key=_speed)
            close = (row for row in timed if row is not best and _fastest(row) >= _slowest(best))
            ties = tuple(sorted(close, key=_speed, reverse=True))
            rest = (row for row in group if row["outcome"] is None and row["predicted_seconds_low"])
            unmeasured = tuple(row for row in rest if _tokens(row) / row["predicted_seconds_low"] > _speed(best))
            found.append(Best(best, len(timed), ties, unmeasured))
    return found


def losses(rows: Sequence[Row]) -> Iterator[Loss]:
    """From the fewest nodes to the most, of each problem that several node counts have run."""
    ends: dict[str, tuple[Row, Row]] = {}
    for row, base in zip(rows, bases(rows), strict=True):
        if base is not None and row["outcome"] == "ok" and row["iteration_seconds"] and row["nodes"]:
            end = ends.get(base["slug"], (base, base))[1]
            if (row["nodes"], -row["iteration_seconds"]) > (end["nodes"], -end["iteration_seconds"]):
                ends[base["slug"]] = (base, row)
    for base, row in ends.values():
        if None not in [one[name] for one in (base, row) for name in _SHARES] and base["compute_percent"]:
            yield Loss(base, row, _factors(base, row))


def _factors(base: Row, row: Row) -> dict[str, float]:
    first, last = _split(base), _split(row)
    return {name: last[name] / first[name] for name in last}


def _split(row: Row) -> dict[str, float]:
    """Node-seconds of computing; how many times as much with the bubble; how many times that with the sync."""
    compute, bubble, sharing = (row[name] / 100 for name in _SHARES)
    return {
        "the pipeline bubble": (compute + bubble) / compute,
        "shared cores": (compute + bubble + sharing) / (compute + bubble),
        "the DP sync": 1 / (compute + bubble + sharing),
        "the micro batches themselves": row["iteration_seconds"] * row["nodes"] * compute,
    }


def _group(row: Row) -> tuple[Any, ...]:
    """What rows have in common among which the best is sought."""
    model = row["model_size"] or (row["layers"], row["hidden_size"])
    return row["campaign"], model, row["sequence_length_tokens"]


def _tokens(row: Row) -> int:
    return row["global_batch_samples"] * row["sequence_length_tokens"]


def _speed(row: Row) -> float:
    """Tokens per second."""
    return _tokens(row) / row["iteration_seconds"]


def _fastest(row: Row) -> float:
    return _tokens(row) / max(row["iteration_seconds"] - (row["iteration_seconds_error"] or 0.0), 1e-12)


def _slowest(row: Row) -> float:
    return _tokens(row) / (row["iteration_seconds"] + (row["iteration_seconds_error"] or 0.0))


def differing(rows: Sequence[Row]) -> tuple[tuple[str, str], ...]:
    """Labels and columns of what tells rows apart beside their node count."""
    return tuple((label, name) for label, name in _FIELDS if len({row[name] for row in rows}) > 1)


def by_campaign(rows: Sequence[Row]) -> bool:
    """Whether it takes the campaign to tell rows apart: there are several, and none is but a variant."""
    several = len({row["campaign"] for row in rows}) > 1
    return several and any(row["campaign"] != row["variant"] for row in rows)


def named(row: Row, fields: Sequence[tuple[str, str]]) -> str:
    """A row by those of these fields that it has: `DP 4, MP 2, AC on`."""
    known = [(label, row[name]) for label, name in fields if row[name] is not None]
    return ", ".join(f"{label} {_WORDS[value] if label == 'AC' else value}".strip() for label, value in known)


def sentence(loss: Loss, fields: Sequence[tuple[str, str]], campaigns: bool) -> str:
    """A loss in words."""
    first, last = loss.first, loss.last
    same = [field for field in fields if first[field[1]] == last[field[1]] and field[1] != "data"]
    other = [field for field in fields if first[field[1]] != last[field[1]] and field[1] != "data"]
    changed = [f"{named(first, (field,))}, then {named(last, (field,))}" for field in other]
    of = f" ({'; '.join(filter(None, (named(last, same), *changed)))})" if same or other else ""
    campaign = f", campaign {first['campaign']}" if campaigns else ""
    head = f"From {first['nodes']} to {last['nodes']} nodes{of}{campaign}"
    if abs(math.log(loss.kept)) < SAME:
        return f"{head}: the speed per node stays the same."
    if loss.kept > 1:
        return f"{head}: the speed per node grows to {100 * loss.kept:.0f} %."
    shares = sorted(loss.shares.items(), key=lambda item: -item[1])
    causes = [f"{100 * share:.0f} % {{}}to {name}" for name, share in shares if share > LEAST_SHARE]
    lost = ", ".join(cause.format("goes " if cause is causes[0] else "") for cause in causes)
    back = "".join(f", and {-100 * share:.0f} % comes back by {name}" for name, share in shares if share < -LEAST_SHARE)
    return f"{head}: {100 * loss.kept:.0f} % of the speed per node is left. Of the loss {lost}{back}."


def best_cells(
    found: Sequence[Best], fields: Sequence[tuple[str, str]], campaigns: bool
) -> tuple[list[str], list[list[str]]]:
    """Headings and rows of a table of the best of each node count, in markdown."""
    headings = [*(["Campaign"] if campaigns else []), "Nodes", _LEFT[1], "Sec/it", "Tokens/s", "Measured", *_LEFT[2:]]
    rows = [
        [
            *([inert(best.row["campaign"] or "-")] if campaigns else []),
            str(best.row["nodes"]),
            inert(named(best.row, fields)) or "-",
            _seconds(best.row),
            f"{_speed(best.row):.0f}",
            str(best.measured),
            inert(_first([f"{named(row, fields)}: {_seconds(row)} s" for row in best.ties])) or "-",
            inert(_first([_unmeasured(row, fields) for row in best.unmeasured])) or "-",
        ]
        for best in found
    ]
    if not any(best.unmeasured for best in found):
        headings, rows = headings[:-1], [row[:-1] for row in rows]
    return headings, rows


def best_table(headings: list[str], rows: list[list[str]]) -> str:
    """What `best_cells` gives as one table."""
    return pipe_table(headings, rows, BEST_LEFT)


def _first(texts: Sequence[str]) -> str:
    """Some of many texts, and how many more there are."""
    left = len(texts) - MOST_NAMED
    return "; ".join([*texts[:MOST_NAMED], *([f"and {left} more"] if left > 0 else [])])


def _unmeasured(row: Row, fields: Sequence[tuple[str, str]]) -> str:
    low, high = (rounded(row[f"predicted_seconds_{end}"], 1, 3) for end in ("low", "high"))
    return f"{named(row, fields)}: {low} to {high} s predicted, {row['state']}"


def _seconds(row: Row) -> str:
    return rounded(row["iteration_seconds"], 1, 3)
