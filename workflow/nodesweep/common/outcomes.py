"""How a run can end."""

from typing import Literal

NOT_RUN = ("pruned", "skipped")
"""States of layouts that no job was submitted for."""


Outcome = Literal["oom", "timeout", "nan", "hang", "node_failure", "preempted", "cancelled", "launch_failed", "crash"]

Cause = Literal[
    "oom_gpu",
    "oom_host",
    "time_limit",
    "node_failure",
    "preempted",
    "cancelled",
    "killed",
    "nccl_error",
    "nccl_timeout",
    "mpi_error",
    "nan_loss",
    "launch_failed",
    "crash",
    "consequence",
]

OUTCOME_OF: dict[Cause, Outcome] = {
    "oom_gpu": "oom",
    "oom_host": "oom",
    "time_limit": "timeout",
    "node_failure": "node_failure",
    "preempted": "preempted",
    "cancelled": "cancelled",
    "killed": "crash",
    "nccl_error": "crash",
    "nccl_timeout": "hang",
    "mpi_error": "crash",
    "nan_loss": "nan",
    "launch_failed": "launch_failed",
    "crash": "crash",
    "consequence": "crash",
}


OUTCOME_OF_CAUSE = {
    "time_limit": "timeout",
    "node_failure": "node_failure",
    "preempted": "preempted",
    "cancelled": "cancelled",
    "out_of_memory": "oom",
    "launch_failed": "launch_failed",
    "hang": "hang",
    "lost": "lost",
}
