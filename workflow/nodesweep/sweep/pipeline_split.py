"""How the layers of a model are split over pipeline stages and their chunks.

Chunks are in the order of the model: chunk i is of stage i mod PP, as Megatron-LM interleaves them. By default layers
must divide; a workload's `training` may say otherwise. Rules and their laws are those of Megatron-LM core 0.12 to 0.19
(`get_num_layers_to_build`, `TransformerConfig`); `balanced_stages` is torchtitan's and DeepSpeed's way.
"""

from nodesweep.config.pipeline_layout import chunks_of
from nodesweep.config.training import Training

from .broken_law import BrokenLaw, Choice

ChunkLayers = tuple[int, ...]
"""Layers of each chunk."""


def chunk_layers(layers: int, pipeline: int, chunks: int, training: Training) -> ChunkLayers | BrokenLaw:
    """Layers of every chunk, `chunks` in each of the stages; the law that is broken where they cannot be split so.

    >>> chunk_layers(126, 8, 4, Training(embedding_as_layer=True, loss_as_layer=True))[:2]  # 128 / 32, with embedding
    (3, 4)
    >>> chunk_layers(61, 16, 1, Training(pipeline_layout="Et*4|(t*4|)*14,tL"))[-1]
    1
    >>> chunk_layers(94, 8, 1, Training()).numbers
    '94 layers do not split over PP 8'
    """
    if training.pipeline_layout is not None:
        return _by_layout(layers, pipeline, chunks, training.pipeline_layout)
    if training.first_stage_layers or training.last_stage_layers:
        return _by_ends(layers, pipeline, chunks, training)
    counted = [int(training.embedding_as_layer), int(training.loss_as_layer)]
    total, wanted = layers + sum(counted), pipeline * chunks
    if not training.balanced_stages and (broken := _uneven(layers, counted, pipeline, chunks)):
        return broken
    if total < wanted:
        return BrokenLaw(
            "layers", f"{_counted(layers, counted)} are fewer than PP {pipeline} x VPP {chunks} = {wanted}"
        )
    each, more = divmod(total, wanted)
    found = [each + (chunk < more) for chunk in range(wanted)]
    found[0] -= counted[0]
    found[-1] -= counted[1]
    return tuple(found)


def stage_layers(chunks: ChunkLayers, pipeline: int) -> ChunkLayers:
    """Layers of each stage by those of its chunks.

    >>> stage_layers((3, 4, 4, 3), 2)
    (7, 7)
    """
    return tuple(sum(chunks[stage::pipeline]) for stage in range(pipeline))


def _counted(layers: int, counted: list[int]) -> str:
    """The layers in words, with what counts as one."""
    words = [word for word, is_one in zip(("embedding", "loss"), counted, strict=True) if is_one]
    return f"{layers} layers" + (f" with {' and '.join(words)}, {layers + sum(counted)}," if words else "")


def _uneven(layers: int, counted: list[int], pipeline: int, chunks: int) -> BrokenLaw | None:
    """The law that layers divide over stages, and those of a stage over its chunks."""
    of_stage, left = divmod(layers + sum(counted), pipeline)
    if left:
        law, choice = "layers", Choice("pipeline", pipeline, divides=layers + sum(counted))
        numbers = f"{_counted(layers, counted)} do not split over PP {pipeline}"
    elif of_stage % chunks:
        law, choice = "virtual stages", Choice("virtual_pipeline", chunks, divides=of_stage)
        numbers = f"the {of_stage} layers of a stage do not split over VPP {chunks}"
    else:
        return None
    with_two_more = not any(counted) and (layers + 2) % (pipeline * chunks) == 0
    more = "count two more: embedding_as_layer and loss_as_layer of workload.training" if with_two_more else ""
    return BrokenLaw(law, numbers, (choice,), or_else=more)


def _by_ends(layers: int, pipeline: int, chunks: int, training: Training) -> ChunkLayers | BrokenLaw:
    """The first and the last stage as they are given, the others with even shares of the rest."""
    first, last = training.first_stage_layers, training.last_stage_layers
    given = [number for number in (first, last) if number is not None]
    middle, rest = pipeline - len(given), layers - sum(given)
    said = f"first_stage_layers {first}" if last is None else f"last_stage_layers {last}"
    if len(given) > 1:
        said = f"first_stage_layers {first} and last_stage_layers {last}"
    if rest < 0 or middle < 0 or bool(rest) != bool(middle) or (middle and rest % middle):
        left = f"the {max(rest, 0)} others do not split over {max(middle, 0)} stages"
        return BrokenLaw("layers", f"{layers} layers, {said}: {left}", in_config="change one of them, or the PP")
    share = rest // middle if middle else 0
    stages = [share] * pipeline
    if first is not None:
        stages[0] = first
    if last is not None:
        stages[-1] = last
    if any(number % chunks for number in stages):
        odd = next(number for number in stages if number % chunks)
        numbers = f"the {odd} layers of a stage do not split over VPP {chunks}"
        return BrokenLaw("virtual stages", numbers, (Choice("virtual_pipeline", chunks, divides=odd),))
    return tuple(stages[at % pipeline] // chunks for at in range(pipeline * chunks))


def _by_layout(layers: int, pipeline: int, chunks: int, layout: str) -> ChunkLayers | BrokenLaw:
    """The layers of each chunk as a layout has them."""
    parts, wanted = chunks_of(layout), pipeline * chunks
    shown = f"pipeline_layout {layout:.60}"
    if len(parts) != wanted:
        numbers = f"{shown} has {len(parts)} chunks, but PP {pipeline} x VPP {chunks} = {wanted}"
        fits = len(parts) % pipeline == 0
        way_out = f"set virtual_pipeline: {len(parts) // pipeline}" if fits else "give it as many chunks"
        return BrokenLaw("pipeline layout", numbers, in_config=way_out)
    found = tuple(part.count("t") for part in parts)
    if sum(found) != layers:
        return BrokenLaw("pipeline layout", f"{shown} has {sum(found)} layers, the model {layers}")
    return found
