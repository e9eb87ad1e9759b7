"""The model spread over the ranks: stages of the pipeline, split (tensor), sharded (FSDP) and initialised."""

import torch
from torch import nn

from minitrain.arguments import Arguments
from minitrain.distributed_tensors import is_distributed, local
from minitrain.grid import Grid, make_links
from minitrain.model import Mixture, Stage, initial_value


def build_stages(given: Arguments, grid: Grid) -> list[Stage]:
    """This rank's stages, split, on the device and initialised: one stage, or several when interleaved."""
    indices = range(grid.index("pipeline"), given.stages, grid.sizes["pipeline"])
    split = grid.sizes["tensor"] > 1 or given.shards_data
    links = make_links(given, grid)
    with torch.device("meta") if split else grid.device:
        stages = [Stage(given, index, links) for index in indices]
    for stage in stages:
        if given.bf16 and not given.shards_data:
            stage.to(torch.bfloat16)
        if grid.sizes["tensor"] > 1:
            split_tensors(given, stage, grid)
        recompute_layers(stage, given.recomputed_layers)
        if given.shards_data:
            shard_over_copies(given, stage, grid)
        if split:
            stage.to_empty(device=grid.device)
        initialise(stage, given)
    return stages


def split_tensors(given: Arguments, stage: Stage, grid: Grid) -> None:
    """Split a stage for tensor parallelism: columns then rows in each half of a layer, the head by vocabulary.

    The embedding is split by hidden size: split by vocabulary, DTensor would make its gradient whole on every rank.
    Experts are whole: tensor ranks send them other tokens.
    """
    import torch._dynamo  # noqa: F401  DTensor loads it on first use: better now than in iteration 1
    from torch.distributed.tensor import Replicate, Shard
    from torch.distributed.tensor.parallel import ColwiseParallel, RowwiseParallel, parallelize_module

    plan = {"layers.*.attention.qkv": ColwiseParallel(), "layers.*.attention.projection": RowwiseParallel()}
    if not given.num_experts:
        plan |= {"layers.*.mlp.up": ColwiseParallel(), "layers.*.mlp.down": RowwiseParallel()}
        plan |= {"layers.*.mlp.gate": ColwiseParallel()} if given.swiglu else {}
    if stage.embedding is not None:
        plan["embedding.tokens"] = ColwiseParallel(output_layouts=Replicate())
    if stage.head is not None:
        plan["head.output"] = ColwiseParallel(output_layouts=Shard(-1), use_local_output=False)
    parallelize_module(stage, grid.submesh("tensor"), plan, src_data_rank=None)


def recompute_layers(stage: Stage, count: int) -> None:
    """Recompute the activations of the first layers of a stage (torch's non-reentrant checkpoint, as a module's)."""
    if count == 0:
        return
    import torch._dynamo  # noqa: F401  checkpoint loads it on first use: better now than in iteration 1
    from torch.distributed._composable.checkpoint_activation import checkpoint

    for layer in list(stage.layers.values())[:count]:
        checkpoint(layer, preserve_rng_state=False)


def shard_over_copies(given: Arguments, stage: Stage, grid: Grid) -> None:
    """Shard a stage by FSDP2, which gathers each layer when it is needed and the rest of the stage together.

    With ZeRO 2 what is gathered stays until the backward pass is done. Experts have copies of their own, whose
    gradients are divided by those of all else: by what the loss is the mean over.
    """
    from torch.distributed.fsdp import FSDPModule, MixedPrecisionPolicy, fully_shard

    policy = MixedPrecisionPolicy(torch.bfloat16, torch.float32) if given.bf16 else MixedPrecisionPolicy()
    again = given.sharding != "zero2"
    mesh, of_experts = grid.shards("data", "context"), grid.shards("expert_data") if given.num_experts else None
    for layer in stage.layers.values():
        if isinstance(layer.mlp, Mixture):
            experts: nn.Module = layer.mlp.experts
            fully_shard(experts, mesh=of_experts, mp_policy=policy, reshard_after_forward=again)
            assert isinstance(experts, FSDPModule), "fully_shard makes the experts an FSDPModule"
            experts.set_gradient_divide_factor(given.copies)
            # gloo cannot scale a sum on the way; a group of one is divided twice then
            if grid.sizes["expert_data"] > 1:
                experts.set_force_sum_reduction_for_comms(True)
        fully_shard(layer, mesh=mesh, mp_policy=policy, reshard_after_forward=again)
    fully_shard(stage, mesh=mesh, mp_policy=policy, reshard_after_forward=again)


@torch.no_grad()
def initialise(stage: Stage, given: Arguments) -> None:
    """Give each parameter its initial value, one whole parameter in memory at a time."""
    for name, parameter in stage.named_parameters():
        value = initial_value(name, parameter.shape, given)
        if is_distributed(parameter):
            from torch.distributed.tensor import distribute_tensor

            value = distribute_tensor(
                value.to(parameter.device), parameter.device_mesh, parameter.placements, src_data_rank=None
            )
        local(parameter).copy_(local(value))
