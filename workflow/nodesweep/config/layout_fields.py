"""The fields of a layout: one row a field. Whatever lists them derives its list from these rows.

To add a field, add a row to LayoutValues: it becomes a key of `layouts` in a config, an axis of the expansion, a part
of the slug, a name in conditions and templates, a column of the plan, of results.csv and of tables, an option of
`nodesweep predict`, a heading that `import` reads and a name that `ingest` finds in logs.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from .layout_field import LayoutField, completed, row_of, rows_of
from .layout_words import (
    OFFLOAD_WORDS,
    PRECISION_WORDS,
    RECOMPUTATION_WORDS,
    Offload,
    Precision,
    Recomputation,
)
from .model_fields import MODEL_FIELDS
from .split_fields import SplitValues


@dataclass(frozen=True, kw_only=True)
class LayoutValues(SplitValues):
    """The fields of a layout as attributes; batches in samples, sequences in tokens."""

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
        same_fact="recomputation",
        in_tables="always",
        notation="activation checkpointing",
        headings=r"ac|(?:full )?(?:activations? )?recompute|(?:activations? )?recomputation"
        r"|(?:activations?|gradient) (?:checkpointing|ckpt)|act ckpt|checkpoint(?:ed)? activations"
        r"|(?:活性化?の?)?再計算|(?:活性化|勾配)?チェックポイン(?:ト|ティング)",
    )
    recomputation: Recomputation = row_of(
        kind="word",
        words=RECOMPUTATION_WORDS,
        meaning="what is recomputed: nothing, the core of attention (selective), or whole layers (full)",
        symbol="Recomputation",
        letters="",
        default="none",
        of_workload=True,
        told_by="activation_checkpointing",
        notation="what of the activations is recomputed",
    )
    recomputed_layers: int | None = row_of(
        meaning="layers of each pipeline stage that are recomputed, the first ones; all of them where left out",
        symbol="Recomputed layers",
        letters="of",
        optional=True,
        absent_means_default=True,
        notation="layers of each stage that are recomputed",
        headings=r"recompute(?:d)? (?:num )?layers|layers recomputed",
    )
    precision: Precision = row_of(
        kind="word",
        words=PRECISION_WORDS,
        meaning="number format of the matrix products",
        symbol="Precision",
        letters="",
        default="fp32",
        of_workload=True,
        sets_problem=True,
        notation="number format of the matrix products",
        headings=r"precision|dtype|data ?type|compute (?:type|precision)|number format|精度|データ型",
    )
    offload: Offload = row_of(
        kind="word",
        words=OFFLOAD_WORDS,
        meaning="what is kept in the memory of the host: optimizer states, these with weights and gradients "
        "(parameters), activations, or all",
        symbol="Offload",
        default="none",
        absent_means_default=True,
        notation="what is kept in the memory of the host",
        headings=r"(?:cpu )?offload(?:ing)?",
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
    letters="",
    axis=False,
    optional=True,
    sets_problem=True,
    headings=r"variant|system|hardware|machine|platform|cluster|(?:gpu|accelerator|device|chip|processor|node)s?"
    r" (?:type|model|name)|システム|(?:計算)?機種",
)
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
PARALLEL: dict[str, LayoutField] = {name: row for name, row in LAYOUT_FIELDS.items() if row.parallel}
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
