"""What failures look like in a log, whatever the trainer, as rows of data.

The first row that matches a line names it; the order of the rows therefore goes from the particular to the general.
Among the lines found, the smallest precedence tells the root cause, and the earliest line where they are equal.
Every row has an example in tests/logs/signatures.tsv.
"""

import re
from dataclasses import dataclass
from typing import Literal

SCHEDULER, ROOT, EXCEPTION, COMMUNICATION, KILLED, TERMINATED, CONSEQUENCE = range(7)

Outcome = Literal["oom", "timeout", "nan", "hang", "node_failure", "preempted", "cancelled", "launch_failed", "crash"]

SIGKILL_NOTE = "killed by SIGKILL; the host's OOM killer is likely"


@dataclass(frozen=True)
class Signature:
    """A way to fail: `kind` is unique, `outcome` what it means where it is the root, `note` what a reader should add.

    `marker`: plain text without which `pattern` need not be tried.
    """

    kind: str
    outcome: Outcome
    precedence: int
    marker: str
    pattern: re.Pattern[str]
    note: str = ""


def _row(
    kind: str, outcome: Outcome, precedence: int, marker: str, pattern: str | None = None, note: str = ""
) -> Signature:
    return Signature(kind, outcome, precedence, marker, re.compile(pattern or re.escape(marker)), note)


_PREFIX = r"(?:^|[\]:|] ?)"
_CANCELLED = r"(?:JOB|STEP) \S{1,80} ON \S{1,255} CANCELLED AT \S{1,40}"
_CODE = r"(?:exitcode {0,4}: {0,4}|return code = )"

SIGNATURES = (
    # Schedulers and launchers that say why they ended the job.
    _row("slurm_time_limit", "timeout", SCHEDULER, "DUE TO TIME LIMIT", rf"{_CANCELLED} DUE TO TIME LIMIT"),
    _row("slurm_preemption", "preempted", SCHEDULER, "DUE TO PREEMPTION", rf"{_CANCELLED} DUE TO PREEMPTION"),
    _row("slurm_requeue", "preempted", SCHEDULER, "DUE TO JOB REQUEUE", rf"{_CANCELLED} DUE TO JOB REQUEUE"),
    _row("slurm_node_failure", "node_failure", SCHEDULER, "DUE TO NODE FAIL", rf"{_CANCELLED} DUE TO NODE FAIL"),
    _row("srun_node_failure", "node_failure", SCHEDULER, "srun: error: Node failure on "),
    _row("slurm_task_failure", "crash", CONSEQUENCE, "DUE TO TASK FAILURE", rf"{_CANCELLED} DUE TO TASK FAILURE"),
    _row("slurm_signal", "cancelled", TERMINATED, "DUE to SIGNAL", rf"{_CANCELLED} DUE to SIGNAL"),
    _row("slurm_cancelled", "cancelled", SCHEDULER, "CANCELLED AT", rf"{_CANCELLED} \*\*\*"),
    _row("slurm_memory_limit", "oom", ROOT, "exceeded memory limit", r"exceeded memory limit \(\d{1,20} > \d{1,20}\)"),
    _row("pjm_time_limit", "timeout", SCHEDULER, "ELAPSE LIMIT EXCEEDED"),
    _row("pjm_elapse_limit", "timeout", SCHEDULER, "[ERR.] PJM 7004 "),
    _row("pjm_memory_limit", "oom", ROOT, "LIMIT OVER MEMORY"),
    _row("pjm_out_of_memory", "oom", ROOT, "[ERR.] PJM 70", r"\[ERR\.\] PJM (?:7005|7011) "),
    _row("pjm_node_down", "node_failure", SCHEDULER, "[ERR.] PJM 70", r"\[ERR\.\] PJM (?:7002|7008|7010|7013) "),
    _row("pjm_deadline", "preempted", SCHEDULER, "[ERR.] PJM 7001 "),
    _row("pjm_deleted", "cancelled", SCHEDULER, "[INFO] PJM 7090 "),
    _row("pbs_walltime", "timeout", SCHEDULER, "=>> PBS: job killed: walltime"),
    _row("pbs_memory", "oom", ROOT, "=>> PBS: job killed: ", r"=>> PBS: job killed: v?mem "),
    _row("pbs_cgroup_memory", "oom", ROOT, "Cgroup mem", r"Cgroup mem(?:ory|sw) limit exceeded"),
    _row("plexec_refused", "launch_failed", SCHEDULER, "[ERR.] PLE ", r"\[ERR\.\] PLE (?:0005|0008|0080) "),
    # Out of memory.
    _row(
        "device_oom",
        "oom",
        ROOT,
        "out of memory",
        r"(?:CUDA|HIP|XPU|NPU|MPS backend) out of memory",
    ),
    _row("jax_oom", "oom", ROOT, "RESOURCE_EXHAUSTED: Out of memory"),
    _row("torch_oom", "oom", ROOT, "OutOfMemoryError", r"(?:^|[\s.])OutOfMemoryError: "),
    _row("cublas_alloc", "oom", ROOT, "CUBLAS_STATUS_ALLOC_FAILED"),
    _row("cpu_allocator", "oom", ROOT, "DefaultCPUAllocator: "),
    _row("enforce_fail_memory", "oom", ROOT, "posix_memalign", r"enforce fail at .{1,80}posix_memalign"),
    _row(
        "python_memory_error", "oom", ROOT, "MemoryError", rf"{_PREFIX}(?:[\w.]{{1,60}}\._Array)?MemoryError(?::|\s*$)"
    ),
    _row("cpp_bad_alloc", "oom", ROOT, "std::bad_alloc"),
    _row("os_cannot_allocate", "oom", ROOT, "Cannot allocate memory"),
    _row("slurm_oom_kill", "oom", ROOT, "oom", r"Detected \d{1,9} oom[-_]kill event"),
    _row("srun_oom", "oom", ROOT, "Out Of Memory", r"tasks? \d[-,\d]{0,200}: Out Of Memory"),
    _row("kubernetes_oom", "oom", ROOT, "OOMKilled"),
    _row("shared_memory", "oom", ROOT, "killed by signal: Bus error", r"DataLoader worker .{0,80}Bus error"),
    # Not a number.
    _row("nan_in_gradient", "nan", ROOT, "found NaN in "),
    _row("unexpected_nan", "nan", ROOT, "Unexpected result nan"),
    # Communication.
    _row("watchdog_timeout", "hang", COMMUNICATION, "collective operation timeout"),
    _row("gloo_timeout", "hang", COMMUNICATION, "Timed out waiting", r"Timed out waiting \d{1,12} ?ms for"),
    _row("rendezvous_timeout", "hang", COMMUNICATION, "Timed out initializing process group"),
    _row("socket_timeout", "hang", COMMUNICATION, "Socket Timeout"),
    _row(
        "nccl_allocation",
        "crash",
        COMMUNICATION,
        "Failed to CUDA calloc",
        note="NCCL could not allocate; out of device memory is likely",
    ),
    _row("nccl_error", "crash", COMMUNICATION, "NCCL error in"),
    _row("nccl_detail", "crash", COMMUNICATION, "nccl", r"(?<!\w)nccl\w{1,40}Error: "),
    # What the death of one rank does to the others and to their launcher.
    _row("peer_closed", "crash", CONSEQUENCE, "onnection ", r"[Cc]onnection (?:closed|reset) by (?:remote )?peer"),
    _row("peer_lost", "crash", CONSEQUENCE, "Connection was likely closed"),
    _row("broken_pipe", "crash", CONSEQUENCE, "Broken pipe"),
    _row("exit_sigterm", "crash", CONSEQUENCE, "code", rf"{_CODE}-15\b"),
    _row("received_sigterm", "crash", CONSEQUENCE, "Signal 15 (SIGTERM) received"),
    _row("closing_sigterm", "crash", CONSEQUENCE, "closing signal SIGTERM"),
    _row("torchrun_report", "crash", CONSEQUENCE, "ChildFailedError", r"\.ChildFailedError:"),
    _row("gloo_pair", "crash", CONSEQUENCE, "gloo/transport", r"gloo/transport/\S{1,60}\] (?!Timed out)"),
    # Signals.
    _row("exit_sigkill", "crash", KILLED, "code", rf"{_CODE}(?:-9|137)\b", note=SIGKILL_NOTE),
    _row("mpirun_sigkill", "crash", KILLED, "exited on signal 9 ", note=SIGKILL_NOTE),
    _row("received_sigkill", "crash", KILLED, "Signal 9 (SIGKILL) received", note=SIGKILL_NOTE),
    _row("shell_killed", "crash", KILLED, "Killed ", r"line \d{1,9}: {1,4}\d{1,9} Killed ", note=SIGKILL_NOTE),
    _row("plexec_sigkill", "crash", KILLED, " plexec ", r"PLE (?:0610|0017) .{0,120}\(sig=9\)", note=SIGKILL_NOTE),
    _row("plexec_signal", "crash", KILLED, " plexec ", r"PLE (?:0610|0017) "),
    _row("plexec_abort", "crash", KILLED, " plexec ", r"PLE (?:0608|0609|0014|0019) "),
    _row("mpirun_signal", "crash", KILLED, "exited on signal "),
    _row("fatal_signal", "crash", KILLED, "Fatal Python error: "),
    _row("segmentation_fault", "crash", KILLED, "egmentation fault"),
    _row("exit_signal", "crash", KILLED, "code", rf"{_CODE}-\d{{1,2}}\b"),
    _row("launcher_terminated", "cancelled", TERMINATED, "Main process received SIGTERM, exiting"),
    # Anything Python says before it ends, and commands that are not there.
    _row("keyboard_interrupt", "cancelled", EXCEPTION, "KeyboardInterrupt", rf"{_PREFIX}KeyboardInterrupt\s*$"),
    _row("cpp_exception", "crash", EXCEPTION, "terminate called after throwing"),
    _row("command_missing", "crash", EXCEPTION, "command not found"),
    _row(
        "python_exception",
        "crash",
        EXCEPTION,
        "Error",
        rf"{_PREFIX}(?:[A-Za-z_]\w{{0,60}}\.){{0,6}}[A-Za-z_]\w{{0,60}}Error(?:: |:?\s*$)",
    ),
    _row(
        "python_raised",
        "crash",
        EXCEPTION,
        "Exception",
        rf"{_PREFIX}(?:[A-Za-z_]\w{{0,60}}\.){{0,6}}\w{{0,60}}Exception: ",
    ),
    _row("usage_error", "crash", EXCEPTION, ": error: ", rf"{_PREFIX}(?!srun|slurm)[\w.-]{{1,60}}: error: "),
    _row("exit_code", "crash", TERMINATED, "exitcode", r"exitcode {0,4}: {0,4}[1-9]\d{0,2}\b"),
)
