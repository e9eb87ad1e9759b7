"""The laws that a model, a batch and a layout must keep together; what breaks one is refused in one line."""

from minitrain.arguments import ArgumentError, Arguments, indivisible


def check(given: Arguments) -> None:
    """Raise ArgumentError for arguments that no run can satisfy."""
    _check_ranks(given)
    _check_model(given)
    _check_experts(given)
    _check_context(given)
    _check_chunks(given)
    _check_batch(given)
    _check_sharding(given)
    _check_recomputation(given)


def _check_ranks(given: Arguments) -> None:
    """Ranks are tensor x pipeline x context x replicas."""
    tensor, pipeline, context = (
        given.tensor_model_parallel_size,
        given.pipeline_model_parallel_size,
        given.context_parallel_size,
    )
    product = tensor * pipeline * context
    if given.world_size % product:
        sizes = f"tensor {tensor} x pipeline {pipeline}" + (f" x context {context}" if context > 1 else "")
        raise ArgumentError(
            f"{given.world_size} ranks do not split into {sizes}; "
            f"start a multiple of {product} ranks (torchrun --nproc-per-node, srun or mpirun -n)"
        )


def _check_model(given: Arguments) -> None:
    """What is split over tensor and pipeline ranks divides, and so do heads over groups of them."""
    tensor = given.tensor_model_parallel_size
    heads, groups = given.num_attention_heads, given.num_query_groups
    if heads % groups:
        raise indivisible("--num-attention-heads", heads, "--num-query-groups", groups)
    splits = [
        ("--num-attention-heads", heads),
        ("--num-query-groups", groups),
        ("--vocab-size", given.vocab_size),
    ]
    if given.num_experts is None:
        splits.append(("--ffn-hidden-size", given.ffn_hidden_size))
    for name, value in splits:
        if value % tensor:
            raise indivisible(name, value, "--tensor-model-parallel-size", tensor)
    if given.num_layers % given.pipeline_model_parallel_size:
        raise indivisible(
            "--num-layers", given.num_layers, "--pipeline-model-parallel-size", given.pipeline_model_parallel_size
        )
    if given.position_embedding_type == "rope" and given.kv_channels % 2:
        raise ArgumentError(
            f"--position-embedding-type rope turns pairs, but a head is {given.kv_channels} wide; "
            f"nearest --kv-channels: {given.kv_channels - 1} or {given.kv_channels + 1}"
        )


def _check_experts(given: Arguments) -> None:
    """Experts are spread over ranks of a stage, and tokens over the tensor ranks that hold the same ones."""
    size, experts = given.expert_model_parallel_size, given.num_experts
    if experts is None:
        if size > 1:
            raise ArgumentError(
                f"--expert-model-parallel-size {size} without experts; add --num-experts or leave it out"
            )
        return
    if given.moe_router_topk > experts:
        raise ArgumentError(f"--moe-router-topk {given.moe_router_topk} is above --num-experts {experts}")
    if experts % size:
        raise indivisible("--num-experts", experts, "--expert-model-parallel-size", size)
    ranks = given.world_size // given.pipeline_model_parallel_size
    if ranks % size:
        raise indivisible("ranks of a stage", ranks, "--expert-model-parallel-size", size)
    tokens = given.micro_batch_size * given.seq_length // given.context_parallel_size
    if tokens % given.tensor_model_parallel_size:
        raise indivisible(
            "tokens of a micro batch", tokens, "--tensor-model-parallel-size", given.tensor_model_parallel_size
        )


def _check_context(given: Arguments) -> None:
    """Each of the ranks that share a sample has two pieces of it, an early one and a late one."""
    size = given.context_parallel_size
    if size > 1 and given.seq_length % (2 * size):
        raise indivisible("--seq-length", given.seq_length, "2 x --context-parallel-size", size, 2 * size)


def _check_chunks(given: Arguments) -> None:
    """Only some schedules have chunks, and these divide the layers of a rank."""
    chunk, pipeline = given.num_layers_per_virtual_pipeline_stage, given.pipeline_model_parallel_size
    schedule = given.pipeline_schedule
    if schedule not in ("interleaved", "zero-bubble"):
        if chunk is not None:
            raise ArgumentError(
                f"--num-layers-per-virtual-pipeline-stage {chunk} means nothing to schedule "
                f"{schedule}; add --pipeline-schedule interleaved or leave it out"
            )
        return
    if pipeline == 1:
        raise ArgumentError(
            f"--pipeline-schedule {schedule} needs --pipeline-model-parallel-size 2 or more, not 1; use 1f1b"
        )
    if schedule == "zero-bubble":
        _check_split_backward(given)
    if chunk is None and schedule == "interleaved":
        raise ArgumentError(
            "--pipeline-schedule interleaved needs --num-layers-per-virtual-pipeline-stage: "
            f"a divisor of {given.num_layers // pipeline} layers per rank, smaller than it"
        )
    if chunk is not None and given.num_layers % (pipeline * chunk):
        raise indivisible(
            "--num-layers",
            given.num_layers,
            f"--pipeline-model-parallel-size {pipeline} x --num-layers-per-virtual-pipeline-stage",
            chunk,
            pipeline * chunk,
        )


def _check_split_backward(given: Arguments) -> None:
    """A schedule that works out gradients of weights later than those of inputs goes through a layer twice."""
    if given.recompute_granularity == "full":
        raise ArgumentError(
            "--pipeline-schedule zero-bubble goes back through a layer twice, but torch recomputes a layer once; "
            "use --recompute-granularity selective or --pipeline-schedule interleaved"
        )
    if given.shards_data:
        raise ArgumentError(
            f"--pipeline-schedule zero-bubble leaves torch's FSDP ({given.sharding}) no gradients to share out; "
            "use --use-distributed-optimizer or --pipeline-schedule interleaved"
        )


def _check_batch(given: Arguments) -> None:
    """The batch splits over replicas, micro batches and stages."""
    share = given.data_parallel_size * given.micro_batch_size
    if given.global_batch_size % share:
        raise indivisible(
            "--global-batch-size",
            given.global_batch_size,
            f"data-parallel {given.data_parallel_size} x --micro-batch-size",
            given.micro_batch_size,
            share,
        )
    count, pipeline = given.micro_batches, given.pipeline_model_parallel_size
    if given.pipeline_schedule == "1f1b" and count < pipeline:
        raise ArgumentError(
            f"{count} micro batches do not fill {pipeline} pipeline stages; "
            f"--global-batch-size {share * pipeline} or more, or --pipeline-schedule gpipe"
        )
    if given.pipeline_schedule in ("interleaved", "zero-bubble") and count % pipeline:
        raise indivisible("micro batches", count, "--pipeline-model-parallel-size", pipeline, scale=share)


def _check_sharding(given: Arguments) -> None:
    """Groups that share out each all of the weights are groups of replicas."""
    groups, strategy = given.num_distributed_optimizer_instances, given.data_parallel_sharding_strategy
    if groups == 1:
        return
    if strategy != "optim_grads_params":
        raise ArgumentError(
            f"--num-distributed-optimizer-instances {groups} means nothing to sharding strategy {strategy}; "
            "add --data-parallel-sharding-strategy optim_grads_params or leave it out"
        )
    if given.data_parallel_size % groups:
        raise indivisible("data-parallel", given.data_parallel_size, "--num-distributed-optimizer-instances", groups)
    if given.num_experts is not None and given.expert_copies % groups:
        raise indivisible("copies of an expert", given.expert_copies, "--num-distributed-optimizer-instances", groups)


def _check_recomputation(given: Arguments) -> None:
    """Which layers are recomputed is a question of whole layers."""
    layers, per_stage = given.recompute_num_layers, given.num_layers // given.stages
    if given.recompute_granularity != "full" and (given.recompute_method or layers):
        raise ArgumentError(
            "--recompute-method and --recompute-num-layers choose whole layers; add --recompute-granularity full"
        )
    if given.recompute_method == "block" and (layers is None or layers > per_stage):
        raise ArgumentError(
            f"--recompute-method block needs --recompute-num-layers from 1 to {per_stage}, the layers of a stage"
        )
    if given.recompute_method != "block" and layers not in (None, 1):
        raise ArgumentError(
            f"--recompute-num-layers {layers} needs --recompute-method block; uniform takes each layer by itself"
        )
