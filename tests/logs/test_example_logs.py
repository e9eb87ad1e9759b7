"""The example logs under tests/logs/examples: every log has a reading, and no reading contradicts itself."""

import json

import pytest
from paths import EXAMPLES, LOGS, name_of_example

from nodesweep.common.outcomes import OUTCOME_OF_CAUSE


@pytest.mark.parametrize("path", EXAMPLES, ids=name_of_example)
def test_reading_of_an_example_is_possible(path):
    """The warm-up leaves a record, first and last enclose the records, and the expected outcome is acceptable."""
    reading = json.loads(path.with_suffix(".json").read_text())
    expected = reading["expected"]
    assert set(reading) <= {"framework", "about", "expected", "notes"} and reading["about"].endswith(".")
    assert {expected["outcome"], *expected.get("acceptable_outcomes", ())} <= set(OUTCOME_OF_CAUSE)
    assert expected["outcome"] in expected.get("acceptable_outcomes", [expected["outcome"]])
    records = expected.get("n_iteration_records", 0)
    if records:
        assert expected.get("exclude_first_k_records", 0) < records
        assert expected["first_iteration"] + records - 1 <= expected["last_iteration"]
    for peak in ("reserved", "allocated"):
        in_mib, in_gb = expected.get(f"peak_{peak}_mib"), expected.get(f"peak_{peak}_gb")
        assert in_gb is None or in_mib == pytest.approx(in_gb * 1e9 / 2**20, abs=0.1)


def test_every_example_has_a_reading():
    """Each log has a reading and each reading a log, and the sentences that say what they show differ."""
    readings = {name_of_example(path): json.loads(path.read_text()) for path in LOGS.glob("*/*.json")}
    assert sorted(readings) == sorted(map(name_of_example, EXAMPLES))
    assert len({reading["about"] for reading in readings.values()}) == len(readings)
