"""How fast a huge log is read: the whole command against grep's count of one fixed text, on the same warm file.

`python tests/bench/logs.py [TIMES...]`: for a log of five million lines and 2,000 iterations, and one that is so many
times as long (10). Prints the times of both, taken in turn, their ratio, and the command's peak memory.
"""

import random
import shutil
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path

import psutil

LINES = 5_000_000
ITERATIONS = 2_000
ROUNDS = 15
WANTED = "elapsed time per iteration"
WORDS = ["loading", "shard", "cache", "worker", "bucket", "gradient", "group", "step", "memory", "stream", "file"]


def write_log(path: Path, lines: int, iterations: int, seed: int = 1) -> None:
    """A log of ranks that talk, with an iteration every so many lines and one memory report."""
    chance = random.Random(seed)
    noise = [_noise(chance) for _ in range(5_000)]
    every = lines // iterations
    with path.open("w") as stream:
        for number in range(1, iterations + 1):
            chatter = "\n".join(chance.choices(noise, k=every - 1))
            stream.write(f"{chatter}\n{_iteration(number, iterations, chance)}\n")


def _noise(chance: random.Random) -> str:
    rank, words = chance.randrange(6144), " ".join(chance.choices(WORDS, k=chance.randrange(6, 14)))
    return chance.choice(
        (
            f"[rank{rank}]: [2026-03-16 22:18:{rank % 60:02d},{rank:04d}] [INFO] [engine.py:{rank}:_step] {words}",
            f"{rank}: NCCL INFO Channel {rank % 16:02d}/16 : {rank}[{rank % 8}] -> {rank + 1}[0] via P2P/IPC {words}",
            f"[default{rank % 8}]:{words} {words}",
            f"{rank}: /opt/python/site-packages/torch/utils/data.py:{rank}: UserWarning: {words}",
        )
    )


def _iteration(number: int, total: int, chance: random.Random) -> str:
    return (
        f" iteration {number:8d}/{total:8d} | consumed samples: {number * 512:12d} | consumed tokens: "
        f"{number * 512 * 2048:12d} | elapsed time per iteration (ms): {chance.gauss(5000, 20):.1f} | learning rate: "
        f"1.000E-04 | global batch size:   512 | lm loss: {10 - number / total:.6E} | loss scale: 1.0 | number of "
        f"skipped iterations:   0 | number of nan iterations:   0 | samples per second: 100.0 | TFLOPs: 40.12 |"
    )


def seconds_of(command: list[str]) -> float:
    """Run a command to its end."""
    started = time.perf_counter()
    # Not to /dev/null, where grep stops at the first line it finds.
    with tempfile.TemporaryFile() as output:
        subprocess.run(command, stdout=output, check=True)
    return time.perf_counter() - started


def peak_mib_of(command: list[str]) -> float:
    """The most memory a command and what it starts hold together; looking takes time, so it is not timed."""
    peak = 0
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as process:
        watched = psutil.Process(process.pid)
        while process.poll() is None:
            with suppress(psutil.NoSuchProcess):
                peak = max(peak, sum(one.memory_info().rss for one in (watched, *watched.children(recursive=True))))
            time.sleep(0.002)
    return peak / 2**20


def compare(folder: Path, times: int) -> None:
    """Measure one length of log."""
    log = folder / "huge.log"
    write_log(log, LINES * times, ITERATIONS * times)
    grep = [str(shutil.which("grep")), "-cF", WANTED, str(log)]
    reader = [sys.executable, "-m", "nodesweep", "explain-log", str(log)]
    seconds_of(grep)  # warms the file
    pairs = [(seconds_of(grep), seconds_of(reader)) for _ in range(ROUNDS)]
    greps, readers = (sorted(times) for times in zip(*pairs, strict=True))
    print(
        f"{log.stat().st_size / 1e6:,.0f} MB, {LINES * times:,} lines, {ITERATIONS * times:,} iterations: "
        f"grep {greps[0]:.3f} s, nodesweep {readers[0]:.3f} s, ratio {readers[0] / greps[0]:.2f} of the fastest, "
        f"{readers[ROUNDS // 2] / greps[ROUNDS // 2]:.2f} of the medians; peak memory {peak_mib_of(reader):.0f} MiB",
        flush=True,
    )


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as temporary:
        for factor in [int(word) for word in sys.argv[1:]] or [1, 10]:
            compare(Path(temporary), factor)
