"""Why a job ended, decided from scheduler, exit code and log together."""

import pytest

from nodesweep.common.outcomes import OUTCOME_OF_CAUSE
from nodesweep.logs.reader import read_log
from nodesweep.logs.reading import LogReading
from nodesweep.logs.trainers import FORMATS
from nodesweep.results.outcome import Verdict, decide, decide_from_log
from nodesweep.schedulers.base import End

STARTED = "[before the start of training step] datetime: 2026-02-03 04:05:06 "
FINISHED = "[after training is done] datetime: 2026-02-03 04:05:11 "
CPU_OOM = (
    "[rank1]: RuntimeError: [enforce fail at alloc_cpu.cpp:118] err == 0. DefaultCPUAllocator: can't allocate memory"
)
PEER = "[rank0]: RuntimeError: [../gloo/transport/tcp/pair.cc:553] Connection closed by peer [127.0.0.1]:41233"
TIME_LIMIT = "slurmstepd: error: *** STEP 77.0 ON n1 CANCELLED AT 2026-02-03T04:05:06 DUE TO TIME LIMIT ***"
REPORT = "torch.distributed.elastic.multiprocessing.errors.ChildFailedError: "
KEY_ERROR = "[rank2]: KeyError: 'hidden'"


def record(number: int, extra: str = "") -> str:
    return f" iteration {number:8d}/       3 | elapsed time per iteration (ms): 1000.0 |{extra}"


BATCH = "batch 3 took 0.11 s"
OPENING = "nodesweep: toy-0123456789ab-a1-x7kq starts on node-1 at 2026-03-01T12:00:00Z"
CLOSING = "nodesweep: the launch ended with exit code 0"
NAN = record(2, " number of nan iterations:   1 |")
DONE = (STARTED, record(1), record(2), record(3))


@pytest.fixture
def verdict(tmp_path):
    """Decide an end and the lines of a log, of a run asked for three iterations."""

    def verdict(end: End, *lines: str) -> Verdict:
        path = tmp_path / "run.log"
        path.write_text("".join(f"{line}\n" for line in lines))
        return decide(end, read_log(path, FORMATS["megatron-deepspeed"]), 3)

    return verdict


CASES = {
    "all done": (End(0), DONE, "ok", ""),
    "fewer iterations but the end is marked": (End(0), (STARTED, record(2), FINISHED), "ok", ""),
    "end marked, restarted since": (End(1), (STARTED, record(1), FINISHED, STARTED), "crash", "after iteration 1"),
    "oom while building": (End(1), (CPU_OOM,), "oom", "while building"),
    "oom in iteration 1": (End(1), (STARTED, CPU_OOM), "oom", "in iteration 1"),
    "oom after iteration 2": (End(1), (STARTED, record(1), record(2), CPU_OOM), "oom", "after iteration 2"),
    "oom is the root, the peer's end its consequence": (End(1), (STARTED, PEER, CPU_OOM), "oom", "in iteration 1"),
    "oom though the script hid it": (End(0), (STARTED, CPU_OOM), "oom", "in iteration 1"),
    "oom by the scheduler": (End(137, "out_of_memory", "OUT_OF_MEMORY"), (STARTED,), "oom", "in iteration 1"),
    "oom, then others waited": (End(124, "time_limit"), (STARTED, CPU_OOM), "oom", "in iteration 1"),
    "time limit, then noise": (End(1), (STARTED, TIME_LIMIT, CPU_OOM), "timeout", "in iteration 1"),
    "time limit": (End(124, "time_limit"), (STARTED, record(1)), "timeout", "after iteration 1"),
    "time limit by the log": (End(1), (STARTED, TIME_LIMIT), "timeout", "in iteration 1"),
    "nan": (End(1), (STARTED, record(1), NAN), "nan", "after iteration 2"),
    "nan in a gradient": (End(1), (STARTED, "AssertionError: Rank 1: found NaN in local"), "nan", "in iteration 1"),
    "nan to the end": (End(0), (STARTED, record(3, " lm loss: NAN |")), "nan", "after iteration 3"),
    "node failure beats oom": (End(None, "node_failure"), (STARTED, CPU_OOM), "node_failure", "in iteration 1"),
    "preempted": (End(143, "preempted"), (STARTED, record(1)), "preempted", "after iteration 1"),
    "cancelled before it started": (End(None, "cancelled"), (), "cancelled", ""),
    "cancelled": (End(143, "cancelled"), (STARTED,), "cancelled", "in iteration 1"),
    "interrupted": (End(1), (STARTED, "KeyboardInterrupt"), "cancelled", "in iteration 1"),
    "hang": (End(1), (STARTED, "RuntimeError: Socket Timeout"), "hang", "in iteration 1"),
    "command not found": (End(127), ("job.sh: line 3: trainer: command not found",), "launch_failed", ""),
    "command not executable": (End(126), (), "launch_failed", ""),
    "launch failed": (End(None, "launch_failed"), (), "launch_failed", ""),
    "crash": (End(1), (STARTED, PEER, KEY_ERROR, REPORT), "crash", "in iteration 1"),
    "bare kill": (End(137), (STARTED, record(1)), "crash", "after iteration 1"),
    "bare exit": (End(3), (), "crash", "while building"),
    "too few iterations": (End(0), (STARTED, record(1)), "crash", "after iteration 1"),
    "ended well, not understood": (End(0), (BATCH, CLOSING), "unread", ""),
    "ended well, only its start is logged": (End(0), (STARTED, CLOSING), "unread", ""),
    "ended well, and the log shows a failure": (End(0), (BATCH, KEY_ERROR, CLOSING), "crash", "while building"),
    "ended well, and a log nobody described goes on after a failure": (
        End(0),
        (KEY_ERROR, BATCH, CLOSING),
        "unread",
        "",
    ),
    "ended well, and a log nobody described spoke of memory": (End(0), (CPU_OOM, BATCH, CLOSING), "unread", ""),
    "ended well, and a known log goes on after a failure": (
        End(0),
        (STARTED, KEY_ERROR, BATCH, CLOSING),
        "crash",
        "in iteration 1",
    ),
    "cancelled with exit code 0": (End(0, "cancelled"), (BATCH, CLOSING), "cancelled", "while building"),
    "the script ended before any launch did": (End(0), (BATCH,), "crash", "while building"),
    "ended badly, not understood": (End(1), (BATCH, CLOSING), "crash", "while building"),
    "nothing known": (End(None), (), "lost", "while building"),
    "lost": (End(None, "lost"), (STARTED, PEER), "lost", "in iteration 1"),
    "lost by the scheduler, told by the log": (End(None, "lost"), (CPU_OOM,), "oom", "while building"),
}


def test_what_was_not_understood_says_what_to_do(verdict):
    """The trainer's last words are the evidence, not nodesweep's own line; the note names the key and the document."""
    found = verdict(End(0), "batch 2 took 0.11 s", BATCH, CLOSING)
    assert (found.evidence, found.cause) == ("line 2: batch 3 took 0.11 s", "log_unread")
    assert "workload.log_format (docs/logs.md)" in found.note
    near = verdict(End(0), " iteration 1 of 3 | elapsed time per iteration", CLOSING)
    assert "(line 1 holds 'elapsed time per iteration' and does not fit)" in near.note


def test_an_empty_log_says_what_to_do(verdict):
    """Where the trainer wrote nothing, nodesweep's own first line is no evidence, and no pattern would help."""
    found = verdict(End(0, None, "exit code 0"), OPENING, CLOSING)
    assert (found.outcome, found.cause, found.evidence) == ("unread", "log_unread", "scheduler: exit code 0")
    assert "standard output" in found.note and "log_format" not in found.note
    blank_at_its_end = verdict(End(0), OPENING, BATCH, "", "", CLOSING)
    assert verdict(End(0), OPENING, f"99 % done{CLOSING}").evidence == "line 2: 99 % done"
    assert (blank_at_its_end.evidence, "log_format" in blank_at_its_end.note) == (f"line 2: {BATCH}", True)


def test_a_torn_log_is_no_evidence_of_less_work(tmp_path):
    """Two of three iterations and exit code 0: a crash where that is the whole log, unread where more was written."""
    path = tmp_path / "run.log"
    path.write_text("\n".join((STARTED, record(1), record(2))))
    reading = read_log(path, FORMATS["megatron-deepspeed"])
    assert decide(End(0), reading, 3).outcome == "crash"
    torn = decide(End(0), reading, 3, is_torn=True)
    assert (torn.outcome, torn.where, torn.cause) == ("unread", "after iteration 2", "log_torn")
    assert "its log ends before the job did" in torn.note
    assert decide(End(1), reading, 3, is_torn=True).outcome == "crash"
    assert decide(End(0), LogReading(), 3, is_torn=True).note.startswith("there is no log of it that can be read")


@pytest.mark.parametrize(("end", "lines", "outcome", "where"), CASES.values(), ids=CASES)
def test_outcome_and_where(verdict, end, lines, outcome, where):
    """Each way to end has its outcome, and the place where the work stopped."""
    decided = verdict(end, *lines)
    assert (decided.outcome, decided.where) == (outcome, where)


def test_work_done_beats_the_exit_code(verdict):
    """All iterations there: ok, whatever came after, and the note says what."""
    rule = "the log has all iterations asked for, or the trainer says that it finished"
    assert verdict(End(0), *DONE) == Verdict("ok", "", "line 4: iteration 3 of 3", "", rule, "ok")
    assert verdict(End(1), *DONE, KEY_ERROR).note == "crashed in cleanup (exit code 1)"
    assert verdict(End(137, "out_of_memory", "OUT_OF_MEMORY"), *DONE).note == "scheduler says OUT_OF_MEMORY"
    assert verdict(End(124, "time_limit"), *DONE).note == "scheduler says time_limit"


def test_evidence_is_the_root_line(verdict):
    """The line of the first failing rank is shown, not the broken connections and reports around it."""
    assert verdict(End(1), STARTED, PEER, KEY_ERROR, REPORT).evidence == f"line 3: {KEY_ERROR}"
    assert verdict(End(1), STARTED, PEER, CPU_OOM).evidence == f"line 3: {CPU_OOM}"


def test_only_consequences_are_better_than_nothing(verdict):
    """Where no root is in the log, the first consequence is the evidence."""
    assert verdict(End(1), STARTED, PEER, REPORT).evidence == f"line 2: {PEER}"


def test_evidence_of_the_scheduler(verdict):
    """Without a line in the log, the scheduler's word is the evidence."""
    assert verdict(End(124, "time_limit", "TIMEOUT")).evidence == "scheduler: TIMEOUT, exit code 124"
    assert verdict(End(None, "lost")).evidence == "scheduler: lost, no exit code"
    assert verdict(End(3, None, "exit code 3")).evidence == "scheduler: exit code 3"


def test_evidence_of_a_command_that_cannot_be_started(verdict):
    """A shell's last words name what it could not start, however it puts that."""
    missing = verdict(End(127, None, "exit code 127"), OPENING, "job.sh: line 9: exec: train: not found", CLOSING)
    assert (missing.outcome, missing.evidence) == ("launch_failed", "line 2: job.sh: line 9: exec: train: not found")


def test_last_words(verdict):
    """A crash without any signature shows the last line of its log and how far it came."""
    decided = verdict(End(2), STARTED, record(1), "trainer: 3 is not a size")
    assert decided.evidence == "line 3: trainer: 3 is not a size"
    assert decided.note == "exit code 2, 1 of 3 iterations in the log"
    assert verdict(End(2)).evidence == "scheduler: ended, exit code 2"


@pytest.mark.parametrize("lines", [(), (STARTED, "  exitcode  : -9 (pid: 8158)"), (STARTED, PEER, REPORT)])
def test_a_bare_kill_is_no_proof_of_oom(verdict, lines):
    """SIGKILL by an unknown hand is a crash whose note names the likely one."""
    decided = verdict(End(137), *lines)
    assert (decided.outcome, decided.note) == ("crash", "killed by SIGKILL; the host's OOM killer is likely")


def test_every_cause_has_an_outcome(verdict):
    """Whatever a scheduler can give as cause is decided."""
    for cause in OUTCOME_OF_CAUSE:
        assert verdict(End(1, cause)).outcome == OUTCOME_OF_CAUSE[cause]


@pytest.mark.parametrize(("requested", "code", "outcome"), [(25, 0, "ok"), (30, 0, "crash"), (25, 1, "crash")])
def test_the_iterations_after_the_last_record(tmp_path, requested, code, outcome):
    """Of a trainer that logs each tenth iteration 20 is the last seen of 25; a failure or ten more are not hidden."""
    path = tmp_path / "run.log"
    path.write_text("".join(f"{record(number)}\n".replace("/       3", "/      25") for number in (10, 20)))
    assert decide(End(code), read_log(path), requested).outcome == outcome


PEER_ALONE = (STARTED, PEER, REPORT)


@pytest.mark.parametrize(
    ("lines", "cause", "rule"),
    [
        (DONE, "ok", "the log has all iterations that it speaks of, or says that the work was done"),
        ((STARTED, FINISHED), "ok_no_iterations", "the log has all iterations that it speaks of"),
        ((STARTED, CPU_OOM), "oom_host", "the log shows that memory ran out"),
        ((STARTED, record(1), NAN), "nan_loss", "the loss is not a number at the end"),
        ((STARTED, TIME_LIMIT), "time_limit", "the log shows a failure"),
        (PEER_ALONE, "crash", "the log shows only consequences of a failure"),
        ((STARTED, record(1)), "truncated", "there is nothing but a log, and it simply ends"),
    ],
)
def test_the_same_rules_decide_from_a_log_alone(tmp_path, lines, cause, rule):
    """Without scheduler, exit code and a number of iterations the log decides, by the rules that decide of any job."""
    (tmp_path / "run.log").write_text("".join(f"{line}\n" for line in lines))
    verdict = decide_from_log(read_log(tmp_path / "run.log"))
    assert (verdict.cause, verdict.outcome) == (cause, OUTCOME_OF_CAUSE[cause])
    assert verdict.rule.startswith(rule)


def test_what_the_scheduler_knows_stands_in_its_lines(tmp_path):
    """In a log alone a failed node's line counts before an earlier out-of-memory, as the scheduler's record would."""
    node = "slurmstepd: error: *** STEP 77.0 ON n1 CANCELLED AT 2026-02-03T04:05:06 DUE TO NODE FAILURE ***"
    (tmp_path / "run.log").write_text(f"{STARTED}\n{CPU_OOM}\n{node}\n")
    reading = read_log(tmp_path / "run.log")
    assert decide_from_log(reading).outcome == decide(End(None, "node_failure"), reading, 3).outcome == "node_failure"
    assert decide(End(1), reading, 3).outcome == "oom"


def test_consequences_alone_are_noted(verdict):
    """A reader is warned that the line shown is no root cause."""
    assert verdict(End(1), *PEER_ALONE).note == "only consequences of a failure are in the log"


def test_the_record_printed_last_decides_of_nan(tmp_path):
    """After a restart from iteration 2 its loss is NaN, though iteration 4 of the attempt before had one."""
    records = (record(number, " lm loss: 9.0 |") for number in (1, 2, 3, 4))
    lines = [STARTED, *records, record(3, " lm loss: NAN |")]
    (tmp_path / "run.log").write_text("".join(f"{line}\n" for line in lines).replace("/       3", "/       9"))
    assert decide(End(1), read_log(tmp_path / "run.log"), 9).cause == "nan_loss"
