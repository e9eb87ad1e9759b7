"""Where the repository and the files of its tests are."""

from pathlib import Path

TESTS = Path(__file__).resolve().parent
REPOSITORY = TESTS.parent
GOLDEN = TESTS / "golden"
LOGS = TESTS / "logs" / "examples"
"""Example logs, a folder a trainer."""
