"""Headings of hand-kept tables -> the quantities they name and their units.

A quantity is a field of a layout by its name, or one of those below.
"""

import re
import unicodedata
from dataclasses import dataclass
from decimal import Decimal

from nodesweep.config.layout_field import Kind, LayoutField
from nodesweep.importers.layout_values import READ_FIELDS

from .cells import cell_text

MEASURED = ("seconds", "memory", "tflops", "aggregate", "tokens_per_second", "samples_per_second")
PLACED = frozenset({"nodes", "ranks", *(name for name, row in READ_FIELDS.items() if row.parallel)})
"""Quantities of which a table of results names at least one."""
KINDS: dict[str, Kind] = {
    **dict.fromkeys(MEASURED, "number"),
    **{name: row.kind for name, row in READ_FIELDS.items()},
}
"""Kinds of the values of quantities; any other quantity is text."""

_PER_NODE = r"/(?:gpu|node|rank|process|device|ノード)"
_WORDINGS = {
    "size": r"(?:model )?size|model|(?:model )?param(?:eter)?s|#? ?params|モデル(?:サイズ|規模)?|パラメー?タ(?:ー)?数",
    "memory": r"(?:(?:peak|max|maximum|gpu|host|node|device|avg) ){0,3}mem(?:ory)?"
    rf"(?: (?:usage|used|allocated|reserved|footprint|consumption|peak)){{0,2}}(?:{_PER_NODE})?"
    rf"|(?:最大|ピーク)?(?:使用)?メモリー?(?:使用量|消費量)?(?:{_PER_NODE})?",
    "tokens_per_second": r"(?:throughput )?(?:tokens?|tok)/s(?:ec(?:onds?)?)?|トークン/秒",
    "samples_per_second": r"(?:throughput )?(?:samples?|seqs?|sequences?)/s(?:ec(?:onds?)?)?|サンプル/秒",
    "note": r"notes?|remarks?|comments?|備考|メモ|コメント|注記?|特記事項",
    "status": r"status|outcome|results?|結果|状態|状況",
}
"""Headings of the other quantities."""


def _units_of(row: LayoutField) -> dict[str, Decimal]:
    """Units of a field's numbers, as people write them, in the field's own unit."""
    if row.unit == "GHz":
        return {"ghz": Decimal(1), "mhz": Decimal("0.001")}
    return {row.unit.casefold(): Decimal(1)}


UNITS: dict[str, dict[str, Decimal]] = {
    "seconds": {
        **dict.fromkeys(("s", "sec", "secs", "second", "seconds", "秒"), Decimal(1)),
        **dict.fromkeys(("ms", "msec", "msecs", "millisecond", "milliseconds", "ミリ秒"), Decimal("0.001")),
        **dict.fromkeys(("us", "μs", "usec", "microsecond", "microseconds", "マイクロ秒"), Decimal("0.000001")),
        **dict.fromkeys(("min", "mins", "minute", "minutes", "分"), Decimal(60)),
        **dict.fromkeys(("h", "hr", "hrs", "hour", "hours", "時間"), Decimal(3600)),
    },
    "memory": {
        "kib": Decimal(1) / 1024,
        "mib": Decimal(1),
        "gib": Decimal(1024),
        "tib": Decimal(1024**2),
        "kb": Decimal(10**3) / 2**20,
        "mb": Decimal(10**6) / 2**20,
        "gb": Decimal(10**9) / 2**20,
        "tb": Decimal(10**12) / 2**20,
    },
    **{row.name: _units_of(row) for row in READ_FIELDS.values() if row.kind == "number" and row.unit},
}
"""Units that a heading or a cell may name -> seconds, MiB or the unit of a layout field; a GB is 10^9 bytes."""
WITH_A_UNIT = frozenset({"memory", *(set(UNITS) & set(READ_FIELDS))})
"""Quantities that are unknown where neither heading nor cell names a unit."""

_ITERATION = r"(?:it|iter|iters|itr|iteration|iterations|step|steps|イテレーション|反復|ステップ)"
_SECONDS = re.compile(
    rf"(?:(?:avg|average|mean|median|elapsed) )?(?:(?P<unit>{'|'.join(UNITS['seconds'])})/{_ITERATION}"
    rf"|(?:elapsed )?time/{_ITERATION}|{_ITERATION} ?(?:time|latency)|時間/{_ITERATION}|(?:1 ?)?{_ITERATION}(?:の)?時間"
    rf"|(?P<rate>(?:it|its|iter|iters|iterations|steps?)/s(?:ec(?:ond)?)?))"
)
_FLOPS = re.compile(
    r"(?P<words>(?:(?:est|estimated|achieved|avg|average|mean|hardware|hw|model|aggr|aggregated?|total|overall|system"
    r"|合計|全体|実効) ?){0,3})(?P<prefix>tera|t|giga|g|peta|p) ?flops?(?:/s(?:ec(?:ond)?)?)?"
    r"(?:/(?P<basis>gpu|gcd|node|device|rank|chip|process|accelerator|ノード))?"
)
_WHOLE = ("aggr", "total", "overall", "system", "合計", "全体")

_TERA = {"g": Decimal("0.001"), "t": Decimal(1), "p": Decimal(1000)}


@dataclass(frozen=True)
class HandKeptColumn:
    """A heading as written and the quantity that it names.

    `field` is the quantity, "text" where it is not known. `scale`: from the printed unit to seconds, MiB, GHz or
    TFLOPs; None where the heading names none. `rate`: iterations per second. `basis`: whose TFLOPs, "rank" or "node";
    empty where the heading does not say. `model_flops`: the heading says that recomputation is not counted.
    """

    heading: str
    field: str
    scale: Decimal | None = None
    rate: bool = False
    basis: str = ""
    model_flops: bool = False


def column_of(heading: str) -> HandKeptColumn:
    """What a heading names.

    >>> [column_of(text).field for text in ("#Nodes", "tensor-parallel size", "データ並列（DP）", "Sec/it", "Colour")]
    ['nodes', 'tensor', 'data', 'seconds', 'text']
    >>> column_of("Time per iteration [ms]").scale, column_of("TFLOP/s/GPU").basis
    (Decimal('0.001'), 'rank')
    """
    shown = cell_text(heading).shown
    base, brackets = _split(cell_text(heading).read)
    for label in (base, *(f"{base} {one}" for one in brackets), *brackets):
        column = _named(shown, normal(label))
        if column:
            units = UNITS.get(column.field, {})
            scales = [units[unit] for unit in map(normal, brackets) if unit in units]
            return column if not scales else HandKeptColumn(shown, column.field, scales[0], column.rate)
    return HandKeptColumn(shown, "text")


def normal(label: str) -> str:
    """A label with one spelling of spaces, hyphens and `per`.

    >>> normal("Time per  iteration"), normal("--num-layers")
    ('time/iteration', 'num layers')
    """
    text = unicodedata.normalize("NFKC", label).casefold()
    text = " ".join(re.sub(r"[_\-‐–.,:#'`*]", " ", text).split())
    return re.sub(r" ?(?:/| per ) ?", "/", re.sub(r"^per ", "/", text))


def _pattern_of(row: LayoutField) -> str:
    """Headings of a field; its symbol and its name where its row gives no pattern."""
    return row.headings or "|".join(re.escape(normal(name)) for name in (row.symbol, row.name))


def _split(label: str) -> tuple[str, list[str]]:
    """A label without its brackets, and what stands in them."""
    brackets = re.findall(r"[(\[]([^()\[\]]{1,60})[)\]]", label)
    return re.sub(r"[(\[][^()\[\]]{0,60}[)\]]", " ", label), brackets


_PATTERNS = {name: re.compile(_pattern_of(row)) for name, row in READ_FIELDS.items()} | {
    name: re.compile(pattern) for name, pattern in _WORDINGS.items()
}
"""Patterns of the headings of quantities that name no unit and no rate."""


def _named(shown: str, label: str) -> HandKeptColumn | None:
    for field, pattern in _PATTERNS.items():
        if pattern.fullmatch(label):
            return HandKeptColumn(shown, field)
    if match := _SECONDS.fullmatch(label):
        rate = bool(match["rate"])
        unit = "s" if rate else match["unit"]
        return HandKeptColumn(shown, "seconds", UNITS["seconds"][unit] if unit else None, rate)
    if match := _FLOPS.fullmatch(label):
        return _flops(shown, match)
    head, _, last = label.rpartition(" ")
    for field, units in UNITS.items():
        if head and last in units:
            column = _named(shown, head)
            if column and column.field == field:
                return HandKeptColumn(shown, field, units[last], column.rate)
    return None


def _flops(shown: str, match: re.Match[str]) -> HandKeptColumn:
    scale, words = _TERA[match["prefix"][0]], match["words"]
    whole = any(word in words for word in _WHOLE) or (match["prefix"][0] == "p" and not match["basis"])
    basis = "" if not match["basis"] else "node" if match["basis"] in ("node", "ノード") else "rank"
    return HandKeptColumn(shown, "aggregate" if whole else "tflops", scale, False, basis, "model" in words)
