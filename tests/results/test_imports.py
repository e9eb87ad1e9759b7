"""What takes long to import is imported only by the commands that need it."""

import subprocess
import sys

import pytest

SLOW = ("pandas", "scipy", "altair")


@pytest.mark.parametrize(
    "module",
    [
        "nodesweep.cli.main",
        "nodesweep.cli.status",
        "nodesweep.launch.runner",
        "nodesweep.performance.forecast",
        "nodesweep.results.measurement_file",
        "nodesweep.results.metrics",
        "nodesweep.results.scaling",
    ],
)
def test_planning_launching_and_status_import_nothing_slow(module: str) -> None:
    """pandas takes 0.4 s and scipy a second: launchers, plans, forecasts and `status` do without them."""
    code = f"import sys, {module}\nprint([name for name in {SLOW} if name in sys.modules])"
    process = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert process.stdout == "[]\n"


def test_rows_need_no_pandas() -> None:
    """Old logs become rows, and rows are matched, without pandas; only the table itself takes it."""
    modules = "nodesweep.importers.job_logs.job, nodesweep.results.comparison.matching"
    code = f"import sys, {modules}\nprint('pandas' in sys.modules)"
    process = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert process.stdout == "False\n"
