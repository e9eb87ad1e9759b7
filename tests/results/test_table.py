"""The tidy table: one row per layout, whatever became of it."""

import csv
import doctest
import io
import math

import pandas
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from written_logs import OUT_OF_MEMORY, STARTED, layouts_of, node_memory_line, record_line, run_of, sweep_of

from nodesweep.common.errors import NodesweepError
from nodesweep.common.text import plain
from nodesweep.config.columns import TIDY
from nodesweep.results import rows as rows_of_runs
from nodesweep.results.rows import LayoutRun, size_label
from nodesweep.results.table import build, from_csv, records, to_csv
from nodesweep.results.terminal_record import TerminalRecord
from nodesweep.schedulers.base import End

POINT = {"pipeline": 48, "tensor": 4, "global_batch": 1536, "sequence_length": 2048, "activation_checkpointing": True}
SWEEP = sweep_of([POINT | {"nodes": [384, 192, 768, 1536, 3072], "note": "4/23"}])


@pytest.fixture
def runs(tmp_path):
    """A layout in each state: queued, finished, running, out of memory, crashed before it measured anything."""
    queued, finished, running, out_of_memory, crashed = layouts_of(SWEEP)
    rows = [record_line(number, 3, 3720.0, " lm loss: 9.5 | TFLOPs: 1.10 |") for number in (1, 2, 3)]
    died = [STARTED, record_line(1, 3, 1000.0), node_memory_line(29138.6), OUT_OF_MEMORY]
    record = TerminalRecord(
        outcome="crash",
        where="while building",
        evidence="scheduler: exit code 1",
        note="",
        log="",
    )
    return [
        LayoutRun(queued, "queued", None, None),
        run_of(SWEEP, finished, tmp_path, [STARTED, node_memory_line(16622.7), *rows]),
        LayoutRun(running, "running", None, None),
        run_of(SWEEP, out_of_memory, tmp_path, died, End(1)),
        LayoutRun(crashed, "ended", record, None),
    ]


def test_doctests():
    """The example of a size label holds."""
    assert doctest.testmod(rows_of_runs).failed == 0


def test_rows_by_hand(runs):
    """Rows stand in the order of the config; each has its state, and the figures that exist."""
    table = build(runs)
    assert list(table["nodes"]) == [384, 192, 768, 1536, 3072]
    assert list(table["state"]) == ["queued", "ended", "running", "ended", "ended"]
    row = table.iloc[1]
    assert (row["outcome"], row["memory_mib"], row["iteration_seconds"]) == ("ok", 16622.7, 3720.0)
    assert (row["tflops_per_node"].round(2), row["log_tflops_per_node"]) == (1.1, 1.1)
    assert (row["data"], row["model_size"], row["records_used"], row["last_loss"]) == (1, "30B", 3, 9.5)
    assert (table.iloc[3]["outcome"], table.iloc[3]["where"]) == ("oom", "after iteration 1")
    assert table.iloc[[0, 2, 4]]["iteration_seconds"].isna().all()
    assert table.iloc[4]["evidence"] == "scheduler: exit code 1"


def test_csv_is_stable(runs, golden):
    """Runs that are the same give the same bytes."""
    golden("results.csv", to_csv(build(runs)))


def test_csv_round_trip(runs):
    """The table is read back exactly: types, numbers to the last digit, and what is missing."""
    table = build(runs)
    pandas.testing.assert_frame_equal(from_csv(to_csv(table)), table)


def test_another_table_is_refused():
    """A CSV without the columns is no result table."""
    for text in ("a,b\n1,2\n", ""):
        with pytest.raises(NodesweepError, match="columns"):
            from_csv(text)
    with pytest.raises(NodesweepError, match="measure"):
        from_csv(to_csv(build([LayoutRun(layouts_of(SWEEP)[0], "pending", None, None)])).replace(",1536,", ",many,"))


def test_a_line_that_was_cut_leaves_its_last_columns_unknown(runs):
    """Where a file ends in mid-line, what is missing is not known, a parameter too."""
    heading, line, *_ = to_csv(build(runs)).splitlines()
    table = from_csv(f"{heading},backend\n{line.split(',')[0]}\n")
    assert records(table)[0] == {**dict.fromkeys([*TIDY, "backend"]), "slug": line.split(",")[0]}


@pytest.mark.parametrize(
    ("column", "cell", "message"),
    [
        ("activation_checkpointing", "true", "results.csv:3: activation_checkpointing true is neither True nor False"),
        ("nodes", "-1", "results.csv:3: nodes -1 is negative"),
        ("iteration_seconds", "-3", "results.csv:3: iteration_seconds -3.0 is negative"),
        ("memory_mib", "much", "results.csv:3: memory_mib much is no number"),
        ("attempt", "9" * 30, "results.csv:3: attempt 999999999999999999999999999999 is too large"),
    ],
)
def test_a_cell_typed_by_hand_is_refused_with_its_line(runs, column, cell, message):
    """What no run can have is an error that names line, column and value."""
    lines = to_csv(build(runs)).splitlines()
    cells = lines[2].split(",")
    cells[list(TIDY).index(column)] = cell
    with pytest.raises(NodesweepError) as refused:
        from_csv("\n".join([*lines[:2], ",".join(cells), *lines[3:]]) + "\n")
    assert message in str(refused.value) and str(refused.value).endswith("run `nodesweep measure` again")


def test_a_figure_that_is_no_number_is_unknown(runs):
    """A time of nan in an edited file counts as none, as an empty cell does."""
    lines = to_csv(build(runs)).splitlines()
    cells = lines[2].split(",")
    cells[list(TIDY).index("iteration_seconds")] = "nan"
    table = from_csv("\n".join([*lines[:2], ",".join(cells), *lines[3:]]) + "\n")
    assert table["iteration_seconds"].isna().tolist() == [True, True, True, False, True]


@settings(deadline=None)
@given(text=st.text(st.characters(exclude_categories=["Cs"]), max_size=40))
def test_any_text_survives_the_csv(text):
    """Whatever stands in a verdict is one printable line of the table, and the table keeps its one row."""
    layout = layouts_of(SWEEP)[0]
    run = LayoutRun(layout, "ended", TerminalRecord(outcome="crash", evidence=text), None)
    table = from_csv(to_csv(build([run])))
    assert len(table) == 1
    assert table["evidence"].fillna("")[0] == plain(text)


def test_an_earlier_attempt_does_not_speak_for_a_running_one(runs):
    """A layout that runs again has neither the outcome nor the figures of the attempt before."""
    table = build([runs[1]._replace(status="running")])
    assert pandas.isna(table["outcome"][0])
    assert pandas.isna(table["iteration_seconds"][0])
    assert table["attempt"][0] == 1


def test_no_layouts():
    """An empty sweep gives a table with its columns and no rows."""
    assert to_csv(build([])) == ",".join(TIDY) + "\n"


@pytest.mark.parametrize(
    ("layers", "hidden", "label"), [(4, 256, "5.3M"), (12, 768, "124M"), (48, 7168, "30B"), (96, 12288, "175B")]
)
def test_size_labels(layers, hidden, label):
    """Sizes as the models are known by."""
    model = SWEEP.model.model_copy(
        update={"layers": layers, "hidden_size": hidden, "vocab_size": 8192 if layers == 4 else 50257}
    )
    assert size_label(model) == label


@pytest.mark.parametrize("text", ["=cmd|' /C calc'!A0", "+1", "-2+3", "@SUM(A1)", "'=x", "'"])
def test_no_cell_is_a_formula(text, runs):
    """Text of a note or a log that a spreadsheet would compute stands behind a `'`, and is read back as it was."""
    *others, crashed = runs
    record = TerminalRecord(outcome="crash", evidence=text)
    table = build([*others, crashed._replace(record=record)])
    written = to_csv(table)
    cells = list(csv.reader(io.StringIO(written)))
    assert not any(cell.startswith(("=", "+", "-", "@")) and not _is_number(cell) for row in cells for cell in row)
    pandas.testing.assert_frame_equal(from_csv(written), table)
    assert from_csv(written)["evidence"].iloc[-1] == text


def _is_number(cell):
    try:
        return math.isfinite(float(cell))
    except ValueError:
        return False
