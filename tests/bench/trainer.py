"""Throughput of one minitrain rank against a plain PyTorch loop of the same model, as a markdown table.

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

REQUIRED_RATIO = 0.9
SAMPLES_PER_SECOND = re.compile(r"samples per second: ([\d.]+)")
SIZES = {
    "cpu": {
        "layers": 4,
        "hidden": 256,
        "heads": 8,
        "length": 256,
        "vocabulary": 2048,
        "micro": 4,
        "batch": 16,
    },
    "cuda": {
        "layers": 12,
        "hidden": 1024,
        "heads": 16,
        "length": 1024,
        "vocabulary": 32768,
        "micro": 8,
        "batch": 32,
    },
}


def plain_model(torch, sizes: dict[str, int], recompute: bool):
    """The same GPT from torch's basic parts: tokens and targets in, mean loss out."""
    from torch import nn
    from torch.nn.functional import cross_entropy, scaled_dot_product_attention
    from torch.utils.checkpoint import checkpoint

    hidden, heads = sizes["hidden"], sizes["heads"]

    class Layer(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.norm1, self.norm2 = nn.LayerNorm(hidden), nn.LayerNorm(hidden)
            self.qkv, self.out = nn.Linear(hidden, 3 * hidden), nn.Linear(hidden, hidden)
            self.ffn = nn.Sequential(nn.Linear(hidden, 4 * hidden), nn.GELU(), nn.Linear(4 * hidden, hidden))

        def forward(self, x):
            batch, length, _ = x.shape
            q, k, v = (
                part.view(batch, length, heads, hidden // heads).transpose(1, 2)
                for part in self.qkv(self.norm1(x)).split(hidden, dim=-1)
            )
            attended = scaled_dot_product_attention(q, k, v, is_causal=True)
            x = x + self.out(attended.transpose(1, 2).reshape(batch, length, hidden))
            return x + self.ffn(self.norm2(x))

    class Model(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.tokens = nn.Embedding(sizes["vocabulary"], hidden)
            self.positions = nn.Embedding(sizes["length"], hidden)
            self.layers = nn.ModuleList(Layer() for _ in range(sizes["layers"]))
            self.norm = nn.LayerNorm(hidden)
            self.head = nn.Linear(hidden, sizes["vocabulary"], bias=False)

        def forward(self, tokens, targets):
            x = self.tokens(tokens) + self.positions(torch.arange(tokens.shape[1], device=tokens.device))
            for layer in self.layers:
                x = checkpoint(layer, x, use_reentrant=False) if recompute else layer(x)
            logits = self.head(self.norm(x)).float()
            return cross_entropy(logits.view(-1, logits.shape[-1]), targets.reshape(-1))

    return Model()


def plain_loop(device: str, recompute: bool, iterations: int) -> None:
    """Train the plain model and print each iteration's samples per second."""
    import torch

    sizes = SIZES[device]
    torch.manual_seed(1)
    model = plain_model(torch, sizes, recompute).to(device)
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


def commands(device: str, recompute: bool, iterations: int) -> dict[str, list[str]]:
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
    print("| AC | plain, samples/s | minitrain, samples/s | ratio |")
    print("|---|---:|---:|---:|")
    enough = True
    for recompute in (False, True):
        seen: dict[str, list[float]] = {"plain": [], "minitrain": []}
        for _ in range(rounds):
            for name, command in commands(device, recompute, iterations).items():
                seen[name] += rates(command, device)
        plain, mini = statistics.median(seen["plain"]), statistics.median(seen["minitrain"])
        enough = enough and mini / plain >= REQUIRED_RATIO
        print(f"| {'on' if recompute else 'off'} | {plain:.2f} | {mini:.2f} | {mini / plain:.2f} |", flush=True)
    return enough


def main() -> int:
    """Run the comparison, or (--plain) one plain loop for it; 1 where the ratio is not reached."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--iterations", type=int, default=8)
    parser.add_argument("--plain", choices=("keep", "recompute"), help="one plain loop, for the comparison's own use")
    given = parser.parse_args()
    if given.plain:
        plain_loop(given.device, given.plain == "recompute", given.iterations)
        return 0
    if compare(given.device, given.rounds, given.iterations):
        return 0
    print(f"\nminitrain is below {REQUIRED_RATIO} of the plain loop")
    return 1


if __name__ == "__main__":
    sys.exit(main())
