"""What the first runs of a sweep tell of the others: real processes of a toy trainer."""

from pathlib import Path

import pytest
from sweeps import drained, runner_of, starts, study_in, toy

from nodesweep.launch.canary import Canary
from nodesweep.results.terminal_record import TerminalRecord
from nodesweep.schedulers.local import Local

SEVEN = [{"nodes": [1, 2, 3, 4, 5, 6, 7], "global_batch": 420, "sequence_length": 128}]


@pytest.mark.parametrize("at_once", [1, 7])
def test_where_the_first_three_fail_alike_the_others_wait(tmp_path: Path, at_once: int) -> None:
    """Seven layouts of a command that is missing: three are started, one line tells the reason, four need no record."""
    study, lines = study_in(tmp_path, layouts=SEVEN, ending="missing"), []
    runner = runner_of(study, lines, jobs_at_once=at_once, canary=3)
    runner.add(list(study.layouts))
    done = drained(runner, 7)
    assert sorted(one.record.outcome for one in done).count("not submitted") == 4
    assert sum(starts(tmp_path).values()) == 3
    assert [line for line in lines if "the first 3 runs failed in the same way" in line and "the 4 others wait" in line]
    assert not any(one.final for one in done)
    again = runner_of(study, [], jobs_at_once=at_once, canary=0)
    again.add(list(study.layouts))
    drained(again, 7)
    assert sum(starts(tmp_path).values()) == 10


def test_three_go_ahead_until_one_has_iterated(tmp_path: Path) -> None:
    """With seven places three layouts are submitted; the first iteration in a log lets the others follow."""
    study = study_in(tmp_path, layouts=SEVEN, seconds=0.3)
    runner = runner_of(study, jobs_at_once=7, canary=3)
    runner.add(list(study.layouts))
    runner.step()
    assert len(runner.running) == 3
    assert {one.record.outcome for one in drained(runner, 7)} == {"ok"}


def failed(
    slug: str, outcome: str = "crash", where: str = "while building", evidence: str = "line 9: no module x"
) -> TerminalRecord:
    """How a run ended."""
    return TerminalRecord(slug=slug, key=f"k-{slug}", outcome=outcome, where=where, evidence=evidence, exit_code=1)


@pytest.mark.parametrize(
    ("records", "is_alarmed"),
    [
        ([failed("a"), failed("b")], False),
        ([failed("a"), failed("b"), failed("c")], True),
        (
            [
                failed("n1", evidence="line 9: n1 1"),
                failed("n2", evidence="line 10: n2 2"),
                failed("n3", evidence="line 1: n3 3"),
            ],
            True,
        ),
        ([failed("a"), failed("b"), failed("c", evidence="another reason")], False),
        ([failed("a"), failed("b", where="after iteration 2"), failed("c"), failed("d")], False),
        ([failed("a", outcome="oom"), failed("b"), failed("c"), failed("d")], False),
        ([failed("a", outcome="node_failure"), failed("b"), failed("c", outcome="cancelled"), failed("d")], False),
    ],
)
def test_what_counts_as_failing_alike(tmp_path: Path, records: list[TerminalRecord], is_alarmed: bool) -> None:
    """Numbers and names aside; a run that iterated or filled the memory shows that the program starts."""
    canary = Canary(study_in(tmp_path), Local(), 3)
    for record in records:
        canary.ended(record)
    assert bool(canary.alarm) == is_alarmed


def test_no_more_go_ahead_where_failures_end_with_code_0(tmp_path: Path) -> None:
    """A trainer whose wrapper swallows its exit code: none is submitted for the one whose log is yet to be read."""
    program = tmp_path / "swallows.sh"
    program.write_text('echo "started" >>"$STARTS"\nsleep "0.$1"\necho "ValueError: bad"\n')
    command = ["bash", str(program), "{{ nodes }}"]
    workload = {**toy()["workload"], "command": command}
    study = study_in(tmp_path, layouts=SEVEN, workload=workload)
    runner = runner_of(study, jobs_at_once=7, canary=3)
    runner.add(list(study.layouts))
    outcomes = [one.record.outcome for one in drained(runner, 7)]
    assert (outcomes.count("crash"), outcomes.count("not submitted"), sum(starts(tmp_path).values())) == (3, 4, 3)
