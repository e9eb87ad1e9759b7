"""The command line: Megatron's names, and the laws a layout must keep. Nothing here imports torch."""

import argparse
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NoReturn

MOST_SEED = 2**32
"""The largest seed: torch takes 64 bits, of which the number of a sample needs some."""


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
    num_query_groups: int
    kv_channels: int
    swiglu: bool
    position_embedding_type: str
    normalization: str
    add_bias_linear: bool
    add_qkv_bias: bool
    num_experts: int | None
    moe_router_topk: int
    moe_ffn_hidden_size: int
    seq_length: int
    vocab_size: int
    micro_batch_size: int
    global_batch_size: int
    train_iters: int
    tensor_model_parallel_size: int
    pipeline_model_parallel_size: int
    pipeline_schedule: str
    num_layers_per_virtual_pipeline_stage: int | None
    context_parallel_size: int
    expert_model_parallel_size: int
    recompute_granularity: str | None
    recompute_method: str | None
    recompute_num_layers: int | None
    use_distributed_optimizer: bool
    data_parallel_sharding_strategy: str
    num_distributed_optimizer_instances: int
    lr: float
    seed: int
    bf16: bool
    log_interval: int
    distributed_timeout_minutes: int

    def __post_init__(self) -> None:
        from minitrain.laws import check

        check(self)

    @property
    def data_parallel_size(self) -> int:
        """Replicas of the model."""
        return self.world_size // (
            self.tensor_model_parallel_size * self.pipeline_model_parallel_size * self.context_parallel_size
        )

    @property
    def copies(self) -> int:
        """Ranks of a stage that hold the same weights, experts aside: replicas, and the ranks that share a sample."""
        return self.data_parallel_size * self.context_parallel_size

    @property
    def expert_copies(self) -> int:
        """Ranks of a stage that hold the same experts."""
        return self.copies * self.tensor_model_parallel_size // self.expert_model_parallel_size

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
    def sharding(self) -> str:
        """What ranks with the same weights share out: none, zero1, zero2, zero3 or hsdp (zero3 within groups)."""
        if self.data_parallel_sharding_strategy == "no_shard":
            return "zero1" if self.use_distributed_optimizer else "none"
        word = {"optim": "zero1", "optim_grads": "zero2", "optim_grads_params": "zero3"}
        groups = self.num_distributed_optimizer_instances
        return "hsdp" if groups > 1 else word[self.data_parallel_sharding_strategy]

    @property
    def shards_data(self) -> bool:
        """Whether FSDP splits weights and gradients over the ranks that hold the same."""
        copies = max(self.copies, self.expert_copies if self.num_experts else 1)
        return self.sharding in ("zero2", "zero3", "hsdp") and copies > 1

    @property
    def recomputed_layers(self) -> int:
        """Layers of each stage whose activations are recomputed as a whole, the first ones."""
        per_stage = self.num_layers // self.stages
        if self.recompute_granularity != "full":
            return 0
        return min(self.recompute_num_layers or 1, per_stage) if self.recompute_method == "block" else per_stage


def indivisible(
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


def _rate(text: str) -> float:
    """The finite number of at least 0 that a text states; argparse.ArgumentTypeError where it states none."""
    try:
        rate = float(text)
    except ValueError:
        rate = math.nan
    if not 0 <= rate < math.inf:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of at least 0")
    return rate


def _seed(text: str) -> int:
    """The whole number that a text states, up to MOST_SEED; argparse.ArgumentTypeError where it states none."""
    if not text.isdecimal() or int(text) > MOST_SEED:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from 0 to {MOST_SEED}")
    return int(text)


def make_parser() -> argparse.ArgumentParser:
    """The parser of minitrain's command line."""
    parser = _Parser(prog="python -m minitrain", description=__doc__, allow_abbrev=False)
    _add_model(parser)
    for name in ("--micro-batch-size", "--global-batch-size", "--train-iters"):
        parser.add_number(name, required=True, help="samples" if "batch" in name else None)
    _add_layout(parser)
    parser.add_argument("--lr", type=_rate, default=3e-4)
    parser.add_argument("--seed", type=_seed, default=1234)
    parser.add_argument("--bf16", action="store_true", help="weights in bfloat16, gradients and masters in float32")
    parser.add_number("--log-interval", default=1, help="iterations; times are means over it")
    parser.add_number("--distributed-timeout-minutes", default=10)
    parser.add_number("--local-ranks", help="start so many ranks on this machine, without a launcher")
    return parser


def _add_model(parser: _Parser) -> None:
    """Add the options that say what the model is; without those that have defaults it is a GPT-2."""
    for name in ("--num-layers", "--hidden-size", "--num-attention-heads", "--seq-length", "--vocab-size"):
        parser.add_number(name, required=True)
    parser.add_number("--ffn-hidden-size", help="default: 4 x hidden size")
    parser.add_argument("--group-query-attention", action="store_true", help="with --num-query-groups")
    parser.add_number("--num-query-groups", help="heads of keys and values; default: as many as attention heads")
    parser.add_number("--kv-channels", help="width of a head; default: hidden size / attention heads")
    parser.add_argument("--swiglu", action="store_true", help="feed-forward blocks with a gate")
    parser.add_argument(
        "--position-embedding-type", default="learned_absolute", choices=("learned_absolute", "rope", "none")
    )
    parser.add_argument("--normalization", default="LayerNorm", choices=("LayerNorm", "RMSNorm"))
    parser.add_argument("--disable-bias-linear", dest="add_bias_linear", action="store_false")
    parser.add_argument("--add-qkv-bias", action="store_true", help="for q, k and v, whatever the others have")
    parser.add_argument("--untie-embeddings-and-output-weights", action="store_true", help="always so")
    parser.add_number("--num-experts", help="experts of every layer, in place of its feed-forward block")
    parser.add_number("--moe-router-topk", default=2, help="experts that work on a token")
    parser.add_number("--moe-ffn-hidden-size", help="default: the feed-forward block's")


def _add_layout(parser: _Parser) -> None:
    """Add the options that say how the model is split, and what is kept and shared out."""
    parser.add_number("--tensor-model-parallel-size", default=1)
    parser.add_number("--pipeline-model-parallel-size", default=1)
    parser.add_argument("--pipeline-schedule", default="1f1b", choices=("1f1b", "gpipe", "interleaved", "zero-bubble"))
    parser.add_number("--num-layers-per-virtual-pipeline-stage", help="interleaved, zero-bubble: layers of a chunk")
    parser.add_number("--context-parallel-size", default=1, help="ranks that share the tokens of a sample")
    parser.add_number("--expert-model-parallel-size", default=1, help="ranks over which experts are spread")
    parser.add_argument("--recompute-granularity", choices=("selective", "full"), help="absent: no recomputation")
    parser.add_argument("--recompute-method", choices=("uniform", "block"), help="block: the first layers of a stage")
    parser.add_number("--recompute-num-layers", help="block: how many")
    parser.add_argument("--use-distributed-optimizer", action="store_true", help="share out Adam's states (ZeRO 1)")
    parser.add_argument("--use-megatron-fsdp", action="store_true", help="with --data-parallel-sharding-strategy")
    parser.add_argument(
        "--data-parallel-sharding-strategy",
        default="no_shard",
        choices=("no_shard", "optim", "optim_grads", "optim_grads_params"),
        help="ZeRO 1, 2 and 3",
    )
    parser.add_number("--num-distributed-optimizer-instances", default=1, help="groups that share out each (HSDP)")


def local_ranks(argv: Sequence[str]) -> int | None:
    """How many ranks this process is to start by itself, None where a launcher starts them; raises ArgumentError."""
    count: int | None = make_parser().parse_args(argv).local_ranks
    return count


def read_arguments(argv: Sequence[str], world_size: int) -> Arguments:
    """The checked arguments of a run on `world_size` ranks; raises ArgumentError where no run can satisfy them."""
    given = vars(make_parser().parse_args(argv))
    for name in ("local_ranks", "untie_embeddings_and_output_weights", "use_megatron_fsdp"):
        del given[name]
    heads, groups = given["num_attention_heads"], given["num_query_groups"]
    if given.pop("group_query_attention") and groups is None:
        raise ArgumentError("--group-query-attention needs --num-query-groups: the heads of keys and values")
    given["num_query_groups"] = groups or heads
    if given["kv_channels"] is None:
        if given["hidden_size"] % heads:
            raise indivisible("--hidden-size", given["hidden_size"], "--num-attention-heads", heads)
        given["kv_channels"] = given["hidden_size"] // heads
    given["ffn_hidden_size"] = given["ffn_hidden_size"] or 4 * given["hidden_size"]
    given["moe_ffn_hidden_size"] = given["moe_ffn_hidden_size"] or given["ffn_hidden_size"]
    return Arguments(world_size=world_size, **given)
