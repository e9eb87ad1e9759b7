"""What failures look like in a log, whatever the trainer, as rows of data.

The first row that matches a line names it; the order of the rows therefore goes from the particular to the general.
Among the lines found, the smallest precedence is nearest to the root, and the earliest line where they are equal.
Every row has an example in tests/logs/examples/signatures.tsv. What one trainer alone says stands in its own module.
"""

from nodesweep.logs.patterns.endings import CONSEQUENCE, FAILURE, ROOT, SYMPTOM, TERMINATED, signature

from .scheduler_messages import SCHEDULER_MESSAGES

_PREFIX = r"(?:^|[\]:|)] ?)"
_TASKS = r"tasks? \d[-,\d]{0,200}: "
_SHELL = r"line \d{1,9}: {1,8}\d{1,9} "
_EXITS = ("exitcode", "return code")
_CODE = r"(?:exitcode {1,2}: |\(exitcode: |return code = )"
_COMPOSER_EXITS = ("with code ", "with exit code ")
_COMPOSER_CODE = r"\) exited with code | crashed with exit code "
# The start of a line that may be Python's last words: no logger's warning, and not after two hundred characters.
_PYTHON = r"^(?!.{0,120}(?:WARN|\[W\d{3,4} ))(?:.{0,200}[\]:|)])?\s{0,8}(?:Uncaught )?(?:[A-Za-z_]\w{0,60}\.){0,6}"

SIGNATURES_OF_ALL = (
    *SCHEDULER_MESSAGES,
    # Out of memory.
    signature(
        "nccl_allocation",
        "nccl_error",
        FAILURE,
        ("Failed to CUDA calloc", "Cuda failure", "Cannot allocate memory"),
        r"Failed to CUDA calloc|Cuda failure (?:\d{1,4} )?'out of memory'|ibv_\w{1,40} .{0,120}Cannot allocate memory",
        note="NCCL could not allocate; out of memory is likely",
    ),
    signature(
        "device_oom",
        "oom_gpu",
        ROOT,
        ("out of memory", "OUT_OF_DEVICE_MEMORY"),
        r"(?:CUDA|HIP|XPU|NPU|MPS backend)(?: driver)?(?: error:)? out of memory|ERROR_OUT_OF_DEVICE_MEMORY",
    ),
    signature(
        "jax_oom",
        "oom_gpu",
        ROOT,
        "RESOURCE_EXHAUSTED: ",
        r"RESOURCE_EXHAUSTED: (?:.{0,160}[Oo]ut of memory|Error allocating |Failed to allocate |Attempting to )",
    ),
    signature(
        "ray_oom",
        "oom_host",
        ROOT,
        ("due to the node running low on memory", "killed due to memory pressure"),
        r"due to the node running low on memory|(?<!\d)[1-9]\d{0,5} Workers .{0,60}killed due to memory pressure",
    ),
    signature("torch_oom", "oom_gpu", ROOT, "Error: ", r"(?:^|[\s.])OutOfMemoryError: "),
    signature("cublas_alloc", "oom_gpu", ROOT, "STATUS_ALLOC_FAILED", "CU(?:BLAS|DNN)_STATUS_ALLOC_FAILED"),
    signature("cpu_allocator", "oom_host", ROOT, "DefaultCPUAllocator: "),
    signature("enforce_fail_memory", "oom_host", ROOT, "posix_memalign", r"enforce fail at .{1,80}posix_memalign"),
    signature(
        "python_memory_error",
        "oom_host",
        ROOT,
        "MemoryError",
        rf"{_PREFIX}(?:[\w.]{{1,60}}\._Array)?MemoryError(?::|\s*$)",
    ),
    signature("cpp_bad_alloc", "oom_host", ROOT, "std::bad_alloc"),
    signature("os_cannot_allocate", "oom_host", ROOT, "Cannot allocate memory"),
    signature(
        "rust_allocation", "oom_host", ROOT, "memory allocation of ", r"memory allocation of \d{1,20} bytes failed"
    ),
    signature("slurm_oom_kill", "oom_host", ROOT, "kill event", r"Detected \d{1,9} oom[-_]kill event"),
    signature("srun_oom", "oom_host", ROOT, ": Out Of Memory", rf"{_TASKS}Out Of Memory"),
    signature(
        "kernel_oom",
        "oom_host",
        ROOT,
        ("out of memory", "Out of memory: Kill"),
        r"[Oo]ut of memory: Kill|LLVM ERROR: out of memory",
    ),
    signature("kubernetes_oom", "oom_host", ROOT, "OOMKilled"),
    signature("shared_memory", "oom_host", ROOT, " signal", r"DataLoader worker .{0,80}signal: Bus error"),
    # Not a number.
    signature("nan_in_loss", "nan_loss", ROOT, "oss is ", r"\b[Ll]oss is (?:nan|NaN)\b"),
    # Communication.
    signature(
        "watchdog_timeout",
        "nccl_timeout",
        FAILURE,
        ("collective operation timeout", "seconds before timing out", "Timeout at NCCL work: "),
    ),
    signature("gloo_timeout", "nccl_timeout", FAILURE, "imed out", r"Timed out waiting \d{1,12} ?ms for"),
    signature("rendezvous_timeout", "nccl_timeout", FAILURE, "imed out", "Timed out initializing process group"),
    signature("socket_timeout", "nccl_timeout", FAILURE, ("Socket Timeout", "Getting socket times out")),
    signature(
        "store_timeout",
        "nccl_timeout",
        FAILURE,
        (
            "wait timeout after ",
            "imed out",
            "seconds waiting for clients",
            "to pass monitoredBarrier",
        ),
        "wait timeout after |client socket has timed out|seconds waiting for clients|to pass monitoredBarrier",
    ),
    signature(
        "heartbeat_timeout",
        "nccl_timeout",
        SYMPTOM,
        ("imed out", "ProcessGroupNCCL watchdog hang"),
        "Heartbeat monitor timed out|ProcessGroupNCCL watchdog hang",
    ),
    signature(
        "nccl_remote",
        "nccl_error",
        SYMPTOM,
        ("remote process exited or there was a network error", "Error: ", "NCCL communicator"),
        "remote process exited or there was a network error|ncclRemoteError: |NCCL communicator was aborted",
    ),
    signature("nccl_network", "nccl_error", SYMPTOM, "Got completion ", r"NET/IB ?: .{0,80}Got completion "),
    signature(
        "nccl_error",
        "nccl_error",
        FAILURE,
        ("CCL error", "NCCL Error "),
        r"NCCL (?:error(?: in)?:|error in |Error \d)|HCCL error in",
    ),
    signature(
        "nccl_detail",
        "nccl_error",
        FAILURE,
        ("Error: ", "ncclInvalid"),
        r"(?<!\w)nccl(?:\w{1,40}Error|Invalid\w{1,40}): ",
    ),
    signature(
        "nccl_setup",
        "nccl_error",
        SYMPTOM,
        ("NCCL communicator", "'c10::DistBackendError'"),
        r"is setting up NCCL communicator|throwing an instance of 'c10::DistBackendError'",
    ),
    signature("mpi_lost_node", "node_failure", FAILURE, "has lost communication with a remote daemon"),
    signature("ucx_retries", "mpi_error", FAILURE, "Transport retry count exceeded"),
    signature(
        "mpi_failure",
        "mpi_error",
        FAILURE,
        ("An error occurred in MPI_", "Fatal error in "),
        r"An error occurred in MPI_|Fatal error in (?:internal_|P)?MPI_",
    ),
    signature(
        "mpi_abort", "mpi_error", SYMPTOM, ("MPI_ABORT was invoked", "MPI_Abort", "MPI communication peer process has")
    ),
    # What the death of one rank does to the others and to their launcher.
    signature(
        "peer_closed",
        "consequence",
        CONSEQUENCE,
        "onnection ",
        r"[Cc]onnection (?:closed|reset) by (?:remote )?peer",
    ),
    signature("peer_lost", "consequence", CONSEQUENCE, "Connection was likely closed"),
    signature("broken_pipe", "consequence", CONSEQUENCE, "Broken pipe"),
    signature("exit_sigterm", "consequence", CONSEQUENCE, _EXITS, rf"{_CODE}-15\b"),
    signature("received_sigterm", "consequence", CONSEQUENCE, "SIGTERM", r"Signal 15 \(SIGTERM\) received"),
    signature("closing_sigterm", "consequence", CONSEQUENCE, "SIGTERM", r"(?:closing|via) signal SIGTERM"),
    signature(
        "worker_terminated",
        "consequence",
        CONSEQUENCE,
        (" signal", "died with <Signals."),
        r"is killed by signal: (?:Terminated|Hangup)|died with <Signals\.SIGTERM",
    ),
    signature("torchrun_report", "consequence", CONSEQUENCE, "Error: ", r"\.ChildFailedError: "),
    signature("torchrun_root", "consequence", CONSEQUENCE, "Root Cause (first observed failure)"),
    signature("jax_peer_lost", "consequence", CONSEQUENCE, "Terminating process because the JAX distributed service "),
    signature("gloo_pair", "consequence", CONSEQUENCE, "gloo/transport/", r"gloo/transport/\S{1,60}\] (?!Timed out)"),
    signature("plexec_sigterm", "consequence", CONSEQUENCE, " plexec ", r"PLE (?:0610|0017) .{0,120}\(sig=15\)"),
    signature("fujitsu_abnormal", "consequence", CONSEQUENCE, "jwe0020i-u "),
    # Signals.
    signature("exit_sigkill", "killed", FAILURE, _EXITS, rf"{_CODE}(?:-9|137)\b"),
    signature(
        "worker_killed",
        "killed",
        FAILURE,
        (" signal", "died with <Signals."),
        r"is killed by signal: Killed|died with <Signals\.SIGKILL|terminated with signal SIGKILL",
    ),
    signature(
        "mpirun_sigkill",
        "killed",
        FAILURE,
        (" signal", "signal 9 (Killed)"),
        rf"exited on signal 9 |{_PREFIX} {{0,4}}signal 9 \(Killed\)",
    ),
    signature("received_sigkill", "killed", FAILURE, "Signal 9 (SIGKILL) received"),
    signature("shell_killed", "killed", FAILURE, "Killed", rf"{_SHELL}Killed |{_PREFIX}Killed\s*$|{_TASKS}Killed"),
    signature(
        "exit_137",
        "killed",
        FAILURE,
        ("code 137", "Exit Code: ", "with code ", "with exit code "),
        r"exit code (?:137|-9)\b|exited with code (?:137|-9)\b|Exit Code: {1,12}137\b",
    ),
    signature("plexec_sigkill", "killed", FAILURE, " plexec ", r"PLE (?:0610|0017) .{0,120}\(sig=9\)"),
    signature(
        "hydra_sigkill",
        "killed",
        FAILURE,
        ("KILLED BY SIGNAL: ", "=   EXIT CODE: "),
        r"KILLED BY SIGNAL: 9\b|=   EXIT CODE: (?:9|137)\b",
    ),
    signature("plexec_signal", "crash", SYMPTOM, " plexec ", r"PLE (?:0610|0017) "),
    signature("plexec_abort", "mpi_error", SYMPTOM, " plexec ", r"PLE (?:0608|0019) "),
    signature("plexec_exit", "crash", SYMPTOM, " plexec ", r"PLE (?:0609|0014) "),
    signature("fujitsu_signal", "crash", SYMPTOM, "jwe0019i-u ", r"jwe0019i-u (?!.{0,160}SIG(?:TERM|KILL))"),
    signature(
        "mpirun_signal",
        "crash",
        SYMPTOM,
        (" signal", "noticed that process rank "),
        r"exited on signal (?!15 )\d|noticed that process rank .{1,300} exited on\s*$",
    ),
    signature(
        "hydra_signal",
        "crash",
        SYMPTOM,
        ("KILLED BY SIGNAL: ", "=   EXIT CODE: "),
        r"(?:KILLED BY SIGNAL: |=   EXIT CODE: )(?!0\b|15\b|143\b)\d",
    ),
    signature("ray_worker_died", "crash", SYMPTOM, ("worker died or was killed", "worker process has died")),
    signature("loader_died", "crash", SYMPTOM, "with exit code ", "exited unexpectedly with exit code "),
    signature("fatal_signal", "crash", SYMPTOM, "Fatal Python error: "),
    signature(
        "glog_signal", "crash", SYMPTOM, "received by PID", r"\*\*\* SIG(?!TERM|KILL)\w{2,8} .{0,200}received by PID"
    ),
    signature(
        "glog_check",
        "crash",
        FAILURE,
        ("Check failed: ", "Non-OK-status: "),
        r"(?:^|[\s\]:|)])F\d{4} \d\d:\d\d:.{1,300}(?:Check failed: |Non-OK-status: )",
    ),
    signature("assertion", "crash", SYMPTOM, "Assertion `", r"Assertion `[^`\n]{1,400}['`] failed"),
    signature("segmentation_fault", "crash", SYMPTOM, ("egmentation fault", "Segfault encountered")),
    signature(
        "core_dumped",
        "crash",
        SYMPTOM,
        ("Aborted", "Bus error", "core dumped"),
        rf"(?:{_SHELL}|{_TASKS}|^)(?:Aborted|Bus error|Floating point exception|Illegal instruction)"
        r"(?: \(core dumped\)|  |\s*$)",
    ),
    signature(
        "worker_signal",
        "crash",
        SYMPTOM,
        (" signal", "died with <Signals."),
        r"is killed by signal: |died with <Signals\.|terminated with signal SIG",
    ),
    signature(
        "exit_signal",
        "crash",
        SYMPTOM,
        (*_EXITS, *_COMPOSER_EXITS),
        rf"(?:{_CODE}|{_COMPOSER_CODE})-\d{{1,2}}\b",
    ),
    signature("cpp_exception", "crash", SYMPTOM, "terminate called after throwing"),
    # Somebody asked for the end.
    signature(
        "torchrun_signal",
        "cancelled",
        TERMINATED,
        " signal",
        r"Process \d{1,9} got signal: \d|Received \S{1,20} death signal, shutting down",
    ),
    signature(
        "task_terminated",
        "cancelled",
        TERMINATED,
        ("Terminated", "with exit code "),
        rf"{_TASKS}Terminated|{_SHELL}Terminated |{_PREFIX}Terminated\s*$|xited with exit code 143\b",
    ),
    signature("srun_forced", "cancelled", TERMINATED, "srun: forcing job termination"),
    signature(
        "keyboard_interrupt",
        "cancelled",
        FAILURE,
        "KeyboardInterrupt",
        rf"{_PREFIX}(?:\^C)?(?:KeyboardInterrupt){{1,9}}(?::|\s*$)|Detected KeyboardInterrupt",
    ),
    # Anything Python says before it ends, and commands that are not there.
    signature(
        "device_error",
        "crash",
        FAILURE,
        ("CUDA error: ", "HIP error: "),
        r"^(?!.{0,120}WARN).{0,400}(?:CUDA|HIP) error: ",
    ),
    signature(
        "rocm_fault", "crash", FAILURE, ("by GPU node-", "HSA_STATUS_ERROR"), r"by GPU node-\d|HSA_STATUS_ERROR_\w"
    ),
    signature("command_missing", "crash", FAILURE, "command not found"),
    signature(
        "command_failed",
        "crash",
        TERMINATED,
        (
            "non-zero exit status",
            "exited with non-zero status",
            "has exited due to process rank ",
            "Error executing job",
        ),
        r"CalledProcessError: .{0,1500}non-zero exit status|process(?:es)? exited with non-zero status|"
        "has exited due to process rank |Error executing job with overrides",
    ),
    signature("child_raised", "crash", TERMINATED, "edException", "Process(?:Raised|Exited)Exception"),
    signature(
        "python_exception",
        "crash",
        FAILURE,
        ("Error: ", "AssertionError", "NotImplementedError", "RuntimeError", "ValueError"),
        rf"{_PYTHON}[A-Za-z_]\w{{0,60}}Error(?:: (?!can only test a child process)|:?\s*$)",
    ),
    signature("python_raised", "crash", FAILURE, "Exception: ", rf"{_PYTHON}\w{{0,60}}Exception: "),
    signature("usage_error", "crash", SYMPTOM, ": error: ", rf"{_PREFIX}(?!srun|slurm)[\w.-]{{1,60}}: error: "),
    signature(
        "exit_code",
        "crash",
        TERMINATED,
        (*_EXITS, *_COMPOSER_EXITS),
        rf"(?:{_CODE}|{_COMPOSER_CODE}|xited with exit code )[1-9]\d{{0,2}}\b"
        r"|return code list: \[[\d, ]{0,80}[1-9]",
    ),
    signature(
        "traceback",
        "crash",
        CONSEQUENCE,
        "Traceback (most recent call last)",
        note="nothing but a traceback tells of a failure",
    ),
)
