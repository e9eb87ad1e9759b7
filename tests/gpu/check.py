"""What one GPU says of the embedded trainer; tests/gpu/run.sh starts it. Prints markdown; exits with 1 on a failure.

Wanted: throughput of at least `LEAST_RATIO` of a plain loop of the same Llama, peaks of memory within
`MEMORY_PERCENT` of the formula of performance/memory.py, losses of bf16 that fall. What fp8 brings is told, not judged.
"""

import argparse
import re
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1] / "bench"))

from trainer import SIZES, commands, rates

from nodesweep.config.training import MemoryConstants, Training
from nodesweep.performance.dimensions import Dimensions
from nodesweep.performance.memory import MIB, peak

LEAST_RATIO = 0.95
MEMORY_PERCENT = 15.0
ALLOCATED = re.compile(r"\[Rank 0\] .* max allocated: ([\d.]+)")
LOSS = re.compile(r"lm loss: (\S+)")


def throughput(device: str, iterations: int, rounds: int) -> bool:
    """Samples per second of minitrain and of a plain loop, in turn."""
    print("| AC | plain, samples/s | minitrain, samples/s | ratio |\n|---|---:|---:|---:|")
    enough = True
    for recompute in (False, True):
        best: dict[str, list[float]] = {"plain": [], "minitrain": []}
        for _ in range(rounds):
            for name, command in commands(device, recompute, True, iterations).items():
                best[name] += rates(command, device)
        plain, mini = (sorted(best[name])[len(best[name]) // 2] for name in ("plain", "minitrain"))
        enough = enough and mini / plain >= LEAST_RATIO
        print(f"| {'on' if recompute else 'off'} | {plain:.2f} | {mini:.2f} | {mini / plain:.3f} |", flush=True)
    return enough


def memory(device: str, iterations: int) -> bool:
    """Peaks of allocated memory against the formula, with and without recomputation, in fp32 and bf16."""
    sizes = SIZES[device]
    print("| precision | AC | max allocated, MiB | formula, MiB | off by |\n|---|---|---:|---:|---:|")
    near = True
    for precision in ("fp32", "bf16"):
        for recompute in (False, True):
            command = [word for word in commands(device, recompute, True, iterations)["minitrain"] if word != "--bf16"]
            command += ["--bf16"] if precision == "bf16" else []
            done = subprocess.run(command, capture_output=True, text=True, check=True)
            measured = max(float(most) for most in ALLOCATED.findall(done.stdout))
            losses = [float(loss) for loss in LOSS.findall(done.stdout)]
            case = Dimensions(**_dimensions(sizes, precision, recompute))
            constants = MemoryConstants(process_mib=0, allocator_factor=1.0, allocator_factor_without_recomputation=1.0)
            foreseen = peak(case, constants).highest_bytes / MIB
            off = 100 * (measured / foreseen - 1)
            near = near and abs(off) <= MEMORY_PERCENT and losses[-1] < losses[0]
            word = "on" if recompute else "off"
            print(f"| {precision} | {word} | {measured:.0f} | {foreseen:.0f} | {off:+.1f} % |", flush=True)
    return near


def _dimensions(sizes: dict[str, int], precision: str, recompute: bool) -> dict[str, Any]:
    return {
        "nodes": 1,
        "ranks_per_node": 1,
        "data": 1,
        "tensor": 1,
        "pipeline": 1,
        "micro_batch": sizes["micro"],
        "global_batch": sizes["batch"],
        "sequence_length": sizes["length"],
        "activation_checkpointing": recompute,
        "precision": precision,
        "layers": sizes["layers"],
        "hidden_size": sizes["hidden"],
        "attention_heads": sizes["heads"],
        "kv_heads": sizes["heads"] // 4,
        "vocab_size": sizes["vocabulary"],
        "ffn_hidden_size": sizes["inner"],
        "gated_ffn": True,
        "biases": "none",
        "norm": "rmsnorm",
        "positions": "rotary",
        "tied_embeddings": False,
        "training": Training(flash_attention=True, dropout=False, tied_embeddings=False),
    }


def fp8(device: str) -> None:
    """How much faster a matrix product is in fp8 than in bf16 where torch scales one on this device."""
    import torch

    size = 8192 if device == "cuda" else 64
    rows, columns = (torch.randn(size, size, device="cuda" if device == "cuda" else "cpu") for _ in range(2))
    scale = torch.ones((), device=rows.device)

    def seconds(product: Any) -> float:
        product()
        start = time.perf_counter()
        for _ in range(10):
            product()
        if device == "cuda":
            torch.cuda.synchronize()
        return (time.perf_counter() - start) / 10

    try:
        a, b = rows.to(torch.float8_e4m3fn), columns.to(torch.float8_e4m3fn).t()
        narrow = seconds(lambda: torch._scaled_mm(a, b, scale, scale, out_dtype=torch.bfloat16))
    except (AttributeError, RuntimeError) as error:
        print(f"fp8: torch {torch.__version__} has none here: {str(error).splitlines()[0][:120]}")
        return
    c, d = rows.bfloat16(), columns.bfloat16()
    wide = seconds(lambda: c @ d)
    times = f"{1e3 * narrow:.3f} ms, in bf16 {1e3 * wide:.3f} ms: {wide / narrow:.2f}"
    print(f"fp8: a product of {size} x {size} takes {times}")


def main() -> int:
    """Run all checks; 1 where one fails, 2 without a GPU."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--dry", action="store_true", help="on the CPU, tiny: nothing is judged")
    dry = parser.parse_args().dry
    device = "dry" if dry else "cuda"
    if not dry:
        import torch

        if not torch.cuda.is_available():
            print("no GPU here; --dry tries the check itself on the CPU", file=sys.stderr)
            return 2
    start = time.monotonic()
    fast = throughput(device, 4 if dry else 12, 1 if dry else 2)
    near = memory(device, 3)
    fp8(device)
    if dry:
        print(f"{time.monotonic() - start:.0f} s; the check runs, and judges nothing of a CPU")
        return 0
    print(f"{time.monotonic() - start:.0f} s; throughput {'ok' if fast else 'below'}, memory {'ok' if near else 'off'}")
    return 0 if fast and near else 1


if __name__ == "__main__":
    sys.exit(main())
