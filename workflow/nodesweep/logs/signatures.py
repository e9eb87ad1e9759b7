"""What failures look like in a log, whatever the trainer, as rows of data.

The first row that matches a line names it; the order of the rows therefore goes from the particular to the general.
Among the lines found, the smallest precedence is nearest to the root, and the earliest line where they are equal.
Every row has an example in tests/logs/signatures.tsv.
"""

import re

from .causes import CONSEQUENCE, FAILURE, ROOT, SCHEDULER, SIGKILL_NOTE, SYMPTOM, TERMINATED, Cause, Signature
from .lazy import Pattern


def _row(
    kind: str, cause: Cause, precedence: int, markers: str | tuple[str, ...], pattern: str | None = None, note: str = ""
) -> Signature:
    """A row; without a pattern the markers themselves are looked for."""
    markers = (markers,) if isinstance(markers, str) else markers
    pattern = pattern or "|".join(re.escape(marker) for marker in markers)
    return Signature(kind, cause, precedence, markers, Pattern(pattern), note or _NOTES.get(cause, ""))


_NOTES = {"killed": SIGKILL_NOTE}
_PREFIX = r"(?:^|[\]:|)] ?)"
_CANCELLED = r"(?:JOB|STEP) \S{1,80} ON \S{1,255} CANCELLED AT \S{1,40}"
_TASKS = r"tasks? \d[-,\d]{0,200}: "
_SHELL = r"line \d{1,9}: {1,8}\d{1,9} "
_EXITS = ("exitcode  : ", "(exitcode: ", "return code = ")
_CODE = r"(?:exitcode {1,2}: |\(exitcode: |return code = )"
_COMPOSER_EXITS = (") exited with code ", " crashed with exit code ")
_COMPOSER_CODE = r"\) exited with code | crashed with exit code "
# The start of a line that may be Python's last words: no logger's warning, and not after two hundred characters.
_PYTHON = r"^(?!.{0,120}(?:WARN|\[W\d{3,4} ))(?:.{0,200}[\]:|)])?\s{0,8}(?:[A-Za-z_]\w{0,60}\.){0,6}"

SIGNATURES = (
    # Schedulers and launchers that say why they ended the job.
    _row("slurm_time_limit", "time_limit", SCHEDULER, "DUE TO TIME LIMIT", r"DUE TO TIME LIMIT \*"),
    _row("slurm_preemption", "preempted", SCHEDULER, "DUE TO PREEMPTION", r"DUE TO PREEMPTION \*"),
    _row("slurm_requeue", "preempted", SCHEDULER, "DUE TO JOB REQUEUE", r"DUE TO JOB REQUEUE \*"),
    _row("slurm_node_failure", "node_failure", SCHEDULER, "DUE TO NODE FAIL", r"DUE TO NODE FAIL(?:URE)?[, *]"),
    _row("srun_node_failure", "node_failure", SCHEDULER, "srun: error: ", "srun: error: Node failure on "),
    _row("slurm_task_failure", "consequence", CONSEQUENCE, "DUE TO TASK FAILURE", rf"{_CANCELLED} DUE TO TASK FAILURE"),
    _row("slurm_signal", "cancelled", TERMINATED, "DUE to SIGNAL", rf"{_CANCELLED} DUE to SIGNAL"),
    _row("slurm_cancelled", "cancelled", SCHEDULER, "CANCELLED AT", rf"{_CANCELLED}(?:\s|$)(?!DUE )"),
    _row("slurm_memory_limit", "oom_host", ROOT, "exceeded memory limit (", r"limit \(\d{1,20} > \d{1,20}\)"),
    _row("pjm_time_limit", "time_limit", SCHEDULER, "ELAPSE LIMIT EXC"),
    _row("pjm_elapse_limit", "time_limit", SCHEDULER, "[ERR.] PJM 70", r"\[ERR\.\] PJM 7004 "),
    _row("pjm_memory_limit", "oom_host", ROOT, "LIMIT OVER MEMORY"),
    _row("pjm_out_of_memory", "oom_host", ROOT, "[ERR.] PJM 70", r"\[ERR\.\] PJM (?:7005|7011) "),
    _row("pjm_node_down", "node_failure", SCHEDULER, "[ERR.] PJM 70", r"\[ERR\.\] PJM (?:7002|7008|7010|7013) "),
    _row("pjm_deadline", "preempted", SCHEDULER, "[ERR.] PJM 70", r"\[ERR\.\] PJM 7001 "),
    _row("pjm_not_started", "launch_failed", SCHEDULER, "[ERR.] PJM 70", r"\[ERR\.\] PJM (?:7007|7009) "),
    _row("pjm_deleted", "cancelled", SCHEDULER, "[INFO] PJM 7090 "),
    _row("pjm_code_time", "time_limit", SCHEDULER, "PJM CODE", r"PJM CODE {0,30}: {0,4}11\b"),
    _row("pjm_code_memory", "oom_host", ROOT, "PJM CODE", r"PJM CODE {0,30}: {0,4}(?:12|23)\b"),
    _row("pjm_code_node", "node_failure", SCHEDULER, "PJM CODE", r"PJM CODE {0,30}: {0,4}(?:20|22|25)\b"),
    _row("pjm_code_deleted", "cancelled", SCHEDULER, "PJM CODE", r"PJM CODE {0,30}: {0,4}1\b"),
    _row("pbs_walltime", "time_limit", SCHEDULER, "=>> PBS: job killed: ", r"=>> PBS: job killed: walltime"),
    _row("pbs_memory", "oom_host", ROOT, "=>> PBS: job killed: ", r"=>> PBS: job killed: v?mem "),
    _row("pbs_cgroup_memory", "oom_host", ROOT, "Cgroup mem", r"Cgroup mem(?:ory|sw) limit exceeded"),
    _row(
        "plexec_refused",
        "launch_failed",
        SCHEDULER,
        " plexec ",
        r"\[ERR\.\] PLE (?:000[258]|0010|0018|004[24]|0050|0060|0070|008[01]) |PLE 0611 ",
    ),
    _row("srun_launch", "launch_failed", FAILURE, "srun: error: ", "srun: error: (?:Task launch for |Unable to )"),
    _row("slurm_execve", "launch_failed", FAILURE, "slurmstepd: error: execve"),
    # Out of memory.
    _row(
        "nccl_allocation",
        "nccl_error",
        FAILURE,
        ("Failed to CUDA calloc", "Cuda failure", "Cannot allocate memory"),
        r"Failed to CUDA calloc|Cuda failure (?:\d{1,4} )?'out of memory'|ibv_\w{1,40} .{0,120}Cannot allocate memory",
        note="NCCL could not allocate; out of memory is likely",
    ),
    _row(
        "device_oom",
        "oom_gpu",
        ROOT,
        "out of memory",
        r"(?:CUDA|HIP|XPU|NPU|MPS backend)(?: driver)?(?: error:)? out of memory",
    ),
    _row(
        "jax_oom",
        "oom_gpu",
        ROOT,
        "RESOURCE_EXHAUSTED: ",
        r"RESOURCE_EXHAUSTED: (?:.{0,160}[Oo]ut of memory|Error allocating |Failed to allocate |Attempting to )",
    ),
    _row("ray_oom", "oom_host", ROOT, "due to the node running low on memory"),
    _row("torch_oom", "oom_gpu", ROOT, "Error: ", r"(?:^|[\s.])OutOfMemoryError: "),
    _row("cublas_alloc", "oom_gpu", ROOT, "STATUS_ALLOC_FAILED", "CU(?:BLAS|DNN)_STATUS_ALLOC_FAILED"),
    _row("cpu_allocator", "oom_host", ROOT, "DefaultCPUAllocator: "),
    _row("enforce_fail_memory", "oom_host", ROOT, "posix_memalign", r"enforce fail at .{1,80}posix_memalign"),
    _row(
        "python_memory_error",
        "oom_host",
        ROOT,
        "MemoryError",
        rf"{_PREFIX}(?:[\w.]{{1,60}}\._Array)?MemoryError(?::|\s*$)",
    ),
    _row("cpp_bad_alloc", "oom_host", ROOT, "std::bad_alloc"),
    _row("os_cannot_allocate", "oom_host", ROOT, "Cannot allocate memory"),
    _row("rust_allocation", "oom_host", ROOT, "memory allocation of ", r"memory allocation of \d{1,20} bytes failed"),
    _row("slurm_oom_kill", "oom_host", ROOT, "kill event", r"Detected \d{1,9} oom[-_]kill event"),
    _row("srun_oom", "oom_host", ROOT, ": Out Of Memory", rf"{_TASKS}Out Of Memory"),
    _row(
        "kernel_oom",
        "oom_host",
        ROOT,
        ("out of memory", "Out of memory: Kill"),
        r"[Oo]ut of memory: Kill|LLVM ERROR: out of memory",
    ),
    _row("kubernetes_oom", "oom_host", ROOT, "OOMKilled"),
    _row("shared_memory", "oom_host", ROOT, "is killed by signal: ", r"DataLoader worker .{0,80}signal: Bus error"),
    # Not a number.
    _row("nan_in_gradient", "nan_loss", ROOT, "found NaN in "),
    _row("unexpected_nan", "nan_loss", ROOT, "Unexpected result nan"),
    _row("nan_in_loss", "nan_loss", ROOT, "oss is ", r"\b[Ll]oss is (?:nan|NaN)\b"),
    # Communication.
    _row("watchdog_timeout", "nccl_timeout", FAILURE, ("collective operation timeout", "seconds before timing out")),
    _row("gloo_timeout", "nccl_timeout", FAILURE, "Timed out waiting ", r"Timed out waiting \d{1,12} ?ms for"),
    _row("rendezvous_timeout", "nccl_timeout", FAILURE, "Timed out initializing process group"),
    _row("socket_timeout", "nccl_timeout", FAILURE, ("Socket Timeout", "Getting socket times out")),
    _row(
        "store_timeout",
        "nccl_timeout",
        FAILURE,
        (
            "wait timeout after ",
            "client socket has timed out",
            "seconds waiting for clients",
            "to pass monitoredBarrier",
        ),
    ),
    _row(
        "heartbeat_timeout", "nccl_timeout", SYMPTOM, ("Heartbeat monitor timed out", "ProcessGroupNCCL watchdog hang")
    ),
    _row(
        "nccl_remote",
        "nccl_error",
        SYMPTOM,
        ("remote process exited or there was a network error", "Error: ", "NCCL communicator was aborted"),
        "remote process exited or there was a network error|ncclRemoteError: |NCCL communicator was aborted",
    ),
    _row("nccl_network", "nccl_error", SYMPTOM, "Got completion ", r"NET/IB ?: .{0,80}Got completion "),
    _row(
        "nccl_error",
        "nccl_error",
        FAILURE,
        ("NCCL error", "NCCL Error "),
        r"NCCL (?:error(?: in)?:|error in |Error \d)",
    ),
    _row(
        "nccl_detail",
        "nccl_error",
        FAILURE,
        ("Error: ", "ncclInvalid"),
        r"(?<!\w)nccl(?:\w{1,40}Error|Invalid\w{1,40}): ",
    ),
    _row(
        "nccl_setup",
        "nccl_error",
        SYMPTOM,
        ("setting up NCCL communicator", "'c10::DistBackendError'"),
        r"is setting up NCCL communicator|throwing an instance of 'c10::DistBackendError'",
    ),
    _row(
        "mpi_failure",
        "mpi_error",
        FAILURE,
        ("An error occurred in MPI_", "Fatal error in "),
        r"An error occurred in MPI_|Fatal error in (?:internal_|P)?MPI_",
    ),
    _row("mpi_abort", "mpi_error", SYMPTOM, ("MPI_ABORT was invoked", "MPI_Abort")),
    # What the death of one rank does to the others and to their launcher.
    _row(
        "peer_closed",
        "consequence",
        CONSEQUENCE,
        "onnection ",
        r"[Cc]onnection (?:closed|reset) by (?:remote )?peer",
    ),
    _row("peer_lost", "consequence", CONSEQUENCE, "Connection was likely closed"),
    _row("broken_pipe", "consequence", CONSEQUENCE, "Broken pipe"),
    _row("exit_sigterm", "consequence", CONSEQUENCE, _EXITS, rf"{_CODE}-15\b"),
    _row("received_sigterm", "consequence", CONSEQUENCE, "Signal 15 (SIGTERM) received"),
    _row("closing_sigterm", "consequence", CONSEQUENCE, "signal SIGTERM", r"(?:closing|via) signal SIGTERM"),
    _row(
        "worker_terminated",
        "consequence",
        CONSEQUENCE,
        ("is killed by signal: ", "died with <Signals."),
        r"is killed by signal: (?:Terminated|Hangup)|died with <Signals\.SIGTERM",
    ),
    _row("torchrun_report", "consequence", CONSEQUENCE, "Error: ", r"\.ChildFailedError: "),
    _row("torchrun_root", "consequence", CONSEQUENCE, "Root Cause (first observed failure)"),
    _row("jax_peer_lost", "consequence", CONSEQUENCE, "Terminating process because the JAX distributed service "),
    _row("gloo_pair", "consequence", CONSEQUENCE, "gloo/transport/", r"gloo/transport/\S{1,60}\] (?!Timed out)"),
    _row("plexec_sigterm", "consequence", CONSEQUENCE, " plexec ", r"PLE (?:0610|0017) .{0,120}\(sig=15\)"),
    _row("fujitsu_abnormal", "consequence", CONSEQUENCE, "jwe0020i-u "),
    # Signals.
    _row("exit_sigkill", "killed", FAILURE, _EXITS, rf"{_CODE}(?:-9|137)\b"),
    _row(
        "worker_killed",
        "killed",
        FAILURE,
        ("is killed by signal: ", "died with <Signals.", "terminated with signal SIG"),
        r"is killed by signal: Killed|died with <Signals\.SIGKILL|terminated with signal SIGKILL",
    ),
    _row("mpirun_sigkill", "killed", FAILURE, "exited on signal ", r"exited on signal 9 "),
    _row("received_sigkill", "killed", FAILURE, "Signal 9 (SIGKILL) received"),
    _row("shell_killed", "killed", FAILURE, "Killed", rf"{_SHELL}Killed |{_PREFIX}Killed\s*$|{_TASKS}Killed"),
    _row(
        "exit_137",
        "killed",
        FAILURE,
        ("code 137", "Exit Code: ", "with code -"),
        r"exit code (?:137|-9)\b|exited with code (?:137|-9)\b|Exit Code: {1,12}137\b",
    ),
    _row("plexec_sigkill", "killed", FAILURE, " plexec ", r"PLE (?:0610|0017) .{0,120}\(sig=9\)"),
    _row(
        "hydra_sigkill",
        "killed",
        FAILURE,
        ("KILLED BY SIGNAL: ", "=   EXIT CODE: "),
        r"KILLED BY SIGNAL: 9\b|=   EXIT CODE: (?:9|137)\b",
    ),
    _row("plexec_signal", "crash", SYMPTOM, " plexec ", r"PLE (?:0610|0017) "),
    _row("plexec_abort", "mpi_error", SYMPTOM, " plexec ", r"PLE (?:0608|0019) "),
    _row("plexec_exit", "crash", SYMPTOM, " plexec ", r"PLE (?:0609|0014) "),
    _row("fujitsu_signal", "crash", SYMPTOM, "jwe0019i-u ", r"jwe0019i-u (?!.{0,160}SIG(?:TERM|KILL))"),
    _row("mpirun_signal", "crash", SYMPTOM, "exited on signal ", r"exited on signal (?!15 )\d"),
    _row(
        "hydra_signal",
        "crash",
        SYMPTOM,
        ("KILLED BY SIGNAL: ", "=   EXIT CODE: "),
        r"(?:KILLED BY SIGNAL: |=   EXIT CODE: )(?!0\b|15\b|143\b)\d",
    ),
    _row("fatal_signal", "crash", SYMPTOM, "Fatal Python error: "),
    _row("assertion", "crash", SYMPTOM, "Assertion `", r"Assertion `[^`\n]{1,400}['`] failed"),
    _row("segmentation_fault", "crash", SYMPTOM, ("egmentation fault", "Segfault encountered")),
    _row("core_dumped", "crash", SYMPTOM, ("Aborted", "Bus error"), rf"(?:{_SHELL}|{_TASKS}|^)(?:Aborted|Bus error)\b"),
    _row(
        "worker_signal",
        "crash",
        SYMPTOM,
        ("is killed by signal: ", "died with <Signals.", "terminated with signal SIG"),
    ),
    _row(
        "exit_signal",
        "crash",
        SYMPTOM,
        (*_EXITS, *_COMPOSER_EXITS),
        rf"(?:{_CODE}|{_COMPOSER_CODE})-\d{{1,2}}\b",
    ),
    _row("cpp_exception", "crash", SYMPTOM, "terminate called after throwing"),
    # Somebody asked for the end.
    _row("launcher_terminated", "cancelled", TERMINATED, "Main process received SIGTERM, exiting"),
    _row(
        "torchrun_signal",
        "cancelled",
        TERMINATED,
        (" got signal: ", " death signal, shutting down"),
        r"Process \d{1,9} got signal: \d|Received \S{1,20} death signal, shutting down",
    ),
    _row(
        "trainer_sigterm",
        "cancelled",
        TERMINATED,
        "exiting program a",
        "exiting program after receiving SIGTERM",
    ),
    _row(
        "task_terminated",
        "cancelled",
        TERMINATED,
        ("Terminated", "xited with exit code "),
        rf"{_TASKS}Terminated|{_SHELL}Terminated |{_PREFIX}Terminated\s*$|xited with exit code 143\b",
    ),
    _row("srun_forced", "cancelled", TERMINATED, "srun: forcing job termination"),
    _row(
        "keyboard_interrupt",
        "cancelled",
        FAILURE,
        "KeyboardInterrupt",
        rf"{_PREFIX}(?:\^C)?(?:KeyboardInterrupt){{1,9}}(?::|\s*$)|Detected KeyboardInterrupt",
    ),
    # Anything Python says before it ends, and commands that are not there.
    _row(
        "device_error",
        "crash",
        FAILURE,
        ("CUDA error: ", "HIP error: "),
        r"^(?!.{0,120}WARN).{0,400}(?:CUDA|HIP) error: ",
    ),
    _row("rocm_fault", "crash", FAILURE, ("by GPU node-", "HSA_STATUS_ERROR"), r"by GPU node-\d|HSA_STATUS_ERROR_\w"),
    _row("command_missing", "crash", FAILURE, "command not found"),
    _row(
        "command_failed",
        "crash",
        TERMINATED,
        "non-zero exit status",
        r"CalledProcessError: .{0,1500}non-zero exit status",
    ),
    _row("child_raised", "crash", TERMINATED, "edException", "Process(?:Raised|Exited)Exception"),
    _row(
        "python_exception",
        "crash",
        FAILURE,
        ("Error: ", "AssertionError", "NotImplementedError", "RuntimeError", "ValueError"),
        rf"{_PYTHON}[A-Za-z_]\w{{0,60}}Error(?:: (?!can only test a child process)|:?\s*$)",
    ),
    _row("python_raised", "crash", FAILURE, "Exception: ", rf"{_PYTHON}\w{{0,60}}Exception: "),
    _row("usage_error", "crash", FAILURE, ": error: ", rf"{_PREFIX}(?!srun|slurm)[\w.-]{{1,60}}: error: "),
    _row(
        "exit_code",
        "crash",
        TERMINATED,
        (*_EXITS, *_COMPOSER_EXITS, "xited with exit code ", "return code list: "),
        rf"(?:{_CODE}|{_COMPOSER_CODE}|xited with exit code )[1-9]\d{{0,2}}\b"
        r"|return code list: \[[\d, ]{0,80}[1-9]",
    ),
    _row(
        "traceback",
        "crash",
        CONSEQUENCE,
        "Traceback (most recent call last)",
        note="nothing but a traceback tells of a failure",
    ),
)
