"""The laws between a model and the way it is split, each over values of which some may be unknown.

A law holds only for models that have the part it speaks of. Where trainers differ, a layout is lawful that one of them
runs: Megatron-LM core 0.12 to 0.19, DeepSpeed, torchtitan.
"""

from nodesweep.config.pipeline_layout import chunks_of
from nodesweep.config.training import Training

from .broken_law import BrokenLaw, Choice, LawRow, Values
from .pipeline_split import ChunkLayers, chunk_layers, stage_layers


def _split(law: str, whole: str, parts: str) -> LawRow:
    """The law that a size of the model splits evenly over a parallel size; `law` is also what the size is called."""

    def check(values: Values) -> BrokenLaw | None:
        size, over = values[whole], values[parts]
        if size % over == 0:
            return None
        numbers = f"{size} {law} do not" if law.endswith("s") else f"{law} {size} does not"
        choice = Choice(parts, over, divides=size)
        return BrokenLaw(law, f"{numbers} split over {choice.called} {over}", (choice,))

    return (whole, parts), check


def _hidden_size(values: Values) -> BrokenLaw | None:
    hidden, heads = values["hidden_size"], values["attention_heads"]
    if hidden % heads == 0 or values.get("head_width") is not None or values.get("other_parts"):
        return None
    numbers = f"hidden size {hidden} does not split over {heads} heads"
    return BrokenLaw("hidden size", numbers, (Choice("hidden_size", hidden, multiple_of=heads, size="hidden size"),))


def chunks_in(values: Values) -> ChunkLayers | BrokenLaw:
    """Layers of every chunk of the pipeline, by what is known of how they are split."""
    training = values.get("training") or Training()
    return chunk_layers(values["layers"], values["pipeline"], values.get("virtual_pipeline") or 1, training)


def _layers(values: Values) -> BrokenLaw | None:
    """Layers split over stages and their chunks; a model of other parts than layers has a way of its own."""
    if values.get("other_parts"):
        return None
    found = chunks_in(values)
    if isinstance(found, BrokenLaw):
        return found
    layout, ahead = (values.get("training") or Training()).pipeline_layout, values.get("prediction_layers")
    placed = "".join(chunks_of(layout)).count("m") if layout else ahead
    if ahead is None or placed == ahead:
        return None
    way_out = "write an m for each, in one chunk after the last layer"
    numbers = f"pipeline_layout {layout:.60} has {placed} prediction layers (m), the model {ahead}"
    return BrokenLaw("pipeline layout", numbers, in_config=way_out)


def _interleaving(values: Values) -> BrokenLaw | None:
    """Several chunks a stage need several stages, and groups of micro batches that are no shorter than the pipeline."""
    chunks, stages = values["virtual_pipeline"], values["pipeline"]
    if chunks == 1:
        return None
    if stages == 1:
        numbers = f"VPP {chunks}, but PP 1: one stage has nothing to take turns with"
        return BrokenLaw("virtual stages", numbers, (Choice("virtual_pipeline", chunks, (1,)),))
    step = (values.get("data") or 0) * (values.get("micro_batch") or 0)
    batch = values.get("global_batch")
    if not step or batch is None or batch % step:
        return None
    count = batch // step
    training = values.get("training") or Training()
    group = training.micro_batch_group or stages
    left = count % group
    if group < stages:
        choice = Choice("micro_batch_group", group, (stages,), size="micro_batch_group")
        return BrokenLaw("micro batches", f"micro_batch_group {group} is below PP {stages}", (choice,))
    if count >= group and (left == 0 or left >= stages):
        return None
    numbers = f"{count} micro batches do not split into groups of {'PP ' if group == stages else ''}{group}"
    more = f"set training.micro_batch_group: {count}" if count > stages and not training.micro_batch_group else ""
    choice = Choice("global_batch", batch, multiple_of=step * group)
    return BrokenLaw("micro batches", numbers, (choice,), or_else=more)


def _feed_forward(values: Values) -> BrokenLaw | None:
    """The width of feed-forward blocks, where a layer has one and not experts alone."""
    experts_alone = values.get("experts") and not values.get("first_dense_layers")
    if experts_alone and (values.get("expert_layer_interval") or 1) == 1:
        return None
    return _split("feed-forward width", "ffn_hidden_size", "tensor")[1](values)


def _kv_heads(values: Values) -> BrokenLaw | None:
    """Heads of k and v split over TP, or TP over them: Megatron-LM core copies them since 0.16 where TP is more."""
    heads, tensor = values["kv_heads"], values["tensor"]
    if heads % tensor == 0 or tensor % heads == 0 or values.get("kv_lora_rank"):
        return None
    numbers = f"{heads} heads of k and v do not split over MP {tensor}"
    return BrokenLaw("kv heads", numbers, (Choice("tensor", tensor, divides=heads, multiple_of=heads),))


def _experts(values: Values) -> BrokenLaw | None:
    """Only experts are spread by EP and split by ETP; they divide over EP."""
    size, experts = values["expert"], values["experts"]
    if not experts:
        named = next((name for name in ("expert", "expert_tensor") if (values.get(name) or 1) > 1), None)
        if named is None or values.get("other_parts"):
            return None  # other parts may have experts of their own
        choice = Choice(named, values[named], (1,))
        return BrokenLaw("experts", f"{choice.called} {values[named]}, but the model has no experts", (choice,))
    if experts % size == 0:
        return None
    numbers = f"{experts} experts do not split over EP {size}"
    return BrokenLaw("experts", numbers, (Choice("expert", size, divides=experts),))


def _expert_grid(values: Values) -> BrokenLaw | None:
    """The ranks of a stage hold whole grids of EP x ETP, whatever TP, CP and DP are."""
    ranks, stages = values["ranks"], values["pipeline"]
    size, tensor = values["expert"], values["expert_tensor"]
    if ranks % stages or (ranks // stages) % (size * tensor) == 0:
        return None
    of_stage = ranks // stages
    numbers = f"{ranks} ranks / PP {stages} = {of_stage} do not split over EP {size}"
    numbers += f" x ETP {tensor} = {size * tensor}" if tensor > 1 else ""
    spread = Choice("expert", size, divides=of_stage // tensor if of_stage % tensor == 0 else 0)
    split = Choice("expert_tensor", tensor, divides=of_stage // size if of_stage % size == 0 else 0)
    return BrokenLaw("expert grid", numbers, (spread, split))


def _sequence(values: Values) -> BrokenLaw | None:
    """A rank has two pieces of each sample under CP, and sequence parallelism splits its tokens over TP."""
    sequence, context = values["sequence_length"], values["context"]
    tensor = values.get("tensor") or 1
    step = (2 if context > 1 else 1) * context * (tensor if values.get("sequence_parallel") else 1)
    if context > 1 and sequence % (2 * context):
        numbers = f"sequence {sequence} does not split into 2 x CP {context} = {2 * context} pieces"
        return BrokenLaw("sequence", numbers, (_other_sequence(sequence, step),))
    if not values.get("sequence_parallel") or sequence % (context * tensor) == 0:
        return None
    numbers = f"sequence {sequence} / CP {context} = {sequence // context} does not split over MP {tensor}"
    numbers = numbers if context > 1 else f"sequence {sequence} does not split over MP {tensor}"
    return BrokenLaw("sequence", f"{numbers} by sequence parallelism", (_other_sequence(sequence, step),))


def _other_sequence(sequence: int, step: int) -> Choice:
    return Choice("sequence_length", sequence, multiple_of=step, size="sequence")


def _positions(values: Values) -> BrokenLaw | None:
    """A table of learned positions has an entry for each token of a sample."""
    sequence, positions = values["sequence_length"], values["max_positions"]
    if values.get("positions") != "learned" or sequence <= positions:
        return None
    numbers = f"sequence {sequence} is longer than the model's {positions} learned positions"
    return BrokenLaw("positions", numbers, (Choice("sequence_length", sequence, (positions,), size="sequence"),))


def _recomputation(values: Values) -> BrokenLaw | None:
    """The two fields that tell of recomputation agree."""
    checkpointing, recomputed = values["activation_checkpointing"], values["recomputation"]
    if checkpointing == (recomputed != "none"):
        return None
    numbers = f"activation_checkpointing {'on' if checkpointing else 'off'}, but recomputation {recomputed}"
    return BrokenLaw("recomputation", numbers, in_config="leave one of them out")


def _recomputed_layers(values: Values) -> BrokenLaw | None:
    """What is recomputed are layers of a stage."""
    count = values["recomputed_layers"]
    if values.get("activation_checkpointing") is False:
        numbers = f"recomputed_layers {count}, but nothing is recomputed"
        return BrokenLaw(
            "recomputed layers", numbers, in_config="set recomputation: full, or leave recomputed_layers out"
        )
    found = chunks_in(values)
    if isinstance(found, BrokenLaw) or values.get("other_parts"):
        return None
    most = max(stage_layers(found, values["pipeline"]))
    if count <= most:
        return None
    numbers = f"recomputed_layers {count}, but a stage has {most} layers"
    choice = Choice("recomputed_layers", count, tuple(range(1, most + 1)), size="recomputed layers")
    return BrokenLaw("recomputed layers", numbers, (choice,))


def _sharding(values: Values) -> BrokenLaw | None:
    """Hybrid sharding has groups, which divide the ranks that hold copies: DP, and CP with it."""
    sharding, group = values["sharding"], values.get("sharding_group")
    if group is None:
        numbers = "sharding hsdp without sharding_group"
        way_out = "give the ranks that share one copy, such as those of a node; or set sharding: zero3"
        return BrokenLaw("sharding", numbers, in_config=way_out) if sharding == "hsdp" else None
    if sharding == "none":
        numbers = f"sharding_group {group}, but sharding none"
        return BrokenLaw("sharding", numbers, in_config="set sharding: hsdp, or leave sharding_group out")
    if (data := values.get("data")) is None:
        return None
    copies = data * (values.get("context") or 1)
    if copies % group == 0:
        return None
    said = f"DP {data}" if copies == data else f"DP {data} x CP {copies // data} = {copies}"
    choice = Choice("sharding_group", group, divides=copies, size="sharding_group")
    return BrokenLaw("sharding", f"{said} does not split into groups of {group}", (choice,))


SPLIT_LAWS: tuple[LawRow, ...] = (
    (("hidden_size", "attention_heads"), _hidden_size),
    (("layers", "pipeline"), _layers),
    (("virtual_pipeline", "pipeline"), _interleaving),
    _split("attention heads", "attention_heads", "tensor"),
    (("kv_heads", "tensor"), _kv_heads),
    (("ffn_hidden_size", "tensor"), _feed_forward),
    (("expert", "experts"), _experts),
    (("ranks", "pipeline", "expert", "expert_tensor"), _expert_grid),
    _split("expert width", "expert_ffn_hidden_size", "expert_tensor"),
    _split("shared expert width", "shared_expert_ffn_hidden_size", "tensor"),
    (("sequence_length", "context"), _sequence),
    (("sequence_length", "max_positions"), _positions),
    (("activation_checkpointing", "recomputation"), _recomputation),
    (("recomputed_layers", "layers", "pipeline"), _recomputed_layers),
    (("sharding",), _sharding),
)
