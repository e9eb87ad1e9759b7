"""What follows from the fields of a layout, the laws they break, and how they are written in short."""

from collections.abc import Iterable, Mapping

from pydantic import ValidationError

from nodesweep.config.layout_field import LayoutField
from nodesweep.config.layout_fields import LAYOUT_FIELDS
from nodesweep.config.trainer_settings import fields_said, is_on
from nodesweep.config.training import Training
from nodesweep.importers.layout_values import READ_FIELDS
from nodesweep.sweep import constraints
from nodesweep.sweep.constraints import RANKS_OF_NODES, WORLD_SIZE, Product, with_defaults

from .fields import JobValues, ValueOrigin, ValueOrigins

_FOLLOWING: tuple[tuple[str, Product], ...] = (
    ("data", Product("data", ("replicas", "shards"))),
    ("ranks", RANKS_OF_NODES),
    ("ranks", WORLD_SIZE),
    ("data", WORLD_SIZE),
    ("ranks_per_node", RANKS_OF_NODES),
    ("nodes", RANKS_OF_NODES),
    ("global_batch", Product("global_batch", ("micro_batch", "data", "accumulation"))),
)
"""Which fields follow from others, in the order in which they are worked out."""


_OF_STAGES = (
    "micro_batch_group",
    "embedding_as_layer",
    "loss_as_layer",
    "first_stage_layers",
    "last_stage_layers",
    "pipeline_layout",
)
"""Fields of `training` that say how layers and micro batches are split over stages."""
_LAYOUT = "pipeline_model_parallel_layout"


def completed(values: JobValues) -> tuple[JobValues, ValueOrigins]:
    """The values and what follows from them, and how; each rank is a node where nothing says otherwise."""
    known, origins = dict(values), ValueOrigins()
    if known.get("pipeline") == 1 and "local_batch" in known:
        known.setdefault("micro_batch", known["local_batch"])  # with more stages it is cut into micro batches
        origins["micro_batch"] = ValueOrigin("the local batch, which a single stage takes whole")
    for name, product in _FOLLOWING:
        value = None if name in known else product.solved(name, with_defaults(known))
        if value is not None:
            origins[name] = ValueOrigin(_working(name, product, known))
            known[name] = value
    if "ranks" in known and "nodes" not in known and "ranks_per_node" not in known:
        known |= {"nodes": known["ranks"], "ranks_per_node": 1}
        origins |= dict.fromkeys(("nodes", "ranks_per_node"), ValueOrigin("unknown, so each rank is taken for a node"))
    return known, origins


def broken_laws(values: JobValues, settings: Iterable[tuple[str, str]] = ()) -> list[str]:
    """A sentence for each law that the values do not obey, as far as they are known, with the nearest that does.

    `settings`: arguments of the trainer, which may say how layers are split over stages.

    >>> broken_laws({"layers": 126, "pipeline": 16})
    ['126 layers do not split over PP 16; nearest PP: 14 or 18']
    >>> broken_laws({"layers": 126, "pipeline": 16}, [("decoder_first_pipeline_num_layers", "6")])
    []
    """
    training = _training(dict(settings))
    known = {name: value for name, value in values.items() if training or name != "layers"}
    return [
        f"{broken.numbers}; {broken.mending}" if broken.mending else broken.numbers
        for broken in constraints.broken_laws({**known, "training": training})
    ]


def _training(settings: Mapping[str, str]) -> Training | None:
    """How arguments say that layers are split over stages; None where that cannot be read."""
    said = {name: one.value for name, one in fields_said(settings).items() if name in _OF_STAGES}
    if settings.get(_LAYOUT, "None") not in ("None", "") and "pipeline_layout" not in said:
        return None
    try:
        return Training(**said, balanced_stages=not said and is_on(settings, "deepspeed"))
    except ValidationError:
        return None


def text_of(values: JobValues) -> str:
    """The layout as a slug has it, `?` for what is unknown.

    >>> text_of({"nodes": 4, "tensor": 2, "activation_checkpointing": True, "frequency_ghz": 2.2})
    'n4-dp?-mp2-pp?-mbs?-gbs?-s?-ac-2.2ghz'
    """
    parts = [_short(row, values) for name, row in LAYOUT_FIELDS.items() if name in READ_FIELDS and not row.worked_out]
    return "-".join(part for part in parts if part)


def _short(row: LayoutField, values: JobValues) -> str:
    if row.name in values:
        return row.slug_part(values[row.name])
    may_be_left_out = row.absent_means_default or row.of_workload or (row.optional and not row.in_every_slug)
    return "" if may_be_left_out else f"{row.letters}?"


def _working(name: str, product: Product, known: JobValues) -> str:
    """The sizes that a size is worked out from, with their values; those that nothing names are left out."""
    whole = [product.whole] if name != product.whole else []
    sources = [*whole, *(part for part in product.parts if part != name)]
    return (" / " if whole else " x ").join(f"{source} {known[source]}" for source in sources if source in known)
