"""Terminal records are written as they always were, and read from files of earlier versions, or damaged ones."""

import json

import pytest

from nodesweep.results.terminal_record import TerminalRecord
from nodesweep.schedulers.base import Usage

OF_A_RUN = """\
{
 "schema": 1,
 "slug": "n8-dp4-mp1-pp2-mbs2-gbs16-s256-ac-474051",
 "key": "quickstart-c62ea98711a5-a1",
 "attempt": 1,
 "job_id": "3826@21490",
 "scheduler": "local",
 "outcome": "ok",
 "where": "",
 "evidence": "line 48: iteration 6 of 6",
 "note": "",
 "rule": "the log has all iterations asked for, or the trainer says that it finished",
 "exit_code": 0,
 "scheduler_state": "exit code 0",
 "elapse_limit_seconds": 600,
 "submitted": "2026-11-30T14:43:01.876+00:00",
 "started": "2026-11-30T14:43:01.878+00:00",
 "ended": "2026-11-30T14:43:06.361+00:00",
 "usage": {
  "nodes": "",
  "memory_bytes": null,
  "memory_of": null,
  "energy_joules": null,
  "power_watts": null,
  "power_capped": "",
  "restarts": null
 },
 "log": "quickstart-c62ea98711a5-a1.log"
}
"""
NOT_RUN = """\
{
 "schema": 1,
 "slug": "n1-dp1",
 "key": "",
 "attempt": 0,
 "job_id": "",
 "outcome": "pruned",
 "where": "",
 "evidence": "needs 9 of 5 GiB",
 "note": "",
 "rule": "",
 "log": ""
}
"""


@pytest.mark.parametrize("text", [OF_A_RUN, NOT_RUN], ids=["of a run", "not run"])
def test_a_job_json_of_an_earlier_version_is_the_same_bytes_again(text: str) -> None:
    """Key by key, in their order: tools of users read these files."""
    assert TerminalRecord.from_json(text).to_json() == text


def test_how_long_a_run_took() -> None:
    """From its start to its end; nothing where one of them is unknown."""
    record = TerminalRecord.from_json(OF_A_RUN)
    assert record.run_seconds == pytest.approx(4.483)
    assert record.node_hours(8) == pytest.approx(4.483 * 8 / 3600)
    assert (TerminalRecord.from_json(NOT_RUN).run_seconds, TerminalRecord.from_json(NOT_RUN).node_hours(8)) == (None, 0)


def test_what_a_file_lacks_has_its_default() -> None:
    """An earlier version wrote fewer keys, a later one may write more; values of a wrong type count as missing."""
    record = TerminalRecord.from_dict(
        {"outcome": "oom", "where": "in iteration 1", "unheard": 1, "usage": {"nodes": "n1"}}
    )
    assert record == TerminalRecord(outcome="oom", where="in iteration 1", usage=Usage(nodes="n1"))
    assert (record.verdict, record.was_run) == ("oom in iteration 1", True)
    spoilt = {"outcome": "ok", "exit_code": "0", "attempt": True, "started": "noon", "usage": [1], "log": 7}
    assert TerminalRecord.from_dict(spoilt) == TerminalRecord(outcome="ok")


@pytest.mark.parametrize("text", ["", "[]", "{}", "null", '{"outcome": null}', '{"outcome": "ok"', "\x00"])
def test_damaged_files_are_no_records(text: str) -> None:
    """They are an error, never a record of nothing."""
    with pytest.raises(ValueError):
        TerminalRecord.from_json(text)


def test_a_record_in_a_journal_is_the_same_object() -> None:
    """What `to_dict` gives is what `from_dict` takes."""
    record = TerminalRecord.from_json(OF_A_RUN)
    assert TerminalRecord.from_dict(json.loads(json.dumps(record.to_dict()))) == record


@pytest.mark.parametrize("name", ["../job.log", "..", "a\0b", "9" * 251, "é" * 126])
def test_what_cannot_name_a_log_names_none(name: str) -> None:
    """A path out of the folder, and what is too long for a file's name, is no log of a record."""
    assert TerminalRecord.from_dict({"outcome": "ok", "log": name}).log == ""
    assert TerminalRecord.from_dict({"outcome": "ok", "log": "9" * 250}).log == "9" * 250
