"""Layouts of minitrain and the models they run: `python tests/minitrain/trainer_layouts.py` trains all of them.

Each prints the largest difference of its losses and gradient norms from those of one process, over three iterations.
"""

import sys
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import Any

from trainer_runs import Run, options, train

LOSSES_AGREE, NORMS_AGREE = 1e-4, 2e-3

GPT: dict[str, Any] = {}
LLAMA = {
    "num_query_groups": 2,
    "kv_channels": 12,
    "ffn_hidden_size": 48,
    "swiglu": True,
    "position_embedding_type": "rope",
    "normalization": "RMSNorm",
    "disable_bias_linear": True,
}
MIXTURE = LLAMA | {"num_experts": 4, "moe_router_topk": 2, "moe_ffn_hidden_size": 24}
MODELS: dict[str, dict[str, Any]] = {"GPT": GPT, "Llama": LLAMA, "mixture": MIXTURE}

TP2, PP2 = {"tensor_model_parallel_size": 2, "micro_batch_size": 4}, {"pipeline_model_parallel_size": 2}
TP2_PP2 = TP2 | PP2
CP2, CP4 = {"context_parallel_size": 2}, {"context_parallel_size": 4}
EP2, EP4 = {"expert_model_parallel_size": 2}, {"expert_model_parallel_size": 4}
VPP2 = {"pipeline_schedule": "interleaved", "num_layers_per_virtual_pipeline_stage": 1}
ZERO_BUBBLE = {"pipeline_schedule": "zero-bubble"}
ZERO1 = {"use_distributed_optimizer": True}
ZERO2 = {"use_megatron_fsdp": True, "data_parallel_sharding_strategy": "optim_grads"}
ZERO3 = {"use_megatron_fsdp": True, "data_parallel_sharding_strategy": "optim_grads_params"}
HSDP2 = ZERO3 | {"num_distributed_optimizer_instances": 2}
FULL, SELECTIVE = {"recompute_granularity": "full"}, {"recompute_granularity": "selective"}
FIRST_LAYER = FULL | {"recompute_method": "block", "recompute_num_layers": 1}

LAYOUTS: dict[str, tuple[str, int, dict[str, Any]]] = {
    # Each part alone
    "GPT DP2": ("GPT", 2, {}),
    "GPT CP2": ("GPT", 2, CP2),
    "GPT PP4 GPipe": ("GPT", 4, {"pipeline_model_parallel_size": 4, "pipeline_schedule": "gpipe"}),
    "selective": ("Llama", 1, SELECTIVE),
    "first layer recomputed": ("Llama", 1, FIRST_LAYER),
    "DP2": ("Llama", 2, {}),
    "TP2": ("Llama", 2, TP2),
    "PP2": ("Llama", 2, PP2),
    "CP2": ("Llama", 2, CP2),
    "VPP2": ("Llama", 2, PP2 | VPP2),
    "zero-bubble": ("Llama", 2, PP2 | ZERO_BUBBLE),
    "zero-bubble VPP2": ("Llama", 2, PP2 | VPP2 | ZERO_BUBBLE),
    "zero1": ("Llama", 2, ZERO1),
    "zero2": ("Llama", 2, ZERO2),
    "zero3": ("Llama", 2, ZERO3),
    "mixture DP2": ("mixture", 2, {}),
    "mixture TP2": ("mixture", 2, TP2),
    "mixture EP2": ("mixture", 2, EP2),
    # Combinations
    "TP2 zero1": ("Llama", 4, TP2 | ZERO1),
    "TP2 CP2": ("Llama", 4, TP2 | CP2),
    "CP2 zero1": ("Llama", 4, CP2 | ZERO1),
    "CP4 selective": ("Llama", 4, CP4 | SELECTIVE),
    "CP2 PP2": ("Llama", 4, CP2 | PP2),
    "CP2 zero-bubble": ("Llama", 4, CP2 | PP2 | ZERO_BUBBLE),
    "hsdp": ("Llama", 4, HSDP2),
    "CP2 zero3": ("Llama", 4, CP2 | ZERO3),
    "TP2 zero2": ("Llama", 4, TP2 | ZERO2),
    "VPP2 zero3 full": ("Llama", 4, PP2 | VPP2 | ZERO3 | FULL),
    "zero-bubble zero1": ("Llama", 4, PP2 | VPP2 | ZERO_BUBBLE | ZERO1),
    "zero-bubble selective": ("Llama", 2, PP2 | VPP2 | ZERO_BUBBLE | SELECTIVE),
    "TP2 zero-bubble": ("Llama", 4, TP2 | PP2 | ZERO_BUBBLE),
    "mixture EP4": ("mixture", 4, EP4),
    "mixture EP2 DP4 zero1": ("mixture", 4, EP2 | ZERO1),
    "mixture EP2 CP2": ("mixture", 2, EP2 | CP2),
    "mixture EP2 TP2": ("mixture", 2, EP2 | TP2),
    "mixture EP2 zero3": ("mixture", 4, EP2 | ZERO3),
    "mixture EP2 TP2 zero3": ("mixture", 4, EP2 | TP2 | ZERO3),
    "mixture EP2 hsdp": ("mixture", 4, EP2 | HSDP2),
    "mixture EP2 PP2 full": ("mixture", 4, EP2 | PP2 | FULL),
    "mixture EP2 VPP2": ("mixture", 4, EP2 | PP2 | VPP2),
    "mixture EP2 zero-bubble": ("mixture", 4, EP2 | PP2 | ZERO_BUBBLE),
    "GPT DP2 TP2 PP2 full": ("GPT", 8, TP2_PP2 | FULL),
    "TP2 CP2 PP2 zero1": ("Llama", 8, TP2_PP2 | CP2 | ZERO1),
    "CP2 hsdp TP2": ("Llama", 8, CP2 | TP2 | HSDP2),
    "CP2 VPP2 zero3": ("Llama", 8, CP2 | PP2 | VPP2 | ZERO3),
    "mixture EP4 CP2 PP2 first layer": ("mixture", 8, EP4 | CP2 | PP2 | FIRST_LAYER),
    "mixture EP4 TP2 PP2 zero1": ("mixture", 8, EP4 | TP2_PP2 | ZERO1),
    "mixture EP2 CP2 TP2 hsdp selective": ("mixture", 8, EP2 | CP2 | TP2 | HSDP2 | SELECTIVE),
}


def layout_run(name: str) -> Run:
    """The run of a layout, by its name."""
    model, ranks, changes = LAYOUTS[name]
    return train(ranks, options(**MODELS[model] | changes))


@cache
def single_run(model: str) -> Run:
    """The run of one process without any parallelism."""
    return train(1, options(**MODELS[model]))


def differences(name: str, run: Run) -> tuple[float, float]:
    """The largest difference of a layout's losses, and of its gradient norms, from those of one process."""
    single = single_run(LAYOUTS[name][0])
    pairs = zip((run.losses, run.norms), (single.losses, single.norms), strict=True)
    losses, norms = (max(abs(a - b) for a, b in zip(*pair, strict=True)) for pair in pairs)
    return losses, norms


def main(names: list[str]) -> int:
    """Train the layouts of these names, or all of them; 1 where one does not agree."""
    failed = 0
    print("| layout | ranks | losses differ by | norms differ by | |\n|---|---:|---:|---:|---|")

    def row(name: str) -> tuple[str, bool]:
        run = layout_run(name)
        if run.code:
            return f"| {name} | {LAYOUTS[name][1]} | | | exit code {run.code}: {run.errors.strip()[-1500:]} |", False
        losses, norms = differences(name, run)
        agrees = losses <= LOSSES_AGREE and norms <= NORMS_AGREE
        word = "" if agrees else "DIFFERS"
        return f"| {name} | {LAYOUTS[name][1]} | {losses:.1e} | {norms:.1e} | {word} |", agrees

    with ThreadPoolExecutor(2) as pool:
        for line, agrees in pool.map(row, names or LAYOUTS):
            failed += not agrees
            print(line, flush=True)
    print(f"\n{len(names or LAYOUTS) - failed} of {len(names or LAYOUTS)} layouts agree with one process")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
