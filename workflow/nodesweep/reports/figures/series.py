"""Rows of results.csv -> series, rows that differ only in what an axis shows, and what they are called."""

from collections.abc import Iterable, Sequence
from typing import Any

from nodesweep.common.text import plain

from .figure import Datum, Row

_PROBLEM = (
    *("model", "model_size", "layers", "hidden_size", "attention_heads", "vocab_size", "campaign", "variant"),
    *("nodes", "ranks_per_node", "tensor", "pipeline", "micro_batch_samples", "global_batch_samples"),
    *("activation_checkpointing", "sequence_length_tokens", "frequency_ghz"),
)
"""What two points of a line have in common, but for what its axis shows; DP follows."""
_NEEDED = ("tensor", "pipeline", "micro_batch_samples", "global_batch_samples", "sequence_length_tokens")
"""Of a row that lacks one of these it is not known what it computes: it is alone."""
_NAMING = (
    *(("", "model_size"), ("nodes", "nodes"), ("MP", "tensor"), ("PP", "pipeline"), ("MBS", "micro_batch_samples")),
    *(("GBS", "global_batch_samples"), ("AC", "activation_checkpointing"), ("sequence", "sequence_length_tokens")),
    *(("GHz", "frequency_ghz"), ("", "variant")),
)
"""Label and column of what a name says wherever series differ in it."""
_AT_NEED = (
    *(("", "campaign"), ("", "model"), ("layers", "layers"), ("hidden", "hidden_size"), ("heads", "attention_heads")),
    *(("vocabulary", "vocab_size"), ("ranks a node", "ranks_per_node")),
)
"""And only where names would else be the same."""
_TERSE = {"AC on": "AC", "AC off": "no AC"}
WORD, NAME = 24, 60
SLUG = 1000
"""Characters of a word of the config in a name, of a name, and of a slug, more than any has."""
Fields = Sequence[tuple[str, str]]


def series_of(rows: Iterable[Row], axis: str) -> list[list[Row]]:
    """Rows that differ only in the column `axis` and in DP, in rising order of it; series as they first come."""
    found: dict[tuple[Any, ...], list[Row]] = {}
    for row in rows:
        found.setdefault(alike(row, (axis,)), []).append(row)
    return [sorted(group, key=lambda row: row[axis]) for group in found.values()]


def alike(row: Row, but: Sequence[str]) -> tuple[Any, ...]:
    """What rows have in common that differ only in DP and in the columns `but`."""
    if any(row[name] is None for name in _NEEDED if name not in but):
        return "", row["slug"]
    return tuple(row[name] for name in _PROBLEM if name not in but)


def telling(rows: Sequence[Row], axis: str) -> Fields:
    """What it takes to tell rows apart beside `axis`; rows of one series count as one."""
    known = {name: {row[name] for row in rows} - {None} for _, name in _NAMING}
    fields = [(label, name) for label, name in _NAMING if name != axis and len(known[name]) > 1]
    for more in (*_AT_NEED, *_NAMING):
        if more[1] != axis and _parted(rows, [*fields, more]) > _parted(rows, fields):
            fields.append(more)
    return fields


def shared(rows: Sequence[Row], axis: str) -> str:
    """What all rows have in common, in words: `30B, PP 48, GBS 1536`."""
    same = [(label, name) for label, name in _NAMING if name != axis and len({row[name] for row in rows}) == 1]
    return named(rows[0], same) if rows else ""


def named(row: Row, fields: Fields) -> str:
    """A row by those of these fields that it has: `MP 4, AC on, 2.2 GHz`."""
    words = (_word(label, row[name]) for label, name in fields if row[name] is not None)
    return plain(", ".join(word for word in words if word), NAME)


def tersely(row: Row, fields: Fields) -> str:
    """The same in fewer characters: `384 nodes MP4 AC 2.2GHz s2048`."""
    found = []
    for label, name in fields:
        if row[name] is not None:
            label = "s" if label == "sequence" else label
            word = _word(label, row[name])
            found.append(_TERSE.get(word, word.replace(" ", "") if len(label) in (1, 2, 3) else word))
    return plain(" ".join(found), NAME)


def unique(names: Iterable[str], nameless: str = "all") -> list[str]:
    """Names with a number after those that came before; `nameless` for the empty one."""
    seen: dict[str, int] = {}
    found = []
    for name in (name or nameless for name in names):
        seen[name] = seen.get(name, 0) + 1
        found.append(name if seen[name] == 1 else f"{name} ({seen[name]})")
    return found


def ranked(series: Sequence[Sequence[Row]], axis: str) -> list[int]:
    """Numbers of series: those with several values of `axis` first, by how often they are fastest, and how nearly.

    Tokens per second are compared among rows of as many nodes at the same value of `axis`.
    """
    best: dict[Any, float] = {}
    for row in (row for rows in series for row in rows):
        place = (row[axis], row["nodes"])
        best[place] = max(best.get(place, 0.0), row["tokens_per_second"] or 0.0)

    def rank(number: int) -> tuple[bool, int, float]:
        rows = series[number]
        near = [(row["tokens_per_second"] or 0.0) / (best[row[axis], row["nodes"]] or 1.0) for row in rows]
        return len({row[axis] for row in rows}) < 2, -near.count(1.0), -sum(near) / len(near)

    return sorted(range(len(series)), key=rank)


def fastest_of_each(rows: Iterable[Row], axis: str) -> list[Row]:
    """Of the rows of a series that ended well the fastest at each value of `axis`: what its line goes through."""
    found: dict[Any, Row] = {}
    for row in rows:
        known = found.get(row[axis])
        if row["outcome"] == "ok" and (known is None or row["iteration_seconds"] < known["iteration_seconds"]):
            found[row[axis]] = row
    return [found[value] for value in sorted(found)]


def datum(row: Row, **more: Any) -> Datum:
    """What every point says of its layout, and more; without what is not known."""
    recomputed = row["activation_checkpointing"]
    end = " ".join(plain(row[name], 60) for name in ("outcome", "where") if row[name])
    values = {
        "slug": plain(row["slug"], SLUG),
        "nodes": row["nodes"],
        "dp": row["data"],
        "mp": row["tensor"],
        "pp": row["pipeline"],
        "mbs": row["micro_batch_samples"],
        "gbs": row["global_batch_samples"],
        "ac": None if recomputed is None else "on" if recomputed else "off",
        "ended": end if row["outcome"] else plain(row["state"], 60),
        **more,
    }
    return {name: value for name, value in values.items() if value is not None}


def _parted(rows: Sequence[Row], fields: Fields) -> int:
    return len({tuple(row[name] for _, name in fields) for row in rows})


def _word(label: str, value: Any) -> str:
    if label == "AC":
        return "AC on" if value else "AC off"
    if label == "GHz":
        return f"{value:g} GHz"
    if label == "nodes":
        return f"{value} node{'' if value == 1 else 's'}"
    return f"{label} {plain(str(value), WORD)}".strip()
