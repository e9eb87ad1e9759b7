"""Where the repository and the files of its tests are."""

from pathlib import Path

TESTS = Path(__file__).resolve().parent
REPOSITORY = TESTS.parent
GOLDEN = TESTS / "golden"
LOGS = TESTS / "logs" / "examples"
"""Example logs, a folder a trainer."""
EXAMPLES = sorted(LOGS.glob("*/*.log"))


def name_of_example(path: Path) -> str:
    """Folder and name of an example log without the suffix, as the table in the README writes it."""
    return f"{path.parent.name}/{path.stem}"
