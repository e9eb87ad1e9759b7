"""The fields of a layout: one row a field. Whatever lists them derives its list from these rows.

To add a field, add a row to LayoutValues: it becomes a key of `layouts` in a config, an axis of the expansion, a part
of the slug, a name in conditions and templates, a column of the plan, of results.csv and of tables, an option of
`nodesweep predict`, a heading that `import` reads and a name that `ingest` finds in logs.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from .layout_field import LayoutField, completed, row_of, rows_of
from .model_fields import MODEL_FIELDS, NUMBER_OF

_DEGREE = r"(?: (?:size|degree|ways?|ranks))?"
_PROCESSES = r"gpus?|ranks?|process(?:es)?|procs"


@dataclass(frozen=True, kw_only=True)
class LayoutValues:
    """The fields of a layout as attributes; batches in samples, sequences in tokens."""

    nodes: int = row_of(
        meaning="nodes",
        symbol="Nodes",
        label="nodes",
        letters="n",
        in_every_slug=True,
        of_machine=True,
        in_tables="always",
        logged_as=("nnodes",),
        headings=rf"{NUMBER_OF}(?:compute )?nodes?(?: count)?|nnodes|(?:計算)?ノード数?|台数",
    )
    ranks_per_node: int = row_of(
        meaning="ranks on each node",
        symbol="Ranks/node",
        label="ranks a node",
        axis=False,
        worked_out=True,
        of_machine=True,
        in_tables="never",
        logged_as=("num_local_procs", "nproc_per_node"),
        headings=rf"{NUMBER_OF}(?:mpi )?(?:{_PROCESSES}|gcds?|tasks|devices?)/node|ppn"
        r"|(?:1 ?)?ノード(?:あたり|当たり|毎)の?(?:gpu|プロセス|ランク)数",
    )
    ranks: int = row_of(
        meaning="ranks of the whole run",
        symbol="Ranks",
        label="ranks",
        axis=False,
        worked_out=True,
        follows=True,
        of_machine=True,
        in_tables="never",
        logged_as=("world_size", "global_num_gpus"),
        headings=rf"{NUMBER_OF}(?:mpi )?(?:{_PROCESSES}|gcds?|accelerators?|devices?|chips?)"
        r"(?: count)?|ngpus|world size|gpu数|(?:mpi)?プロセス数|ランク数",
    )
    data: int = row_of(
        meaning="data-parallel size (DP)",
        symbol="DP",
        optional=True,
        follows=True,
        in_every_slug=True,
        parallel="data",
        in_tables="always",
        logged_as=("data_parallel_size", "dp"),
        checked_in_log=True,
        headings=rf"dp{_DEGREE}|data parallel(?:ism)?{_DEGREE}|データ並列(?:数|度|サイズ)?",
    )
    tensor: int = row_of(
        meaning="tensor model parallel size (MP)",
        symbol="MP",
        default=1,
        in_every_slug=True,
        parallel="tensor model",
        sets_problem=True,
        in_tables="always",
        logged_as=("tensor_model_parallel_size", "model_parallel_size", "tp"),
        checked_in_log=True,
        headings=rf"(?:mp|tp|tmp|mp/tp|tp/mp){_DEGREE}|(?:tensor )?model parallel(?:ism)?{_DEGREE}"
        rf"|tensor parallel(?:ism)?{_DEGREE}|(?:テンソル|モデル|テンソルモデル)並列(?:数|度|サイズ)?",
    )
    pipeline: int = row_of(
        meaning="pipeline stages (PP)",
        symbol="PP",
        default=1,
        in_every_slug=True,
        parallel="pipeline",
        in_tables="always",
        logged_as=("pipeline_model_parallel_size", "pipe_parallel_size", "pp"),
        checked_in_log=True,
        headings=rf"pp{_DEGREE}|pipeline(?: model)? parallel(?:ism)?{_DEGREE}|(?:pipeline )?stages|pipeline depth"
        r"|パイプライン並列(?:数|度|サイズ)?|パイプライン段数",
    )
    micro_batch: int = row_of(
        meaning="samples of one micro batch (MBS)",
        symbol="MBS",
        column="micro_batch_samples",
        default=1,
        in_every_slug=True,
        in_tables="always",
        notation="micro batch size",
        logged_as=("micro_batch_size", "train_micro_batch_size_per_gpu", "mbs", "batch_size"),
        checked_in_log=True,
        headings=r"mbs|micro ?bs|micro ?batch(?: ?size)?|マイクロバッチ(?:サイズ|数)?",
    )
    global_batch: int = row_of(
        meaning="samples of one iteration (GBS)",
        symbol="GBS",
        column="global_batch_samples",
        in_every_slug=True,
        sets_problem=True,
        in_tables="always",
        notation="global batch size",
        logged_as=("global_batch_size", "train_batch_size", "gbs"),
        checked_in_log=True,
        headings=r"gbs|(?:global|total) ?batch(?: ?size)?|global bsz?|グローバルバッチ(?:サイズ)?|全体バッチサイズ",
    )
    micro_batches: int = row_of(
        meaning="micro batches that each replica works through in one iteration",
        symbol="Micro batches",
        label="micro batches",
        column="",
        axis=False,
        worked_out=True,
        follows=True,
        in_tables="never",
    )
    sequence_length: int = row_of(
        meaning="tokens of one sample",
        symbol="Sequence",
        label="sequence",
        column="sequence_length_tokens",
        letters="s",
        in_every_slug=True,
        sets_problem=True,
        in_tables="never",
        logged_as=("seq_length", "sequence_length"),
        checked_in_log=True,
        headings=r"(?:max )?seq(?:uence)?(?: ?len(?:gth)?)?|seqlen|(?:max )?context(?: len(?:gth)?)?"
        r"|(?:最大)?(?:系列|シーケンス|文脈)長",
    )
    activation_checkpointing: bool = row_of(
        kind="yes_no",
        meaning="whether activations are recomputed (AC)",
        symbol="AC",
        default=False,
        in_tables="always",
        notation="activation checkpointing",
        headings=r"ac|(?:full )?(?:activations? )?recompute|(?:activations? )?recomputation"
        r"|(?:activations?|gradient) (?:checkpointing|ckpt)|act ckpt|checkpoint(?:ed)? activations"
        r"|(?:活性化?の?)?再計算|(?:活性化|勾配)?チェックポイン(?:ト|ティング)",
    )
    frequency_ghz: float | None = row_of(
        kind="number",
        meaning="clock asked for, in GHz",
        symbol="Freq",
        label="GHz",
        unit="GHz",
        letters="ghz",
        optional=True,
        of_machine=True,
        sets_problem=True,
        in_tables="always",
        headings=r"(?:cpu |gpu |core |clock )?(?:freq|frequency|clock)|周波数|(?:動作)?クロック(?:周波数)?",
    )


_VARIANT = LayoutField(
    name="variant",
    kind="word",
    meaning="named environment",
    symbol="Variant",
    label="",
    axis=False,
    optional=True,
    sets_problem=True,
)
CONTEXT = LayoutField(
    name="context",
    meaning="context parallel size (CP)",
    symbol="CP",
    column="",
    axis=False,
    default=1,
    parallel="context",
    absent_means_default=True,
    in_tables="never",
    logged_as=("context_parallel_size", "cp", "ds_sequence_parallel_size", "sequence_parallel_size"),
)
"""A size that jobs from elsewhere may have, and no layout of a sweep."""

LAYOUT_FIELDS: dict[str, LayoutField] = {**rows_of(LayoutValues), "variant": completed(_VARIANT)}
"""The rows of a layout by name, in the order of the columns of results.csv."""
FIELDS: dict[str, LayoutField] = {**LAYOUT_FIELDS, **MODEL_FIELDS}


def _axes() -> dict[str, LayoutField]:
    rows = [row for row in LAYOUT_FIELDS.values() if row.axis]
    split = [row for row in rows if row.parallel]
    ordered = sorted(split, key=lambda row: row.follows)
    places = dict(zip((row.name for row in split), ordered, strict=True))
    return {row.name: row for row in (places.get(row.name, row) for row in rows)}


AXES: dict[str, LayoutField] = _axes()
"""What a block of `layouts` gives, in the order in which its product varies, slowest first."""
PARALLEL: dict[str, LayoutField] = {
    row.name: row for row in (*LAYOUT_FIELDS.values(), completed(CONTEXT)) if row.parallel
}
"""The sizes whose product is the number of ranks."""
COLUMNS: dict[str, LayoutField] = {row.column: row for row in FIELDS.values() if row.column}
"""Rows by their columns in results.csv."""


def in_display_order(rows: Iterable[LayoutField]) -> list[LayoutField]:
    """Rows as tables have them: where a layout runs, then how it is split, in the order of the rows."""
    return sorted(rows, key=lambda row: not row.of_machine)


GIVEN: list[LayoutField] = in_display_order(row for row in LAYOUT_FIELDS.values() if not row.worked_out)
"""The fields that a config gives, in the order of the columns of tables."""
SPREAD: tuple[LayoutField, ...] = tuple(row for row in GIVEN if row.in_every_slug and (row.of_machine or row.parallel))
"""What says over how many nodes a run is spread, and how it is split over them."""
