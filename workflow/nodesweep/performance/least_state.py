"""The least that weights, gradients and optimizer states take where no formula gives the activations.

The state is Adam's. All parameters of the model are spread over the stages of the pipeline somehow, so that the rank
that holds most has at least the average of the stages; nothing is said of who holds which layer. In a stage a rank has
1/t of what tensor parallelism splits, 1/(EP ETP) of the experts, the rest whole. ZeRO shares out over the ranks that
hold the same: those of data and context parallelism, of experts all of a stage / (EP ETP), or a group's share of these.

In 16 bits gradients count 2 bytes, which is what some trainers keep; others have 4.

>>> case = Dimensions(  # h = 4, V = 128: 320 parameters a layer but for the experts, 8 x 192 of these, 512 + 8 around
...     ranks=4, data=4, tensor=1, pipeline=1, expert=4, layers=1, hidden_size=4, attention_heads=1, vocab_size=128,
...     experts=8, experts_per_token=1, expert_ffn_hidden_size=24, biases="none", positions="rotary", precision="bf16")
>>> round(least_state_bytes(case) / 16)
1016
"""

from nodesweep.config.expressions import names_in
from nodesweep.config.workload import Workload
from nodesweep.sweep.trainer_command import told_by

from .dimensions import Dimensions
from .memory import state_bytes

_PRECISIONS = ("fp32", "tf32", "bf16", "fp16")
_LEAST_GRADIENT_BYTES = {"bf16": 2, "fp16": 2}


def knows_state(case: Dimensions, workload: Workload) -> bool:
    """Whether it is certain how the state of a rank is split and in which numbers it is.

    Sharding, number format and the grid of the experts must be typed, be read off the command, or reach it; what a
    trainer does by itself nobody told of.
    """
    if case.maybe("offload") not in (None, "none") or case.precision not in _PRECISIONS:
        return False
    if not case.knows("parts", "data", "tensor", "pipeline"):
        return False
    reaches = frozenset(workload.passes).union(*map(names_in, told_by(workload)))
    said = {
        "sharding": case.training.zero_stage > 0 or "zero_stage" in workload.training.model_fields_set,
        "precision": case.precision != "fp32" or "precision" in workload.model_fields_set,
        "expert": not case.maybe("experts"),
        "expert_tensor": not case.maybe("experts"),
    }
    return all(known or name in reaches for name, known in said.items())


def least_state_bytes(case: Dimensions) -> float:
    """The least bytes of state of the rank that holds most; for cases whose state is known."""
    weights, gradients, optimizer = state_bytes(case.precision)
    gradients = _LEAST_GRADIENT_BYTES.get(case.precision, gradients)
    zero, found = case.training.zero_stage, case.parts
    total = 0.0
    for part in found.parts:
        split, sharing = _split_and_sharing(case, part.split)
        shared = [sharing if zero >= least else 1 for least in (3, 2, 1)]
        bytes_each = weights / shared[0] + gradients / shared[1] + optimizer / shared[2]
        total += found.copies[part.place] * part.parameters / split * bytes_each
    return total / case.pipeline


def _split_and_sharing(case: Dimensions, split: str) -> tuple[int, float]:
    """Over how many ranks a part is split, and how many ranks that hold the same share it out."""
    sharing = case.maybe("sharding_group") or case.data * case.degree("context")
    if split != "experts":
        return (case.tensor if split == "tensor" else 1), sharing
    expert, tensor = case.degree("expert"), case.degree("expert_tensor")
    if expert == 1:  # a trainer may then split them as it does all else
        tensor = max(tensor, case.tensor)
    return expert * tensor, max(sharing * case.tensor / (expert * tensor), 1.0)
