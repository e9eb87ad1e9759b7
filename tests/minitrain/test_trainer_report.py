"""The log lines, to the letter."""

import re
from datetime import datetime

import pytest
from trainer_runs import options, train

from minitrain import report, timers
from minitrain.arguments import read_arguments

GIVEN = read_arguments(options(hidden_size=256, seq_length=256, vocab_size=2048, lr=1e-4, train_iters=6), 8)


def test_iteration_line():
    """The iteration line is Megatron-DeepSpeed's."""
    line = report.Interval(losses=[9.0, 9.5], seconds=2.469).line(GIVEN, 2, 1.2344)
    assert line == (
        " iteration        2/       6 | consumed samples:           32 | consumed tokens:         8192 | "
        "elapsed time per iteration (ms): 1234.5 | learning rate: 1.000E-04 | global batch size:    16 | "
        "lm loss: 9.250000E+00 | loss scale: 1.0 | grad norm: 1.234 | actual seqlen:   256 | "
        "number of skipped iterations:   0 | number of nan iterations:   0 | samples per second: 12.961 | "
        "tokens per gpu per second (tgs): 414.743 | TFLOPs: 0.01 |"
    )


def test_iteration_line_without_a_loss():
    """A loss that is not a number is left out and counted, as in Megatron."""
    line = report.Interval(losses=[float("nan")], seconds=1.0).line(GIVEN, 1, float("nan"))
    assert "lm loss" not in line
    assert "| global batch size:    16 | loss scale: 1.0 | grad norm: nan |" in line
    assert "| number of nan iterations:   1 |" in line


def test_iteration_line_with_one_nan_of_two():
    """The mean is over the iterations that had a loss."""
    line = report.Interval(losses=[float("nan"), 8.0], seconds=2.0).line(GIVEN, 2, 1.0)
    assert "| lm loss: 8.000000E+00 |" in line
    assert "| number of nan iterations:   1 |" in line


def test_flops_by_hand():
    """The FLOPs of an iteration equal the sum over the matrix products, counted by hand.

    Batch 16, sequence 256 (4096 tokens), 4 layers, hidden 256, vocabulary 2048. Forward, per token, in
    multiply-adds: a layer 12 x 256^2 by weights and 2 x 256 x 256 for scores and mixing, the head 256 x 2048.
    So layers 2 x 4096 x 4 x 917504 = 30064771072 operations, head 2 x 4096 x 524288 = 4294967296. With
    recomputation the layers count four times and the head three: 133143986176. Without, the formula takes
    three quarters of that.
    """
    assert report.iteration_flops(GIVEN) == pytest.approx(0.75 * 133143986176)
    recompute = read_arguments(
        options(hidden_size=256, seq_length=256, vocab_size=2048, recompute_granularity="full"), 8
    )
    assert report.iteration_flops(recompute) == pytest.approx(133143986176)


def test_flops_of_a_mixture_by_hand():
    """Gates, shared keys and the experts that work on a token are counted by their matrices.

    16 samples of 8 tokens, one layer, hidden 16, two heads of 4 with one of keys: query and output 2 x 16 x 8, key and
    value 2 x 16 x 4, two experts of three matrices 16 x 12, a router 16 x 4: 256 + 128 + 1152 + 64 = 1600; core of
    attention 2 x 8 x 8 = 128; output 32 x 16 = 512. Six operations each, for 128 tokens: 6 x 2240 x 128.
    """
    sizes = {"num_layers": 1, "hidden_size": 16, "num_attention_heads": 2, "kv_channels": 4, "num_query_groups": 1}
    experts = {"swiglu": True, "num_experts": 4, "moe_router_topk": 2, "moe_ffn_hidden_size": 12}
    small = sizes | experts | {"seq_length": 8, "vocab_size": 32}
    assert report.iteration_flops(read_arguments(options(**small), 8)) == 6 * 2240 * 128
    selective = read_arguments(options(**small, recompute_granularity="selective"), 8)
    assert report.iteration_flops(selective) == (6 * 2240 + 2 * 128) * 128
    full = read_arguments(options(**small, recompute_granularity="full"), 8)
    assert report.iteration_flops(full) == (6 * 2240 + 2 * 1728) * 128


def test_times_of_the_parts():
    """Parts of an iteration are written as Megatron's timers are; what took no time anywhere is left out."""
    assert report.time_lines({"compute": 0.5, "exchange": 0.0}, {"compute": 0.625, "exchange": 0.0}) == [
        "(min, max) time across ranks (ms):",
        "    compute ........................................: (500.00, 625.00)",
    ]


def test_world_line():
    """The layout is announced in Megatron's words."""
    assert report.world_line(GIVEN) == (
        "using world size: 8, data-parallel-size: 8, tensor-model-parallel size: 1, pipeline-model-parallel size: 1 "
    )


def test_argument_lines():
    """The arguments are dumped with dots to 48 columns."""
    lines = report.argument_lines(GIVEN)
    assert lines[0] == "------------------------ arguments ------------------------"
    assert lines[-1] == "-------------------- end of arguments ---------------------"
    assert "  hidden_size ..................................... 256" in lines
    assert "  recompute_granularity ........................... None" in lines
    assert lines[1:-1] == sorted(lines[1:-1])
    assert {line.index(line.split()[-1]) for line in lines[1:-1]} == {52}


def test_memory_line():
    """The memory line is Megatron's."""
    assert report.Memory(allocated=123.44, max_allocated=150.25, reserved=300, max_reserved=301.96).line(3, 1) == (
        "[Rank 3] (after 1 iterations) memory (MB) | allocated: 123.4 | max allocated: 150.2 | "
        "reserved: 300.0 | max reserved: 302.0"
    )


@pytest.mark.parametrize(("torch_exchanges", "name"), [(False, "compute"), (True, "compute-and-exchange")])
def test_parts_of_a_step(torch_exchanges: bool, name: str):
    """Of 10 s for the passes 7 ran, 2 of these exchanged; the part says where torch's own exchanges are in it."""
    timers.forget()
    timers.seconds |= {"forward-backward": 10.0, "passes": 7.0, "exchange": 2.0, "gradient-sync": 1.0, "optimizer": 0.5}
    parts = timers.parts(torch_exchanges)
    timers.forget()
    assert parts == {name: 5.0, "exchange": 2.0, "pipeline-wait": 3.0, "gradient-sync": 1.0, "optimizer": 0.5}


def test_event_line():
    """Moments carry the date in Megatron's form, blank at the end."""
    moment = datetime(2026, 11, 22, 20, 30, 1)
    assert report.event_line("after training is done", moment) == (
        "[after training is done] datetime: 2026-11-22 20:30:01 "
    )


def test_memory_keeps_the_peak():
    """The largest data segment stays after its memory was freed, though nobody looked while it was there."""
    before = report.memory_now("cpu")
    earlier = int(before.max_reserved - before.reserved)
    block = b"1" * ((earlier + 200) * 2**20)
    del block
    now = report.memory_now("cpu")
    assert now.max_reserved - before.max_reserved == pytest.approx(200, abs=20)
    assert now.max_reserved - now.reserved > 150
    assert 0 < now.allocated <= now.max_allocated


def test_whole_log_of_two_ranks():
    """A run of two ranks writes all its lines whole, in order, each by the right rank."""
    run = train(2, options(train_iters=5, log_interval=2))
    assert run.code == 0, run.errors
    lines = run.out.splitlines()
    assert lines[1].startswith("using world size: 2, data-parallel-size: 2,")
    before = next(i for i, line in enumerate(lines) if line.startswith("[before the start of training step]"))
    assert lines[before - 1] == "-------------------- end of arguments ---------------------"
    assert re.fullmatch(r"\[after training is done\] datetime: [\d-]{10} [\d:]{8} ", lines[-1])
    training = lines[before + 1 : -1]
    assert [line.split("|")[0] for line in training if line.startswith(" iteration")] == [
        " iteration        2/       5 ",
        " iteration        4/       5 ",
        " iteration        5/       5 ",
    ]
    memory = sorted(line.split(" memory")[0] for line in training if line.startswith("[Rank"))
    assert memory == [f"[Rank {rank}] (after {count} iterations)" for rank in (0, 1) for count in (1, 5)]
    assert training[7] == "(min, max) time across ranks (ms):"
    assert [line.split()[0] for line in training[8:]] == ["compute", "gradient-sync", "optimizer"]
    assert len(training) == 11


def test_nan_run_ends_well():
    """A run whose loss is no number any more goes on to its end and says so."""
    run = train(1, options(lr=1e38))
    assert run.code == 0, run.errors
    last = [line for line in run.out.splitlines() if line.startswith(" iteration")][-1]
    assert "lm loss" not in last
    assert "number of nan iterations:   1 |" in last
