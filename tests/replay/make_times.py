"""Makes times.csv: iterations of a 13B GPT on a made-up GPU cluster, by a model that is none of nodesweep's.

Matrix products reach a share of the peak that grows with the micro batch and falls with MP; tensor parallelism talks
over links that are fast within four GPUs only; stages hand activations on; the last stage also has the logits;
gradients are reduced over a slower network, half of it hidden behind the backward pass; Adam takes its time; noise is
1.5 %. Run it from here: python make_times.py > times.csv
"""

import math
import random
import sys

LAYERS, HIDDEN, SEQUENCE, VOCABULARY, BATCH = 40, 5120, 2048, 50304, 512
PEAK, FAST, SLOW, NETWORK = 312e12, 250e9, 60e9, 20e9  # FLOP/s; bytes/s


def seconds(ranks: int, tensor: int, pipeline: int, micro_batch: int) -> float:
    """One iteration without noise."""
    data = ranks // (tensor * pipeline)
    tokens, micro_batches = micro_batch * SEQUENCE, BATCH // (data * micro_batch)
    share = 0.62 * (1 - math.exp(-tokens * HIDDEN / tensor / 6e6)) * tensor**-0.06
    layer = 8 * tokens * (12 * HIDDEN**2 + 2 * HIDDEN * SEQUENCE) / tensor / (PEAK * share)
    link = FAST if tensor <= 4 else SLOW
    layer += 6 * 2 * tokens * HIDDEN * 2 * (tensor - 1) / tensor / link + (40e-6 if tensor > 1 else 0)
    logits = 6 * tokens * HIDDEN * VOCABULARY / tensor / (PEAK * share)
    stage = LAYERS / pipeline * layer + (2 * 2 * tokens * HIDDEN / NETWORK + 60e-6 if pipeline > 1 else 0)
    slowest = stage + logits
    parameters = (12 * LAYERS * HIDDEN**2 / pipeline + VOCABULARY * HIDDEN) / tensor
    reduced = 2 * (data - 1) / data * 4 * parameters / (NETWORK / 2) + 2e-3 * math.log2(data)
    hidden = min(reduced, 0.5 * micro_batches * stage) * 0.5
    return slowest * micro_batches + stage * (pipeline - 1) + reduced - hidden + 20 * parameters / 1.3e12


def main() -> None:
    """Print the table of 60 layouts."""
    noise = random.Random(13)
    print("nodes,tensor,pipeline,micro_batch,seconds")
    for nodes in (4, 8, 16):
        for tensor in (1, 2, 4, 8):
            for pipeline in (1, 2, 4, 8):
                for micro_batch in (1, 2):
                    if not 4 <= tensor * pipeline <= 16:
                        continue
                    value = seconds(8 * nodes, tensor, pipeline, micro_batch) * noise.lognormvariate(0, 0.015)
                    print(f"{nodes},{tensor},{pipeline},{micro_batch},{value:.4f}")


if __name__ == "__main__":
    sys.exit(main())
