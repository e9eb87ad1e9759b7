"""Throughput of one minitrain rank against a plain PyTorch loop of the same model, GPT and Llama, as a markdown table.

The plain loop below is written on its own: nothing of minitrain is in it. Both run as processes of their own
with the same number of threads, in turn, several times; the ratio of the medians must reach `REQUIRED_RATIO`.
"""

import argparse
import os
import re
import statistics
import subprocess
import sys
import time

REQUIRED_RATIO = 0.95
SAMPLES_PER_SECOND = re.compile(r"samples per second: ([\d.]+)")
SIZES = {
    "dry": {  # on the CPU, to see that the comparison itself runs
        "layers": 2,
        "hidden": 64,
        "heads": 8,
        "inner": 192,
        "length": 64,
        "vocabulary": 256,
        "micro": 4,
        "batch": 8,
    },
    "cpu": {
        "layers": 4,
        "hidden": 256,
        "heads": 8,
        "inner": 768,
        "length": 256,
        "vocabulary": 2048,
        "micro": 4,
        "batch": 16,
    },
    "cuda": {
        "layers": 12,
        "hidden": 1024,
        "heads": 16,
        "inner": 2816,
        "length": 1024,
        "vocabulary": 32768,
        "micro": 8,
        "batch": 32,
    },
}


def plain_layer(torch, sizes: dict[str, int], llama: bool):
    """A class of layers of the GPT or the Llama, from torch's basic parts."""
    from torch import nn
    from torch.nn.functional import scaled_dot_product_attention, silu

    hidden, heads = sizes["hidden"], sizes["heads"]
    keys, width = heads // 4 if llama else heads, hidden // heads
    angles = torch.outer(torch.arange(sizes["length"]), 10000.0 ** (-torch.arange(0, width, 2) / width))
    norm, bias = (nn.RMSNorm if llama else nn.LayerNorm), not llama

    class Gated(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            inner = sizes["inner"]
            self.gate, self.up = nn.Linear(hidden, inner, bias=False), nn.Linear(hidden, inner, bias=False)
            self.down = nn.Linear(inner, hidden, bias=False)

        def forward(self, x):
            return self.down(silu(self.gate(x)) * self.up(x))

    class Layer(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.norm1, self.norm2 = norm(hidden), norm(hidden)
            self.qkv = nn.Linear(hidden, hidden + 2 * keys * width, bias=bias)
            self.out = nn.Linear(hidden, hidden, bias=bias)
            plain = nn.Linear(hidden, 4 * hidden), nn.GELU(), nn.Linear(4 * hidden, hidden)
            self.ffn = Gated() if llama else nn.Sequential(*plain)
            self.register_buffer("cosines", angles.cos())
            self.register_buffer("sines", angles.sin())

        def turned(self, x):
            first, second = x.chunk(2, dim=-1)
            cosines, sines = self.cosines.to(x.dtype), self.sines.to(x.dtype)
            return torch.cat([first * cosines - second * sines, second * cosines + first * sines], dim=-1)

        def forward(self, x):
            batch, length, _ = x.shape
            parts = self.qkv(self.norm1(x)).split([hidden, keys * width, keys * width], dim=-1)
            q, k, v = (part.view(batch, length, -1, width).transpose(1, 2) for part in parts)
            if llama:
                q, k = self.turned(q), self.turned(k)
            attended = scaled_dot_product_attention(q, k, v, is_causal=True, enable_gqa=llama)
            x = x + self.out(attended.transpose(1, 2).reshape(batch, length, hidden))
            return x + self.ffn(self.norm2(x))

    return Layer, norm


def plain_model(torch, sizes: dict[str, int], recompute: bool, llama: bool):
    """The model from torch's basic parts: tokens and targets in, mean loss out."""
    from torch import nn
    from torch.nn.functional import cross_entropy
    from torch.utils.checkpoint import checkpoint

    hidden = sizes["hidden"]
    layer_of, norm = plain_layer(torch, sizes, llama)

    class Model(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.tokens = nn.Embedding(sizes["vocabulary"], hidden)
            self.positions = None if llama else nn.Embedding(sizes["length"], hidden)
            self.layers = nn.ModuleList(layer_of() for _ in range(sizes["layers"]))
            self.norm = norm(hidden)
            self.head = nn.Linear(hidden, sizes["vocabulary"], bias=False)

        def forward(self, tokens, targets):
            x = self.tokens(tokens)
            if self.positions is not None:
                x = x + self.positions(torch.arange(tokens.shape[1], device=tokens.device))
            for layer in self.layers:
                x = checkpoint(layer, x, use_reentrant=False) if recompute else layer(x)
            logits = self.head(self.norm(x)).float()
            return cross_entropy(logits.view(-1, logits.shape[-1]), targets.reshape(-1))

    return Model()


def plain_loop(device: str, recompute: bool, llama: bool, iterations: int) -> None:
    """Train the plain model and print each iteration's samples per second."""
    import torch

    sizes, device = SIZES[device], "cuda" if device == "cuda" else "cpu"
    torch.manual_seed(1)
    model = plain_model(torch, sizes, recompute, llama).to(device)
    adam = torch.optim.Adam(model.parameters(), lr=3e-4)
    tokens = torch.randint(sizes["vocabulary"], (sizes["batch"], sizes["length"] + 1), device=device)
    pieces = sizes["batch"] // sizes["micro"]
    for _ in range(iterations):
        start = time.perf_counter()
        for piece in tokens.chunk(pieces):
            with torch.autocast(device, torch.bfloat16, enabled=device == "cuda"):
                loss = model(piece[:, :-1], piece[:, 1:])
            (loss / pieces).backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        adam.step()
        adam.zero_grad()
        loss.item()
        if device == "cuda":
            torch.cuda.synchronize()
        print(f"samples per second: {sizes['batch'] / (time.perf_counter() - start):.3f}", flush=True)


def commands(device: str, recompute: bool, llama: bool, iterations: int) -> dict[str, list[str]]:
    """The command line of each of the two."""
    sizes = SIZES[device]
    plain = [sys.executable, __file__, "--device", device, "--plain", "recompute" if recompute else "keep"]
    arguments = {
        "--num-layers": sizes["layers"],
        "--hidden-size": sizes["hidden"],
        "--num-attention-heads": sizes["heads"],
        "--seq-length": sizes["length"],
        "--vocab-size": sizes["vocabulary"],
        "--micro-batch-size": sizes["micro"],
        "--global-batch-size": sizes["batch"],
        "--train-iters": iterations,
    }
    minitrain = [
        sys.executable,
        "-m",
        "minitrain",
        *(str(word) for pair in arguments.items() for word in pair),
    ]
    minitrain += ["--recompute-granularity", "full"] if recompute else []
    if llama:
        plain += ["--llama"]
        minitrain += ["--num-query-groups", str(sizes["heads"] // 4), "--ffn-hidden-size", str(sizes["inner"])]
        minitrain += ["--swiglu", "--position-embedding-type", "rope", "--normalization", "RMSNorm"]
        minitrain += ["--disable-bias-linear"]
    minitrain += ["--bf16"] if device == "cuda" else []
    return {"plain": [*plain, "--iterations", str(iterations)], "minitrain": minitrain}


def rates(command: list[str], device: str) -> list[float]:
    """Samples per second of each iteration of one process, without the first two (warm-up)."""
    hidden = {} if device == "cuda" else {"CUDA_VISIBLE_DEVICES": ""}
    done = subprocess.run(command, env=os.environ | hidden, stdout=subprocess.PIPE, text=True, check=True, timeout=1800)
    return [float(rate) for rate in SAMPLES_PER_SECOND.findall(done.stdout)][2:]


def compare(device: str, rounds: int, iterations: int) -> bool:
    """Print the table; whether every row reaches the required ratio."""
    threads = os.environ.get("OMP_NUM_THREADS", "default")
    print(f"One rank on {device}, threads {threads}; {rounds} rounds of {iterations - 2} measured iterations.\n")
    print("| model | AC | plain, samples/s | minitrain, samples/s | ratio |")
    print("|---|---|---:|---:|---:|")
    enough = True
    for llama, recompute in ((True, False), (True, True), (False, False), (False, True)):
        seen: dict[str, list[float]] = {"plain": [], "minitrain": []}
        for _ in range(rounds):
            for name, command in commands(device, recompute, llama, iterations).items():
                seen[name] += rates(command, device)
        plain, mini = statistics.median(seen["plain"]), statistics.median(seen["minitrain"])
        enough = enough and mini / plain >= REQUIRED_RATIO
        print(f"| {'Llama' if llama else 'GPT'} ", end="")
        print(f"| {'on' if recompute else 'off'} | {plain:.2f} | {mini:.2f} | {mini / plain:.2f} |", flush=True)
    return enough


def main() -> int:
    """Run the comparison, or (--plain) one plain loop for it; 1 where the ratio is not reached."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--device", choices=tuple(SIZES), default="cpu")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--iterations", type=int, default=8)
    parser.add_argument("--plain", choices=("keep", "recompute"), help="one plain loop, for the comparison's own use")
    parser.add_argument("--llama", action="store_true", help="that plain loop with the Llama, not the GPT")
    given = parser.parse_args()
    if given.plain:
        plain_loop(given.device, given.plain == "recompute", given.llama, given.iterations)
        return 0
    if compare(given.device, given.rounds, given.iterations):
        return 0
    print(f"\nminitrain is below {REQUIRED_RATIO} of the plain loop")
    return 1


if __name__ == "__main__":
    sys.exit(main())
