"""What follows from the fields of a layout, the laws they must obey, and how they are written in short."""

import math
from collections.abc import Callable, Mapping
from typing import Any

from .fields import Values, Word, Words


def completed(values: Values) -> tuple[Values, Words]:
    """The values and what follows from them, and how; each rank is a node where nothing says otherwise."""
    known, words = dict(values), Words()
    ways: tuple[tuple[str, tuple[str, ...], Callable[..., int | None]], ...] = (
        ("data", ("replicas", "shards"), _product),
        ("ranks", ("nodes", "ranks_per_node"), _product),
        ("ranks", ("data", "tensor", "pipeline", "context"), _product),
        ("data", ("ranks", "tensor", "pipeline", "context"), _quotient),
        ("ranks_per_node", ("ranks", "nodes"), _quotient),
        ("nodes", ("ranks", "ranks_per_node"), _quotient),
        ("global_batch", ("micro_batch", "data", "accumulation"), _product),
    )
    if known.get("pipeline") == 1 and "local_batch" in known:
        known.setdefault("micro_batch", known["local_batch"])  # with more stages it is cut into micro batches
        words["micro_batch"] = Word("the local batch, which a single stage takes whole")
    for name, sources, follow in ways:
        numbers = [known.get(source, 1 if source == "context" else None) for source in sources]
        if name not in known and None not in numbers and (value := follow(*numbers)) is not None:
            known[name] = value
            shown = [f"{source} {number}" for source, number in zip(sources, numbers, strict=True) if source in known]
            words[name] = Word((" / " if follow is _quotient else " x ").join(shown))
    if "ranks" in known and "nodes" not in known and "ranks_per_node" not in known:
        known |= {"nodes": known["ranks"], "ranks_per_node": 1}
        words |= dict.fromkeys(("nodes", "ranks_per_node"), Word("unknown, so each rank is taken for a node"))
    return known, words


def broken_laws(values: Values) -> list[str]:
    """A sentence for each law that the values do not obey, as far as they are known."""
    known = {"context": 1, **values}
    laws: tuple[tuple[tuple[str, ...], Callable[..., str | None]], ...] = (
        (("ranks", "data", "tensor", "pipeline", "context"), _world_size),
        (("ranks", "nodes", "ranks_per_node"), _nodes),
        (("ranks", "ranks_per_node"), lambda *sizes: _split(*sizes, "{} ranks do not fill nodes of {}")),
        (("global_batch", "data", "micro_batch"), _batch),
        (
            ("hidden_size", "attention_heads"),
            lambda *sizes: _split(*sizes, "hidden size {} does not split over {} heads"),
        ),
        (("attention_heads", "tensor"), lambda *sizes: _split(*sizes, "{} heads do not split over MP {}")),
        (("layers", "pipeline"), lambda *sizes: _split(*sizes, "{} layers do not split over PP {}")),
    )
    checked = [law(*(known[name] for name in names)) for names, law in laws if all(name in known for name in names)]
    return [sentence for sentence in checked if sentence]


def text_of(values: Mapping[str, Any]) -> str:
    """The layout as a slug has it, `?` for what is unknown."""
    short = {
        **{"n": "nodes", "dp": "data", "mp": "tensor", "pp": "pipeline"},
        **{"mbs": "micro_batch", "gbs": "global_batch", "s": "sequence_length"},
    }
    recomputes = {True: "-ac", False: "", None: "-ac?"}[values.get("activation_checkpointing")]
    clock = f"-{values['frequency_ghz']:g}ghz" if "frequency_ghz" in values else ""
    return "-".join(f"{letters}{values.get(name, '?')}" for letters, name in short.items()) + recomputes + clock


def _product(*numbers: int) -> int:
    return math.prod(numbers)


def _quotient(whole: int, *parts: int) -> int | None:
    number, rest = divmod(whole, math.prod(parts))
    return number if number and not rest else None


def _world_size(ranks: int, data: int, tensor: int, pipeline: int, context: int) -> str | None:
    words = f"DP {data} x MP {tensor} x PP {pipeline}" + (f" x CP {context}" if context > 1 else "")
    product = data * tensor * pipeline * context
    return f"{ranks} ranks, but {words} = {product}" if ranks != product else None


def _nodes(ranks: int, nodes: int, ranks_per_node: int) -> str | None:
    if nodes * ranks_per_node == ranks:
        return None
    return f"{ranks} ranks, but {nodes} nodes x {ranks_per_node} ranks = {nodes * ranks_per_node}"


def _batch(global_batch: int, data: int, micro_batch: int) -> str | None:
    whole = global_batch % (data * micro_batch) == 0
    return None if whole else f"GBS {global_batch} does not split over DP {data} x MBS {micro_batch}"


def _split(whole: int, parts: int, sentence: str) -> str | None:
    return sentence.format(whole, parts) if whole % parts else None
