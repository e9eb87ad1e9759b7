"""A rank that meets its memory limit dies of it, and the others do not wait for it."""

import re
import socket
import subprocess
import sys
import time

import pytest
from trainer_runs import environment, options, train

ALLOCATOR = "DefaultCPUAllocator: can't allocate memory"
LIMIT = "ulimit -d 600000"
LARGE = {
    "hidden_size": 256,
    "seq_length": 512,
    "vocab_size": 1024,
    "micro_batch_size": 16,
    "global_batch_size": 32,
    "train_iters": 1,
}


def free_port() -> str:
    """A port that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return str(probe.getsockname()[1])


def test_limit_ends_a_single_rank():
    """torch's own error ends a run that needs more than the limit."""
    run = train(1, options(**LARGE), before=LIMIT)
    assert run.code not in (0, 2)
    assert ALLOCATOR in run.errors
    assert "[after training is done]" not in run.out


def test_small_model_lives_under_the_same_limit():
    """A small model trains to its end under the limit that ends the large one."""
    run = train(1, options(train_iters=1), before=LIMIT)
    assert run.code == 0, run.errors


def test_limit_on_one_rank_ends_all_without_a_launcher():
    """Ranks that nobody watches (as under a plain srun) end too when one dies: their connections close."""
    arguments = options(**LARGE, pipeline_model_parallel_size=2)
    common = {"WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": free_port()}
    start = time.monotonic()
    ranks = [
        subprocess.Popen(
            [
                "bash",
                "-c",
                f'{LIMIT if rank == 0 else "true"}; exec "$@"',
                "bash",
                sys.executable,
                "-m",
                "minitrain",
                *arguments,
            ],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=environment({**common, "RANK": str(rank), "LOCAL_RANK": str(rank)}),
        )
        for rank in (0, 1)
    ]
    errors = [rank.communicate(timeout=120)[1] for rank in ranks]
    assert all(rank.returncode not in (0, 2) for rank in ranks)
    assert ALLOCATOR in errors[0]
    assert ALLOCATOR not in errors[1]
    assert time.monotonic() - start < 100


@pytest.mark.parametrize("torchrun", [False, True], ids=["own ranks", "torchrun"])
def test_limit_ends_all_ranks(torchrun: bool):
    """The run ends with an error, the allocator's message and the memory in use, whoever started the ranks."""
    run = train(2, options(**LARGE, pipeline_model_parallel_size=2), before=LIMIT, torchrun=torchrun)
    assert run.code not in (0, 2)
    assert ALLOCATOR in run.errors
    assert re.search(r"\[Rank \d\] \(after 0 iterations\) memory \(MB\) \| allocated: \d", run.out)
    if not torchrun:
        assert re.search(r"^minitrain: rank \d ended with exit code 1; ending the others$", run.errors, re.MULTILINE)
