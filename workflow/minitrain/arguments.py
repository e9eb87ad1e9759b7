"""The command line: Megatron's names, and the laws a layout must keep. Nothing here imports torch."""

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NoReturn


class ArgumentError(Exception):
    """Arguments that no run can satisfy; the message is one line: what, the numbers, the way out."""


@dataclass(frozen=True)
class Arguments:
    """One run: the model, the batch, the layout; checked on creation (ArgumentError).

    `world_size` is what the launcher started; `data_parallel_size` and `micro_batches` follow from it.
    """

    world_size: int
    num_layers: int
    hidden_size: int
    ffn_hidden_size: int
    num_attention_heads: int
    seq_length: int
    vocab_size: int
    micro_batch_size: int
    global_batch_size: int
    train_iters: int
    tensor_model_parallel_size: int
    pipeline_model_parallel_size: int
    pipeline_schedule: str
    num_layers_per_virtual_pipeline_stage: int | None
    recompute_granularity: str | None
    data_parallel_sharding_strategy: str
    lr: float
    seed: int
    bf16: bool
    log_interval: int
    distributed_timeout_minutes: int

    def __post_init__(self) -> None:
        _check_layout(self)
        _check_batch(self)

    @property
    def data_parallel_size(self) -> int:
        """Replicas of the model."""
        return self.world_size // (self.tensor_model_parallel_size * self.pipeline_model_parallel_size)

    @property
    def micro_batches(self) -> int:
        """Micro batches of one replica in one iteration."""
        return self.global_batch_size // (self.data_parallel_size * self.micro_batch_size)

    @property
    def stages(self) -> int:
        """Pieces the layers are cut into: pipeline ranks, times the chunks of each when interleaved."""
        return self.num_layers // (
            self.num_layers_per_virtual_pipeline_stage or self.num_layers // self.pipeline_model_parallel_size
        )

    @property
    def shards_data(self) -> bool:
        """Whether weights, gradients and Adam's moments are split over the replicas."""
        return self.data_parallel_sharding_strategy == "optim_grads_params" and self.data_parallel_size > 1


def _check_layout(given: Arguments) -> None:
    """Raise ArgumentError where the model or the ranks do not split."""
    tensor, pipeline = given.tensor_model_parallel_size, given.pipeline_model_parallel_size
    if given.world_size % (tensor * pipeline):
        raise ArgumentError(
            f"{given.world_size} ranks do not split into tensor {tensor} x pipeline {pipeline}; "
            f"start a multiple of {tensor * pipeline} ranks (torchrun --nproc-per-node, srun or mpirun -n)"
        )
    if given.hidden_size % given.num_attention_heads:
        raise _indivisible("--hidden-size", given.hidden_size, "--num-attention-heads", given.num_attention_heads)
    for name, value in (
        ("--num-attention-heads", given.num_attention_heads),
        ("--vocab-size", given.vocab_size),
        ("--ffn-hidden-size", given.ffn_hidden_size),
    ):
        if value % tensor:
            raise _indivisible(name, value, "--tensor-model-parallel-size", tensor)
    if given.num_layers % pipeline:
        raise _indivisible("--num-layers", given.num_layers, "--pipeline-model-parallel-size", pipeline)
    _check_chunks(given)


def _check_chunks(given: Arguments) -> None:
    """Raise ArgumentError where the interleaved schedule and its chunks do not go together."""
    chunk, pipeline = given.num_layers_per_virtual_pipeline_stage, given.pipeline_model_parallel_size
    if given.pipeline_schedule != "interleaved":
        if chunk is not None:
            raise ArgumentError(
                f"--num-layers-per-virtual-pipeline-stage {chunk} means nothing to schedule "
                f"{given.pipeline_schedule}; add --pipeline-schedule interleaved or leave it out"
            )
        return
    if pipeline == 1:
        raise ArgumentError(
            "--pipeline-schedule interleaved needs --pipeline-model-parallel-size 2 or more, not 1; use 1f1b"
        )
    if chunk is None:
        raise ArgumentError(
            "--pipeline-schedule interleaved needs --num-layers-per-virtual-pipeline-stage: "
            f"a divisor of {given.num_layers // pipeline} layers per rank, smaller than it"
        )
    if given.num_layers % (pipeline * chunk):
        raise _indivisible(
            "--num-layers",
            given.num_layers,
            f"--pipeline-model-parallel-size {pipeline} x --num-layers-per-virtual-pipeline-stage",
            chunk,
            pipeline * chunk,
        )


def _check_batch(given: Arguments) -> None:
    """Raise ArgumentError where the batch does not split over replicas, micro batches and stages."""
    share = given.data_parallel_size * given.micro_batch_size
    if given.global_batch_size % share:
        raise _indivisible(
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
    if given.pipeline_schedule == "interleaved" and count % pipeline:
        raise _indivisible("micro batches", count, "--pipeline-model-parallel-size", pipeline, scale=share)


def _indivisible(
    name: str, value: int, by_name: str, by_value: int, divisor: int | None = None, scale: int | None = None
) -> ArgumentError:
    """The error that `value` is no multiple of `divisor` (default `by_value`), with the nearest that are.

    `scale` turns micro batches into the global batch size to ask for.
    """
    divisor = divisor or by_value
    below, above = value // divisor * divisor, -(-value // divisor) * divisor
    nearest = " or ".join(str(n * (scale or 1)) for n in (below, above) if n)
    unit = "--global-batch-size " if scale else ""
    return ArgumentError(f"{name} {value} does not split over {by_name} {by_value}; nearest: {unit}{nearest}")


class _Parser(argparse.ArgumentParser):
    """An argument parser that raises ArgumentError where argparse would print: each rank would print the message."""

    def error(self, message: str) -> NoReturn:
        raise ArgumentError(f"{message}; see python -m minitrain --help")

    def add_number(
        self, name: str, *, required: bool = False, default: int | None = None, help: str | None = None
    ) -> None:
        """Add an option that takes a whole number of at least 1."""
        self.add_argument(name, type=_positive, metavar="N", required=required, default=default, help=help)


def _positive(text: str) -> int:
    """The whole number of at least 1 that a text states; argparse.ArgumentTypeError where it states none."""
    if not text.isdecimal() or int(text) == 0:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number of at least 1")
    return int(text)


def make_parser() -> argparse.ArgumentParser:
    """The parser of minitrain's command line."""
    parser = _Parser(prog="python -m minitrain", description=__doc__, allow_abbrev=False)
    for name in ("--num-layers", "--hidden-size", "--num-attention-heads", "--seq-length", "--vocab-size"):
        parser.add_number(name, required=True)
    parser.add_number("--ffn-hidden-size", help="default: 4 x hidden size")
    for name in ("--micro-batch-size", "--global-batch-size", "--train-iters"):
        parser.add_number(name, required=True, help="samples" if "batch" in name else None)
    parser.add_number("--tensor-model-parallel-size", default=1)
    parser.add_number("--pipeline-model-parallel-size", default=1)
    parser.add_argument("--pipeline-schedule", default="1f1b", choices=("1f1b", "gpipe", "interleaved"))
    parser.add_number("--num-layers-per-virtual-pipeline-stage", help="interleaved: layers of a chunk")
    parser.add_argument("--recompute-granularity", choices=("full",), help="absent: no recomputation")
    parser.add_argument(
        "--data-parallel-sharding-strategy", default="no_shard", choices=("no_shard", "optim_grads_params")
    )
    parser.add_argument("--lr", type=float, default=3e-4)
    parser.add_argument("--seed", type=int, default=1234)
    parser.add_argument("--bf16", action="store_true", help="matrix products in bfloat16, weights in float32")
    parser.add_number("--log-interval", default=1, help="iterations; times are means over it")
    parser.add_number("--distributed-timeout-minutes", default=10)
    parser.add_number("--local-ranks", help="start so many ranks on this machine, without a launcher")
    return parser


def local_ranks(argv: Sequence[str]) -> int | None:
    """How many ranks this process is to start by itself, None where a launcher starts them; raises ArgumentError."""
    count: int | None = make_parser().parse_args(argv).local_ranks
    return count


def read_arguments(argv: Sequence[str], world_size: int) -> Arguments:
    """The checked arguments of a run on `world_size` ranks; raises ArgumentError where no run can satisfy them."""
    given = vars(make_parser().parse_args(argv))
    del given["local_ranks"]
    given["ffn_hidden_size"] = given["ffn_hidden_size"] or 4 * given["hidden_size"]
    return Arguments(world_size=world_size, **given)
