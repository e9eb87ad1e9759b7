"""The laws that a layout obeys, each stated once, over values of which some may be unknown.

A law is checked where all values it speaks of are known. Values are those of a layout and its model by the names of
config/layout_fields.py; batches in samples.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from nodesweep.config.layout_fields import LAYOUT_FIELDS, PARALLEL

from .broken_law import BrokenLaw, Choice, LawRow, Values
from .split_laws import SPLIT_LAWS

_ABSENT = {
    name: row.default for name, row in LAYOUT_FIELDS.items() if row.absent_means_default and row.default is not None
}
_OTHERS = tuple(name for name in PARALLEL if name != "data")


@dataclass(frozen=True)
class Product:
    """A size, `whole`, that is the product of others."""

    whole: str
    parts: tuple[str, ...]

    def solved(self, name: str, values: Values) -> int | None:
        """The size `name`, as the others have it; None where one of them is unknown or no whole number fits.

        >>> Product("ranks", ("nodes", "ranks_per_node")).solved("nodes", {"ranks": 8, "ranks_per_node": 4})
        2
        """
        product: int = 1
        for part in self.parts:
            if part != name:
                if values.get(part) is None:
                    return None
                product *= values[part]
        if name == self.whole:
            return product
        whole: int | None = values.get(self.whole)
        if whole is None or whole % product or whole < product:
            return None
        return whole // product


RANKS_OF_NODES = Product("ranks", ("nodes", "ranks_per_node"))
WORLD_SIZE = Product("ranks", tuple(PARALLEL))
_BATCHES = Product("global_batch", ("data", "micro_batch", "micro_batches"))
FOLLOWS = {"ranks": RANKS_OF_NODES, "data": WORLD_SIZE, "micro_batches": _BATCHES}
"""What follows from other sizes where it is not given, and by which product, in the order in which it does."""


def completed(values: Values) -> dict[str, Any]:
    """The values, and what follows from them: ranks, DP, micro batches, and sizes that nothing names.

    DP and the micro batches are left out where they are no whole number.

    >>> completed({"nodes": 4, "ranks_per_node": 2, "tensor": 2, "pipeline": 1, "global_batch": 8, "micro_batch": 1})[
    ...     "micro_batches"]
    2
    """
    found = with_defaults(values)
    for name, product in FOLLOWS.items():
        if name not in found and (number := product.solved(name, found)) is not None:
            found[name] = number
    return found


def with_defaults(values: Values) -> dict[str, Any]:
    """The values that are known, and the defaults of sizes that are named only where they have another value."""
    return {**_ABSENT, **{name: value for name, value in values.items() if value is not None}}


def replica_ranks(values: Values) -> int:
    """Ranks that hold one copy of the model: the product of all parallel sizes but DP."""
    return math.prod(values[name] for name in _OTHERS)


def broken_laws(values: Values) -> list[BrokenLaw]:
    """Every law that these values break, as far as they are known.

    >>> [broken.sentence for broken in broken_laws({"layers": 48, "pipeline": 9})]
    ['48 layers do not split over PP 9; nearest PP: 8 or 12']
    """
    known = with_defaults(values)
    if "ranks" not in known and (ranks := RANKS_OF_NODES.solved("ranks", known)) is not None:
        known["ranks"] = ranks
    return list(broken_by(known))


def broken_by(known: Values) -> Iterator[BrokenLaw]:
    """The laws that values break, one after the other, of which none is left to a default and none follows."""
    return (broken for needed, law in _LAWS if _known(known, *needed) and (broken := law(known)) is not None)


def _known(values: Values, *names: str) -> bool:
    return None not in map(values.get, names)


def product_in_words(values: Values, names: Sequence[str]) -> str:
    """A product in words; a size that nobody named is left out.

    >>> product_in_words({"data": 2, "tensor": 4, "context": 1}, ("data", "tensor", "context"))
    'DP 2 x MP 4'
    """
    named = [
        name for name in names if not PARALLEL[name].absent_means_default or values[name] != PARALLEL[name].default
    ]
    return " x ".join(f"{PARALLEL[name].symbol} {values[name]}" for name in named)


def _ranks(values: Values) -> str:
    """The ranks in words, with the nodes they are on; as nodes where nothing says that ranks are something else."""
    if values.get("nodes") == values["ranks"] and not _known(values, "ranks_per_node"):
        return f"{values['nodes']} nodes"
    if _known(values, "nodes", "ranks_per_node") and values["nodes"] * values["ranks_per_node"] == values["ranks"]:
        return f"{values['nodes']} nodes x {values['ranks_per_node']} ranks = {values['ranks']} ranks"
    return f"{values['ranks']} ranks"


def _world_size(values: Values) -> BrokenLaw | None:
    if values.get("data") is None:
        return _whole_replicas(values)
    product = values["data"] * replica_ranks(values)
    if product == values["ranks"]:
        return None
    numbers = f"{_ranks(values)}, but {product_in_words(values, tuple(PARALLEL))} = {product}"
    data = WORLD_SIZE.solved("data", {**values, "data": None})
    lawful = () if data is None else (data,)
    choice = Choice("data", values["data"], lawful, words="leave data out and it follows")
    return BrokenLaw("world size", numbers, (choice,), in_config="leave data out, and change another size")


def _whole_replicas(values: Values) -> BrokenLaw | None:
    ranks, replica = values["ranks"], replica_ranks(values)
    if ranks % replica == 0:
        return None
    numbers = f"{_ranks(values)} do not hold whole replicas of {product_in_words(values, _OTHERS)} = {replica}"
    if not _known(values, "nodes", "ranks_per_node"):
        return BrokenLaw("world size", numbers, (Choice("ranks", ranks, multiple_of=replica, size="ranks"),))
    step = replica // math.gcd(replica, values["ranks_per_node"])
    split = [Choice(name, values[name], divides=ranks) for name in _OTHERS if values[name] > 1]
    return BrokenLaw("world size", numbers, (Choice("nodes", values["nodes"], multiple_of=step, size="nodes"), *split))


def _nodes(values: Values) -> BrokenLaw | None:
    if values.get("nodes") is None:
        return _full_nodes(values)
    ranks, product = values["ranks"], values["nodes"] * values["ranks_per_node"]
    if ranks == product:
        return None
    numbers = f"{ranks} ranks, but {values['nodes']} nodes x {values['ranks_per_node']} ranks = {product}"
    nodes = RANKS_OF_NODES.solved("nodes", {**values, "nodes": None})
    lawful = () if nodes is None else (nodes,)
    return BrokenLaw("nodes", numbers, (Choice("nodes", values["nodes"], lawful, size="nodes"),))


def _batch(values: Values) -> BrokenLaw | None:
    step, batch = values["data"] * values["micro_batch"], values["global_batch"]
    if batch % step == 0:
        return None
    numbers = f"GBS {batch} does not split over DP {values['data']} x MBS {values['micro_batch']}"
    return BrokenLaw("batch", numbers, (Choice("global_batch", batch, multiple_of=step),))


def _full_nodes(values: Values) -> BrokenLaw | None:
    ranks, step = values["ranks"], values["ranks_per_node"]
    if ranks % step == 0:
        return None
    numbers = f"{ranks} ranks do not fill nodes of {step}"
    return BrokenLaw("nodes", numbers, (Choice("ranks", ranks, multiple_of=step, size="ranks"),))


_LAWS: tuple[LawRow, ...] = (
    (("ranks", *_OTHERS), _world_size),
    (("ranks", "ranks_per_node"), _nodes),
    (("global_batch", "data", "micro_batch"), _batch),
    *SPLIT_LAWS,
)
