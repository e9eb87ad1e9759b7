"""Lines in which schedulers and launchers of jobs say why they ended one, as rows of data; see signatures.py."""

from nodesweep.logs.patterns.endings import CONSEQUENCE, FAILURE, ROOT, SCHEDULER, TERMINATED, signature

_CANCELLED = r"(?:JOB|STEP) \S{1,80} (?:ON \S{1,255} )?CANCELLED AT \S{1,40}"

NOT_LAUNCHED, SETUP_UNFINISHED = "nodesweep_not_launched", "nodesweep_setup_unfinished"
"""Kinds of the lines in which a job script says what of its set-up failed, and what was under way when it was ended."""
NOT_LAUNCHED_MARKER = "nodesweep: not launched: "

SCHEDULER_MESSAGES = (
    signature(
        SETUP_UNFINISHED,
        "setup_failed",
        TERMINATED,
        NOT_LAUNCHED_MARKER,
        r"nodesweep: not launched: .{1,4000} had not ended when the job was ended",
    ),
    signature(NOT_LAUNCHED, "setup_failed", FAILURE, NOT_LAUNCHED_MARKER),
    signature("slurm_time_limit", "time_limit", SCHEDULER, "DUE TO ", r"DUE TO TIME LIMIT (?:\*|on )"),
    signature("slurm_preemption", "preempted", SCHEDULER, "DUE TO ", r"DUE TO PREEMPTION (?:\*|on )"),
    signature("slurm_requeue", "preempted", SCHEDULER, "DUE TO ", r"DUE TO JOB REQUEUE \*"),
    signature("slurm_node_failure", "node_failure", SCHEDULER, "DUE TO ", r"DUE TO NODE FAIL(?:URE)?[, *]"),
    signature(
        "srun_node_failure",
        "node_failure",
        SCHEDULER,
        "error: Node failure on ",
        r"\b(?:srun|salloc): error: Node failure on ",
    ),
    signature("slurm_task_failure", "consequence", CONSEQUENCE, "DUE TO ", rf"{_CANCELLED} DUE TO TASK FAILURE"),
    signature("slurm_signal", "cancelled", TERMINATED, "DUE to SIGNAL", rf"{_CANCELLED} DUE to SIGNAL"),
    signature("slurm_cancelled", "cancelled", SCHEDULER, "CANCELLED AT", rf"{_CANCELLED}(?:\s|$)(?!DUE )"),
    signature("slurm_memory_limit", "oom_host", ROOT, "exceeded memory limit (", r"limit \(\d{1,20} > \d{1,20}\)"),
    signature("pjm_time_limit", "time_limit", SCHEDULER, "ELAPSE LIMIT EXC"),
    signature("pjm_elapse_limit", "time_limit", SCHEDULER, "[ERR.] PJM 70", r"\[ERR\.\] PJM 7004 "),
    signature("pjm_memory_limit", "oom_host", ROOT, "LIMIT OVER MEMORY"),
    signature("pjm_out_of_memory", "oom_host", ROOT, "[ERR.] PJM 70", r"\[ERR\.\] PJM (?:7005|7011) "),
    signature("pjm_node_down", "node_failure", SCHEDULER, "[ERR.] PJM 70", r"\[ERR\.\] PJM (?:7002|7008|7010|7013) "),
    signature("pjm_deadline", "preempted", SCHEDULER, "[ERR.] PJM 70", r"\[ERR\.\] PJM 7001 "),
    signature("pjm_not_started", "launch_failed", SCHEDULER, "[ERR.] PJM 70", r"\[ERR\.\] PJM (?:7007|7009) "),
    signature("pjm_deleted", "cancelled", SCHEDULER, "[INFO] PJM 7090 "),
    signature("pjm_code_time", "time_limit", SCHEDULER, "PJM CODE", r"PJM CODE {0,30}: {0,4}11\b"),
    signature("pjm_code_memory", "oom_host", ROOT, "PJM CODE", r"PJM CODE {0,30}: {0,4}(?:12|23)\b"),
    signature("pjm_code_node", "node_failure", SCHEDULER, "PJM CODE", r"PJM CODE {0,30}: {0,4}(?:20|22|25)\b"),
    signature("pjm_code_deleted", "cancelled", SCHEDULER, "PJM CODE", r"PJM CODE {0,30}: {0,4}1\b"),
    signature("pbs_walltime", "time_limit", SCHEDULER, ": job killed", r"=>> PBS: job killed: walltime"),
    signature("pbs_cpu_time", "time_limit", SCHEDULER, ": job killed", r"=>> PBS: job killed: p?cput "),
    signature("pbs_memory", "oom_host", ROOT, ": job killed", r"=>> PBS: job killed: v?mem "),
    signature("pbs_killed", "killed", SCHEDULER, ": job killed", "=>> PBS: job killed: ", note="killed by PBS"),
    signature("lsf_run_limit", "time_limit", SCHEDULER, ": job killed", "TERM_RUNLIMIT: "),
    signature("lsf_memory_limit", "oom_host", ROOT, ": job killed", "TERM_MEMLIMIT: "),
    signature("lsf_preemption", "preempted", SCHEDULER, ": job killed", "TERM_PREEMPT: "),
    signature("lsf_killed", "cancelled", SCHEDULER, ": job killed", "TERM_(?:OWNER|ADMIN): "),
    signature("pbs_cgroup_memory", "oom_host", ROOT, "Cgroup mem", r"Cgroup mem(?:ory|sw) limit exceeded"),
    signature(
        "plexec_refused",
        "launch_failed",
        SCHEDULER,
        " plexec ",
        r"\[ERR\.\] PLE (?:000[258]|0010|0018|004[24]|0050|0060|0070|008[01]) |PLE 0611 ",
    ),
    signature("srun_launch", "launch_failed", FAILURE, "srun: error: ", "srun: error: (?:Task launch for |Unable to )"),
    signature("slurm_execve", "launch_failed", FAILURE, "slurmstepd: error: execve"),
)
