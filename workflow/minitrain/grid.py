"""The ranks as a grid: pipeline, replicas, context and tensor parallelism, and experts over the ranks of a stage."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

import torch
import torch.distributed as dist
from torch.distributed.device_mesh import DeviceMesh, init_device_mesh

from minitrain.arguments import Arguments
from minitrain.exchange import Links, masks_of, places_of, rotations
from minitrain.launch import LaunchError, Place


@dataclass(frozen=True)
class Grid:
    """This rank in the grid pipeline x group x data x context x tensor, tensor fastest (Megatron's order).

    Replicas are group x data: groups share out their weights each for itself (HSDP), else there is one. Experts see
    the ranks of a stage as expert_group x expert_data x expert. Both meshes have the dimensions of more than one rank
    only, and those that FSDP asks for; they are None on a single rank, and `experts` where there are none.
    """

    rank: int
    device: torch.device
    sizes: dict[str, int]
    mesh: DeviceMesh | None
    experts: DeviceMesh | None

    def index(self, dimension: str) -> int:
        """This rank's coordinate in a dimension."""
        if self.mesh is None or self.sizes[dimension] == 1:
            return 0
        return self.mesh.get_local_rank(dimension)

    @property
    def replica(self) -> int:
        """Which of the replicas this rank is in."""
        return self.index("group") * self.sizes["data"] + self.index("data")

    def submesh(self, *dimensions: str) -> DeviceMesh:
        """This rank and the ranks that differ from it in these dimensions alone; ValueError on a single rank."""
        mesh = self.experts if dimensions[0].startswith("expert") else self.mesh
        if mesh is None:
            raise ValueError(f"a single rank has no other ranks along the dimension {dimensions[0]}")
        kept = tuple(name for name in dimensions if name in (mesh.mesh_dim_names or ()))
        return mesh[kept[0]] if len(kept) == 1 else mesh[kept]._flatten("_".join(kept))

    def shards(self, *dimensions: str) -> DeviceMesh:
        """The ranks along these dimensions over which FSDP shards, and before them the groups that do so (HSDP)."""
        shards, groups = self.submesh(*dimensions), "expert_group" if dimensions[0].startswith("expert") else "group"
        if self.sizes[groups] == 1:
            return shards
        mesh = self.experts if dimensions[0].startswith("expert") else self.mesh
        assert mesh is not None and shards.mesh_dim_names is not None, "a mesh of named dimensions has shards"
        return mesh[(groups, *shards.mesh_dim_names)]

    def group(self, *dimensions: str) -> dist.ProcessGroup | None:
        """Ranks that differ from this one in these dimensions alone; None where that is this rank alone."""
        if math.prod(self.sizes[name] for name in dimensions) == 1:
            return None
        return self.submesh(*dimensions).get_group()

    @property
    def first_stage(self) -> bool:
        """Whether this rank holds the embedding."""
        return self.index("pipeline") == 0

    @property
    def last_stage(self) -> bool:
        """Whether this rank holds the head, and so computes the loss."""
        return self.index("pipeline") == self.sizes["pipeline"] - 1


DIMENSIONS = ("pipeline", "group", "data", "context", "tensor")
OF_EXPERTS = ("pipeline", "expert_group", "expert_data", "expert")


def make_grid(given: Arguments, place: Place) -> Grid:
    """Connect to the other ranks and arrange all of them in the grid."""
    groups = given.num_distributed_optimizer_instances
    sizes = {
        "pipeline": given.pipeline_model_parallel_size,
        "group": groups,
        "data": given.data_parallel_size // groups,
        "context": given.context_parallel_size,
        "tensor": given.tensor_model_parallel_size,
        "expert_group": groups,
        "expert_data": given.expert_copies // groups,
        "expert": given.expert_model_parallel_size,
    }
    device = torch.device("cpu")
    if torch.cuda.is_available():
        device = torch.device("cuda", place.local_rank % torch.cuda.device_count())
        torch.cuda.set_device(device)
    if place.world_size == 1:
        return Grid(rank=0, device=device, sizes=sizes, mesh=None, experts=None)
    _connect(given, place, "nccl" if device.type == "cuda" else "gloo")
    kept = {name for name, size in sizes.items() if size > 1}
    if given.shards_data:
        kept |= {"data", "expert_data"}
    mesh = _mesh(device, sizes, [name for name in DIMENSIONS if name in kept])
    of_experts = [name for name in OF_EXPERTS if name in kept] if given.num_experts else []
    experts = _mesh(device, sizes, of_experts) if of_experts else None
    return Grid(rank=place.rank, device=device, sizes=sizes, mesh=mesh, experts=experts)


def _connect(given: Arguments, place: Place, backend: str) -> None:
    """Meet the other ranks; LaunchError where rank 0 cannot listen, or is not reached."""
    try:
        dist.init_process_group(
            backend,
            init_method=f"tcp://{place.address}:{place.port}",
            rank=place.rank,
            world_size=place.world_size,
            timeout=timedelta(minutes=given.distributed_timeout_minutes),
        )
    except dist.DistNetworkError as error:
        reason = str(error).partition("\n")[0]
        raise LaunchError(
            f"rank {place.rank} does not meet the others at {place.address}, port {place.port}: {reason}; "
            "export MASTER_ADDR and a MASTER_PORT that is free there to all ranks"
        ) from error


def _mesh(device: torch.device, sizes: dict[str, int], names: Sequence[str]) -> DeviceMesh:
    """All ranks, arranged by these dimensions, the last one fastest."""
    return init_device_mesh(device.type, tuple(sizes[name] for name in names), mesh_dim_names=tuple(names))


def make_links(given: Arguments, grid: Grid) -> Links:
    """What this rank's layers must know of other ranks."""
    length, size, index = given.seq_length, given.context_parallel_size, grid.index("context")
    places = places_of(length, size, index).to(grid.device)
    dtype = torch.bfloat16 if given.bf16 else torch.float32
    rotary = given.position_embedding_type == "rope"
    return Links(
        context=grid.group("context"),
        expert=grid.group("expert"),
        tensor=grid.group("tensor"),
        places=places if size > 1 else None,
        rotation=rotations(places, given.kv_channels, dtype) if rotary else None,
        masks=tuple(mask.to(grid.device) for mask in masks_of(length, size, index)) if size > 1 else (),
    )
