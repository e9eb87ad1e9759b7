"""What a log alone tells of its run's end: whole small logs, and the cause that a careful reader names."""

import time

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from paths import examples_of

from nodesweep.common.outcomes import OUTCOME_OF_CAUSE
from nodesweep.logs.endings.signatures import SIGNATURES_OF_ALL
from nodesweep.logs.reader import read_log
from nodesweep.logs.rules import SIGNATURES, SUCCESSES
from nodesweep.logs.trainers import FORMATS, TRAINERS
from nodesweep.results.outcome import Verdict, decide_from_log

SUCCESS_LINES = examples_of("successes.tsv")
SIGNATURE_LINES = examples_of("signatures.tsv")
HARMLESS = [line for kind, line in SIGNATURE_LINES if not kind and "exits successfully" not in line]
CONSEQUENCES = [
    line
    for kind, line in SIGNATURE_LINES
    if next((row.cause for row in SIGNATURES if row.kind == kind), "") == "consequence" and "exitcode" not in line
    if kind not in ("torchrun_root", "received_sigterm")
]


def record(number: int, total: int = 9, extra: str = "") -> str:
    """One iteration line."""
    return f" iteration {number:8d}/{total:8d} | elapsed time per iteration (ms): 1000.0 |{extra}"


STARTED = "[before the start of training step] datetime: 2026-02-03 04:05:06 "
BEGUN = (STARTED, record(1), record(2))
FINISHED = "[after training is done] datetime: 2026-02-03 04:05:11 "
GPU_OOM = "[rank1]: torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 1.16 GiB. GPU 1 has a total capacity"
OOM_KILL = "slurmstepd: error: Detected 1 oom_kill event in StepId=77.0. Some of the step tasks have been OOM Killed."
SHELL_KILLED = "job.sh: line 7: 12 Killed                  python3 train.py"
STEP_CANCELLED = "slurmstepd: error: *** STEP 77.0 ON n1 CANCELLED AT 2026-02-03T04:05:06"
JOB_CANCELLED = "slurmstepd: error: *** JOB 77 ON n1 CANCELLED AT 2026-02-03T04:05:06"
TIME_LIMIT = f"{STEP_CANCELLED} DUE TO TIME LIMIT ***"
KEY_ERROR = "[rank2]: KeyError: 'hidden'"
WATCHDOG = (
    "[rank0]:[E203 04:05:06 ProcessGroupNCCL.cpp:757] [Rank 0] Watchdog caught collective operation timeout: "
    "WorkNCCL(SeqNum=3, OpType=ALLREDUCE, Timeout(ms)=600000) ran for 600051 milliseconds before timing out."
)
TERMINATE = "terminate called after throwing an instance of 'c10::DistBackendError'"
ILLEGAL_ACCESS = (
    "[rank0]:[E203 04:05:06 ProcessGroupNCCL.cpp:1414] [PG 0 Rank 0] Process group watchdog thread terminated with "
    "exception: CUDA error: an illegal memory access was encountered"
)
NCCL_CUDA = "[rank0]: torch.distributed.DistBackendError: NCCL error in: /src/NCCLUtils.cpp:2, unhandled cuda error"
NCCL_CALLOC = ("[rank0]: ncclUnhandledCudaError: Call to CUDA function failed.", "Failed to CUDA calloc async 4 bytes")
NCCL_REMOTE = (
    "[rank1]: torch.distributed.DistBackendError: NCCL error in: /src/NCCLUtils.cpp:2, remote process exited or there "
    "was a network error, NCCL version 2.27.5",
    "[rank1]: ncclRemoteError: A call failed possibly due to a network error or a remote process exiting prematurely.",
    "[rank1]: socketProgress: Connection closed by remote peer n2<42766>",
)
STORE = (
    "[rank3]:[W203 04:05:06 TCPStore.cpp:125] [c10d] recvValue failed on SocketImpl(fd=1): Failed to recv, got 0 "
    "bytes. Connection was likely closed. Did the remote server shutdown or crash?",
    "[rank3]:[W203 04:05:06 TCPStore.cpp:106] [c10d] sendBytes failed on SocketImpl(fd=1): Broken pipe",
    "frame #0: c10::Error::Error(c10::SourceLocation, std::string) + 0x80 (0x7f00 in libc10.so)",
)
SENDING = "W0203 04:05:06.007000 12 torch/distributed/elastic/api.py:1010] Sending process 13 closing signal SIGTERM"
CHILD_FAILED = "torch.distributed.elastic.multiprocessing.errors.ChildFailedError: "
SEGMENTED = "[ERROR] [launch.py:341:sigkill_handler] ['/usr/bin/python3', 'train.py'] exits with return code = -11"
EXITS = "[INFO] [launch.py:367:main] Process {} exits successfully."
MAIN_SIGTERM = "[INFO] [launch.py:295:sigkill_handler] Main process received SIGTERM, exiting"
SIGNALLED = "[WARN] PLE 0610 plexec The process terminated with the signal.(rank=0)(nid=0x01)(sig={})"
ABORTED = "[WARN] PLE 0608 plexec One of MPI processes was aborted.(rank=0)(nid=0x01)(CODE=1903,0,256)(DETAIL=N/A)"
TASK = "srun: error: n1: {}"


def failed(code: int) -> str:
    """What torchrun's agent says of the first process that failed."""
    return f"E0203 04:05:06.007000 12 api.py:984] failed (exitcode: {code}) local_rank: 0 (pid: 13) of binary: python3"


def report(first: int, *others: int) -> tuple[str, ...]:
    """torchrun's report: the exit codes of the other processes, then that of the first failure."""

    def entry(index: int, code: int) -> tuple[str, ...]:
        said = f"Signal {-code} (SIG) received by PID {index}" if code < 0 else "To enable traceback see: docs"
        said = said.replace("9 (SIG)", "9 (SIGKILL)").replace("15 (SIG)", "15 (SIGTERM)")
        return (f"[{index}]:", f"  exitcode  : {code} (pid: {index})", "  error_file: <N/A>", f"  traceback : {said}")

    failures = [line for index, code in enumerate(others, 1) for line in entry(index, code)]
    return (CHILD_FAILED, "Failures:", *failures, "Root Cause (first observed failure):", *entry(0, first))


BUILDING, FIRST, AFTER = "while building", "in iteration 1", "after iteration 2"
# Name: cause, where, a piece of the evidence; then the lines of the log.
CASES = {
    # Work done.
    "all iterations": ("ok", "", "iteration 3 of 3", *BEGUN, record(3, 3)),
    "all iterations, then teardown": ("ok", "", "3 of 3", *BEGUN, record(3, 3), *STORE, *NCCL_REMOTE, TERMINATE),
    "all iterations, then a time limit": ("ok", "", "3 of 3", *BEGUN, record(3, 3), TIME_LIMIT),
    "end marked before the last iteration": ("ok", "", "after training is done", *BEGUN, FINISHED, *STORE),
    "end marked, then killed": ("ok", "", "after training is done", *BEGUN, FINISHED, *STORE, SHELL_KILLED),
    "end marked by Lightning": ("ok", "", "max_", *BEGUN, "`Trainer.fit` stopped: `max_steps=2` reached.", KEY_ERROR),
    "end marked by torchtitan": ("ok", "", "Training completed", *BEGUN, "[titan] Training completed", TERMINATE),
    "planned early exit": ("ok", "", "exiting program", *BEGUN, "[exiting program at iteration 2] datetime: now"),
    "figures of a whole run": ("ok", "", "train_runtime", "{'train_runtime': 273.2, 'train_loss': 2.5}"),
    "wandb after the end": ("ok", "", "Process 13 exits", *BEGUN, EXITS.format(12), *HARMLESS, EXITS.format(13)),
    "resumed when finished": (
        "ok_no_iterations",
        "",
        "Process 2",
        "setting up ...",
        *(EXITS.format(n) for n in (1, 2)),
    ),
    "marked end without iterations": ("ok_no_iterations", "", "after training is done", STARTED, FINISHED),
    "one process of several": ("crash", AFTER, "KeyError", *BEGUN, EXITS.format(1), KEY_ERROR, SEGMENTED),
    "one process, another killed": ("killed", BUILDING, "exitcode: -9", EXITS.format(1), failed(-9)),
    "a script that always says so": ("oom_gpu", AFTER, "rank1", *BEGUN, GPU_OOM, "Training finished."),
    "finished, then run again": ("crash", AFTER, "KeyError", *BEGUN, FINISHED, STARTED, KEY_ERROR),
    "run again from the start": ("truncated", "after iteration 1", "iteration 1", record(3, 3), STARTED, record(1, 3)),
    "not a number at the end": (
        "nan_loss",
        "after iteration 9",
        "iteration 9 has",
        *BEGUN,
        record(9, 9, " number of nan iterations:   1 |"),
    ),
    "the loss is nan": ("nan_loss", "after iteration 3", "line 4", *BEGUN, record(3, 9, " lm loss: NAN |")),
    "nan survived": ("truncated", "after iteration 4", "line 5", *BEGUN, record(3, 9, " lm loss: NAN |"), record(4)),
    # Memory.
    "out of memory on one rank": (
        "oom_gpu",
        FIRST,
        GPU_OOM,
        STARTED,
        *NCCL_REMOTE,
        GPU_OOM,
        *STORE,
        SENDING,
        failed(1),
    ),
    "a timeout because a rank was out of memory": ("oom_gpu", AFTER, GPU_OOM, *BEGUN, WATCHDOG, TERMINATE, GPU_OOM),
    "out of memory, then others waited": ("oom_gpu", AFTER, GPU_OOM, *BEGUN, GPU_OOM, TIME_LIMIT),
    "oom_kill and what the shell saw": ("oom_host", BUILDING, "oom_kill", SHELL_KILLED, OOM_KILL),
    "oom_kill, then srun cancels the step": (
        "oom_host",
        BUILDING,
        "oom_kill",
        OOM_KILL,
        TASK.format("task 0: Out Of Memory"),
        f"{STEP_CANCELLED} ***",
    ),
    "time limit, then memory": ("time_limit", AFTER, "TIME LIMIT", *BEGUN, TIME_LIMIT, "MemoryError"),
    "an old wording": ("oom_gpu", FIRST, "CUDA error", STARTED, "RuntimeError: CUDA error: out of memory"),
    "PJM's reason": (
        "oom_host",
        BUILDING,
        "LIMIT OVER",
        " JOB NAME : a",
        " REASON                       : LIMIT OVER MEMORY",
    ),
    # Schedulers.
    "time limit": ("time_limit", AFTER, "TIME LIMIT", *BEGUN, TIME_LIMIT, MAIN_SIGTERM),
    "time limit torn by another line": (
        "time_limit",
        BUILDING,
        "STEP 77.0",
        f"{STEP_CANCELLED} ***{JOB_CANCELLED} DUE TO TIME LIMIT ***",
    ),
    "time limit said by one of two": (
        "time_limit",
        BUILDING,
        "JOB 77",
        f"{STEP_CANCELLED} ***",
        f"{JOB_CANCELLED} DUE TO TIME LIMIT ***",
    ),
    "time limit after an exception that hung": ("time_limit", AFTER, "TIME LIMIT", *BEGUN, KEY_ERROR, TIME_LIMIT),
    "node failure": ("node_failure", AFTER, "n2", *BEGUN, "srun: error: Node failure on n2", *NCCL_REMOTE, GPU_OOM),
    "preempted": ("preempted", AFTER, "PREEMPTION", *BEGUN, KEY_ERROR, f"{JOB_CANCELLED} DUE TO PREEMPTION ***"),
    "cancelled": ("cancelled", AFTER, "CANCELLED", *BEGUN, MAIN_SIGTERM, f"{STEP_CANCELLED} ***", KEY_ERROR),
    "cancelled in the middle of a bar": (
        "cancelled",
        BUILDING,
        "3/9",
        f" 3/9 [01:00<02:00, 20.0s/it]{STEP_CANCELLED} ***",
    ),
    "srun cancels after a failure": (
        "crash",
        AFTER,
        KEY_ERROR,
        *BEGUN,
        KEY_ERROR,
        TASK.format("task 2: Exited with exit code 1"),
        f"{STEP_CANCELLED} ***",
    ),
    "srun cancels after an exit": (
        "crash",
        BUILDING,
        "exit code 1",
        TASK.format("task 2: Exited with exit code 1"),
        f"{STEP_CANCELLED} ***",
        TASK.format("tasks 0-1: Killed"),
    ),
    "srun says task failure": ("crash", BUILDING, KEY_ERROR, KEY_ERROR, f"{STEP_CANCELLED} DUE TO TASK FAILURE ***"),
    "a signal through Slurm": ("cancelled", AFTER, "SIGNAL", *BEGUN, f"{STEP_CANCELLED} DUE to SIGNAL Terminated ***"),
    "interrupted": (
        "cancelled",
        AFTER,
        "line 4",
        *BEGUN,
        "KeyboardInterrupt",
        "NameError: free variable 'kill'",
        MAIN_SIGTERM,
    ),
    "torchrun was terminated": (
        "cancelled",
        AFTER,
        "signal: 15",
        *BEGUN,
        SENDING,
        "torch...api.SignalException: Process 12 got signal: 15",
    ),
    "terminated, then killed": (
        "cancelled",
        AFTER,
        "SIGTERM",
        *BEGUN,
        MAIN_SIGTERM,
        SHELL_KILLED,
        failed(-9),
        SEGMENTED,
    ),
    "PLE refuses": ("launch_failed", "", "PMIx", "[ERR.] PLE 0080 plexec PMIx service error occurred.(nid=0x01)"),
    # Communication.
    "collective timeout": (
        "nccl_timeout",
        FIRST,
        "Watchdog",
        STARTED,
        WATCHDOG,
        TERMINATE,
        failed(-6),
        *report(-6, -6, -6),
    ),
    "timeout because a rank died": ("crash", AFTER, KEY_ERROR, *BEGUN, KEY_ERROR, WATCHDOG),
    "errors in the aftermath of a timeout": (
        "nccl_timeout",
        AFTER,
        "Watchdog",
        *BEGUN,
        WATCHDOG,
        "[rank3]: RuntimeError: [rank 3] gone",
    ),
    "illegal access seen by the watchdog": ("crash", FIRST, "illegal", STARTED, ILLEGAL_ACCESS, TERMINATE, failed(-6)),
    "no group": (
        "nccl_timeout",
        BUILDING,
        "Timed out",
        "RuntimeError: Timed out initializing process group in store based barrier on rank: 3",
    ),
    "NCCL without memory": (
        "nccl_error",
        BUILDING,
        NCCL_CUDA,
        NCCL_CUDA,
        *NCCL_CALLOC,
        *NCCL_REMOTE,
        *STORE,
        SEGMENTED,
    ),
    "NCCL lost a peer, then signal 11": ("nccl_error", BUILDING, "remote process", *NCCL_REMOTE, SEGMENTED),
    "a peer was killed": ("killed", BUILDING, "exitcode: -9", failed(-9), *NCCL_REMOTE, WATCHDOG),
    "only broken connections": ("crash", AFTER, "recvValue", *BEGUN, *STORE),
    # Crashes and signals.
    "import error, others terminated": (
        "crash",
        BUILDING,
        "line 1: Mod",
        "ModuleNotFoundError: No module named 'x'",
        SENDING,
        failed(1),
        *report(1, -15, -15),
    ),
    "root cause killed": ("killed", BUILDING, "exitcode : -9", *report(-9, -6, -6, -15)),
    "root cause aborted, others killed": ("crash", BUILDING, "exitcode : -6", *report(-6, -9, -9, -9, -9, -9)),
    "root cause an exit code, others killed": ("crash", BUILDING, "exitcode: 1", failed(1), *report(1, -9, -9)),
    "root cause among many of its kind": ("crash", BUILDING, "exitcode : -6", *report(-6, *[-6] * 7, -9)),
    "sig=9": ("killed", BUILDING, "sig=9", SIGNALLED.format(9)),
    "sig=11": ("crash", BUILDING, "sig=11", SIGNALLED.format(11), SIGNALLED.format(15)),
    "MPI abort": ("mpi_error", BUILDING, "PLE 0608", ABORTED),
    "exception, then MPI abort": (
        "crash",
        BUILDING,
        KEY_ERROR,
        KEY_ERROR,
        "MPI_ABORT was invoked on rank 2 in communicator",
        ABORTED,
    ),
    "survived exception": ("truncated", AFTER, "iteration 2", KEY_ERROR, *BEGUN),
    "a traceback without its end": ("crash", AFTER, "Traceback", *BEGUN, "[rank0]: Traceback (most recent call last):"),
    "error output alone, of a step": (
        "crash",
        "in training",
        KEY_ERROR,
        '  File "train.py", line 3, in train_step',
        KEY_ERROR,
    ),
    "stopped in the loop": ("cancelled", "in training", "SIGTERM", "[exiting program after receiving SIGTERM.]"),
    "time limit, submitted again": ("ok_no_iterations", "", "line 2", TIME_LIMIT, "Training completed"),
    # Nothing.
    "cut off": ("truncated", AFTER, "line 3: iteration 2/ 9", *BEGUN),
    "cut off amid noise": ("truncated", AFTER, HARMLESS[-1], *BEGUN, *HARMLESS),
    "empty": ("truncated", BUILDING, ""),
}


@pytest.fixture
def ended(tmp_path):
    """How a log with the given lines ends."""

    def ended(lines) -> Verdict:
        path = tmp_path / "run.log"
        path.write_text("".join(f"{line}\n" for line in lines))
        return decide_from_log(read_log(path, FORMATS["megatron-deepspeed"]))

    return ended


@pytest.mark.parametrize("name", CASES)
def test_cause_where_and_evidence(ended, name):
    """Each way to end has its cause, the place where the work stopped, and the line that decided it."""
    cause, where, evidence, *lines = CASES[name]
    verdict = ended(lines)
    assert (verdict.cause, verdict.where) == (cause, where)
    assert evidence in verdict.evidence


RECORDS = [
    record(2),
    "  5%|5         | 2/40 [00:04<01:16,  2.00s/it]",
    "Epoch 0:  5%|5  | 2/40 [00:04<01:16, v_num=x, loss=9.000, global_step=1.000, train_step_timing in s=2.0]",
    "Training epoch 0, iteration 1/39 | lr: 0.1 | global_step: 1 | loss: 9.0 | train_step_timing in s: 2.0",
    "{'loss': 9.0, 'grad_norm': 1.0, 'learning_rate': 1e-05, 'epoch': 0.5}",
]


@pytest.mark.parametrize("begun", RECORDS)
@pytest.mark.parametrize(
    ("cause", "failure"),
    [
        ("oom_gpu", GPU_OOM),
        ("oom_host", OOM_KILL),
        ("killed", SHELL_KILLED),
        ("time_limit", TIME_LIMIT),
        ("crash", KEY_ERROR),
        ("nccl_timeout", WATCHDOG),
        ("nccl_error", NCCL_CUDA),
        ("cancelled", SHELL_KILLED.replace("Killed", "Terminated")),
    ],
)
def test_failures_behind_records(tmp_path, begun, cause, failure):
    """Another process writes to the end of a line that its writer has not ended: both are read, and its words shown."""
    path = tmp_path / "run.log"
    path.write_text(f"{begun.replace('2', '1', 1)}\n{begun}{failure}\n")
    reading = read_log(path)
    assert reading.iterations
    assert decide_from_log(reading).cause == cause
    assert decide_from_log(reading).evidence.endswith(" ".join(failure.split()))
    assert len(decide_from_log(reading).evidence) < len(failure) + 40


@pytest.mark.parametrize("prefix", ["0: ", "[default0]:", "[rank0]:[rank0]: ", "192.168.1.2: ", "(train, pid=7) "])
@pytest.mark.parametrize("name", CASES)
def test_prefixes_change_no_cause(ended, prefix, name):
    """Whatever launchers put before the lines, the cause is the same."""
    cause, _, _, *lines = CASES[name]
    assert ended(prefix + line for line in lines).cause == cause


@settings(max_examples=300, deadline=2000, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data(), name=st.sampled_from(sorted(CASES)))
def test_harmless_lines_change_no_cause(ended, data, name):
    """Noise between the lines of a log, wherever it comes, changes nothing."""
    cause, _, _, *lines = CASES[name]
    for noise in data.draw(st.lists(st.sampled_from(HARMLESS), max_size=8)):
        lines.insert(data.draw(st.integers(0, len(lines))), noise)
    assert ended(lines).cause == cause


@settings(max_examples=300, deadline=2000, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data(), name=st.sampled_from(sorted(name for name in CASES if CASES[name][0] != "truncated")))
def test_consequences_change_no_cause(ended, data, name):
    """What one rank's death does to others changes nothing either, before or after the line that tells of it."""
    cause, _, _, *lines = CASES[name]
    for noise in data.draw(st.lists(st.sampled_from(CONSEQUENCES), max_size=8)):
        lines.insert(data.draw(st.integers(0, len(lines))), noise)
    assert ended(lines).cause == cause


def test_outcomes_and_notes(ended):
    """The coarse outcome follows from the cause, and notes say what a reader should know."""
    assert ended(BEGUN) == Verdict(
        outcome="lost",
        where="after iteration 2",
        evidence=f"line 3: {' '.join(record(2).split())}",
        note="the log simply ends",
        rule="there is nothing but a log, and it simply ends",
        cause="truncated",
    )
    assert ended([failed(-9)]).note == "killed by SIGKILL; the host's OOM killer is likely"
    assert ended(STORE).note == "only consequences of a failure are in the log"
    done = ended([*BEGUN, FINISHED, KEY_ERROR])
    assert done.note == f"iteration 2 of 9 is the last in the log; after the end: line 5: {KEY_ERROR}"
    part = ended(["using world size: 8, data-parallel-size: 8", *BEGUN, EXITS.format(1)])
    assert part.note == "iteration 2 of 9 is the last in the log; 1 of 8 processes say that they ended well"
    assert {row.cause for row in SIGNATURES} <= set(OUTCOME_OF_CAUSE)
    for row in SIGNATURES:
        assert row.outcome == OUTCOME_OF_CAUSE[row.cause]


@pytest.mark.parametrize(("kind", "line"), SUCCESS_LINES)
def test_success_examples(tmp_path, kind, line):
    """Every example of a success is known by its own row, alone and behind prefixes; other lines by none."""
    for prefix in ("", "0: ", "[default3]:") if kind else ("",):
        (tmp_path / "run.log").write_text(f"{prefix}{line}\n")
        seen = read_log(tmp_path / "run.log", FORMATS["megatron-deepspeed"]).successes
        assert [(item.success.kind, item.line, item.count) for item in seen] == ([(kind, 1, 1)] if kind else [])


def test_every_marker_is_of_use():
    """Every marker of every row stands in some example of that row."""
    for rows, examples in ((SIGNATURES, SIGNATURE_LINES), (SUCCESSES, SUCCESS_LINES)):
        assert {row.kind for row in rows} == {kind for kind, _ in examples} - {""}
        for row in rows:
            unused = [m for m in row.markers if not any(m in line for kind, line in examples if kind == row.kind)]
            assert unused == [], row.kind


def test_markers_are_few_and_long():
    """Markers of all logs and of each trainer stay few: words that a healthy log of a million lines hardly holds."""
    of_all = {marker for row in SIGNATURES_OF_ALL for marker in row.markers}
    of_trainers = [
        {marker for row in (*trainer.signatures, *trainer.successes) for marker in row.markers}
        for trainer in TRAINERS.values()
    ]
    every = of_all.union(*of_trainers)
    assert len(every) <= 130, "each marker costs every log time: measure with tests/bench/logs.py before this grows"
    assert max(map(len, of_trainers)) <= 6
    assert min(map(len, every)) >= 6


@pytest.mark.parametrize("row", [*SIGNATURES, *SUCCESSES], ids=lambda row: row.kind)
def test_patterns_do_not_backtrack(row):
    """No line made of a pattern's own pieces takes more than a few milliseconds."""
    pieces = [line for kind, line in (*SIGNATURE_LINES, *SUCCESS_LINES) if kind == row.kind] + [
        *row.markers,
        "a.",
        "] ",
    ]
    for piece in pieces:
        for text in ((piece * 2000)[:2000] + "!", (piece[: len(piece) // 2] * 2000)[:2000] + "!"):
            started = time.process_time()
            row.pattern.search(text)
            assert time.process_time() - started < 0.1
