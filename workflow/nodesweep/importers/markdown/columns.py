"""Headings of hand-kept tables -> the quantities they name and their units; the wordings are rows of tables."""

import re
import unicodedata
from dataclasses import dataclass
from decimal import Decimal

from .cells import visible

COUNTS = (
    "nodes",
    "ranks",
    "ranks_per_node",
    "data",
    "tensor",
    "pipeline",
    "micro_batch",
    "global_batch",
    "sequence_length",
    "layers",
    "hidden_size",
    "ffn_hidden_size",
    "attention_heads",
    "vocab_size",
)
MEASURED = ("seconds", "memory", "tflops", "aggregate", "tokens_per_second", "samples_per_second")
PLACED = frozenset({"nodes", "ranks", "data", "tensor", "pipeline"})
"""Quantities of which a table of results names at least one."""

_PER_NODE = r"/(?:gpu|node|rank|process|device|ノード)"
_DEGREE = r"(?: (?:size|degree|ways?|ranks))?"
_NUMBER_OF = r"(?:(?:number|num|no|n|total|count)(?: of)? )?"

WORDINGS = {
    "nodes": rf"{_NUMBER_OF}(?:compute )?nodes?(?: count)?|nnodes|(?:計算)?ノード数?|台数",
    "ranks": rf"{_NUMBER_OF}(?:mpi )?(?:gpus?|gcds?|ranks?|process(?:es)?|procs|accelerators?|devices?|chips?)"
    r"(?: count)?|ngpus|world size|gpu数|(?:mpi)?プロセス数|ランク数",
    "ranks_per_node": rf"{_NUMBER_OF}(?:mpi )?(?:gpus?|gcds?|ranks?|process(?:es)?|procs|tasks|devices?)/node|ppn"
    r"|(?:1 ?)?ノード(?:あたり|当たり|毎)の?(?:gpu|プロセス|ランク)数",
    "data": rf"dp{_DEGREE}|data parallel(?:ism)?{_DEGREE}|データ並列(?:数|度|サイズ)?",
    "tensor": rf"(?:mp|tp|tmp|mp/tp|tp/mp){_DEGREE}|(?:tensor )?model parallel(?:ism)?{_DEGREE}"
    rf"|tensor parallel(?:ism)?{_DEGREE}|(?:テンソル|モデル|テンソルモデル)並列(?:数|度|サイズ)?",
    "pipeline": rf"pp{_DEGREE}|pipeline(?: model)? parallel(?:ism)?{_DEGREE}|(?:pipeline )?stages|pipeline depth"
    r"|パイプライン並列(?:数|度|サイズ)?|パイプライン段数",
    "micro_batch": r"mbs|micro ?bs|micro ?batch(?: ?size)?|マイクロバッチ(?:サイズ|数)?",
    "global_batch": r"gbs|(?:global|total) ?batch(?: ?size)?|global bsz?|グローバルバッチ(?:サイズ)?|全体バッチサイズ",
    "sequence_length": r"(?:max )?seq(?:uence)?(?: ?len(?:gth)?)?|seqlen|(?:max )?context(?: len(?:gth)?)?"
    r"|(?:最大)?(?:系列|シーケンス|文脈)長",
    "layers": rf"{_NUMBER_OF}(?:transformer )?layers|nlayers|(?:レイヤー?|層)数",
    "hidden_size": r"hidden(?: ?(?:size|dim(?:ension)?))?|d model|model dim(?:ension)?"
    r"|embedding (?:size|dim(?:ension)?)|隠れ(?:層|状態)?(?:の)?(?:次元|サイズ)数?|隠れ層|埋め込み次元数?",
    "ffn_hidden_size": r"ffn(?: hidden)?(?: (?:size|dim))?|intermediate size|feed ?forward (?:size|width)",
    "attention_heads": rf"{_NUMBER_OF}(?:attention |attn )?heads|nheads|(?:アテンション|注意)?ヘッド数",
    "vocab_size": r"(?:padded )?vocab(?:ulary)?(?: size)?|語彙(?:数|サイズ)",
    "activation_checkpointing": r"ac|(?:full )?(?:activations? )?recompute|(?:activations? )?recomputation"
    r"|(?:activations?|gradient) (?:checkpointing|ckpt)|act ckpt|checkpoint(?:ed)? activations|(?:活性化?の?)?再計算"
    r"|(?:活性化|勾配)?チェックポイン(?:ト|ティング)",
    "frequency": r"(?:cpu |gpu |core |clock )?(?:freq|frequency|clock)|周波数|(?:動作)?クロック(?:周波数)?",
    "size": r"(?:model )?size|model|(?:model )?param(?:eter)?s|#? ?params|モデル(?:サイズ|規模)?|パラメー?タ(?:ー)?数",
    "memory": r"(?:(?:peak|max|maximum|gpu|host|node|device|avg) ){0,3}mem(?:ory)?"
    rf"(?: (?:usage|used|allocated|reserved|footprint|consumption|peak)){{0,2}}(?:{_PER_NODE})?"
    rf"|(?:最大|ピーク)?(?:使用)?メモリー?(?:使用量|消費量)?(?:{_PER_NODE})?",
    "tokens_per_second": r"(?:throughput )?(?:tokens?|tok)/s(?:ec(?:onds?)?)?|トークン/秒",
    "samples_per_second": r"(?:throughput )?(?:samples?|seqs?|sequences?)/s(?:ec(?:onds?)?)?|サンプル/秒",
    "note": r"notes?|remarks?|comments?|備考|メモ|コメント|注記?|特記事項",
    "status": r"status|outcome|results?|結果|状態|状況",
}
_WORDINGS = {field: re.compile(pattern) for field, pattern in WORDINGS.items()}

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
    "frequency": {"ghz": Decimal(1), "mhz": Decimal("0.001")},
}
"""Units a heading or a cell may name -> seconds, MiB, GHz; a GB is 10^9 bytes."""

_ITERATION = r"(?:it|iter|iters|itr|iteration|iterations|step|steps|イテレーション|反復|ステップ)"
_SECOND_UNITS = "|".join(UNITS["seconds"])
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
class Column:
    """A heading as written and what it names.

    `field` is "text" where that is not known. `scale`: from the printed unit to seconds, MiB, GHz or TFLOPs; None where
    the heading names none. `rate`: iterations per second. `basis`: whose TFLOPs, "rank" or "node"; empty where unsaid.
    `model_flops`: the heading says that recomputation is not counted.
    """

    heading: str
    field: str
    scale: Decimal | None = None
    rate: bool = False
    basis: str = ""
    model_flops: bool = False


def column_of(heading: str) -> Column:
    """What a heading names.

    >>> [column_of(text).field for text in ("#Nodes", "tensor-parallel size", "データ並列（DP）", "Sec/it", "Colour")]
    ['nodes', 'tensor', 'data', 'seconds', 'text']
    >>> column_of("Time per iteration [ms]").scale, column_of("TFLOP/s/GPU").basis
    (Decimal('0.001'), 'rank')
    """
    shown = visible(heading).shown
    base, brackets = _split(visible(heading).read)
    for label in (base, *(f"{base} {one}" for one in brackets), *brackets):
        column = _named(shown, normal(label))
        if column:
            units = UNITS.get(column.field, {})
            scales = [units[unit] for unit in map(normal, brackets) if unit in units]
            return column if not scales else Column(shown, column.field, scales[0], column.rate)
    return Column(shown, "text")


def normal(label: str) -> str:
    """A label with one spelling of spaces, hyphens and `per`.

    >>> normal("Time per  iteration"), normal("--num-layers")
    ('time/iteration', 'num layers')
    """
    text = unicodedata.normalize("NFKC", label).casefold()
    text = " ".join(re.sub(r"[_\-‐–.,:#'`*]", " ", text).split())
    return re.sub(r" ?(?:/| per ) ?", "/", re.sub(r"^per ", "/", text))


def _split(label: str) -> tuple[str, list[str]]:
    """A label without its brackets, and what stands in them."""
    brackets = re.findall(r"[(\[]([^()\[\]]{1,60})[)\]]", label)
    return re.sub(r"[(\[][^()\[\]]{0,60}[)\]]", " ", label), brackets


def _named(shown: str, label: str) -> Column | None:
    for field, pattern in _WORDINGS.items():
        if pattern.fullmatch(label):
            return Column(shown, field)
    if match := _SECONDS.fullmatch(label):
        rate = bool(match["rate"])
        unit = "s" if rate else match["unit"]
        return Column(shown, "seconds", UNITS["seconds"][unit] if unit else None, rate)
    if match := _FLOPS.fullmatch(label):
        return _flops(shown, match)
    head, _, last = label.rpartition(" ")
    for field, units in UNITS.items():
        if head and last in units:
            column = _named(shown, head)
            if column and column.field == field:
                return Column(shown, field, units[last], column.rate)
    return None


def _flops(shown: str, match: re.Match[str]) -> Column:
    scale, words = _TERA[match["prefix"][0]], match["words"]
    whole = any(word in words for word in _WHOLE) or (match["prefix"][0] == "p" and not match["basis"])
    basis = "" if not match["basis"] else "node" if match["basis"] in ("node", "ノード") else "rank"
    return Column(shown, "aggregate" if whole else "tflops", scale, False, basis, "model" in words)
