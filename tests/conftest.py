"""What all tests share."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from fakes.pbs import FakePbs

GOLDEN = Path(__file__).parent / "golden"


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--bless", action="store_true", help="write what the code gives now as the new golden files")


@pytest.fixture
def golden(request: pytest.FixtureRequest) -> Callable[[str, str], None]:
    """Compare a text with tests/golden/<name>, byte for byte; with --bless, make it the golden one."""

    def compare(name: str, text: str) -> None:
        path = GOLDEN / name
        if request.config.getoption("--bless"):
            path.write_bytes(text.encode())
        assert text.encode() == path.read_bytes(), f"{path} differs; if that is meant, run pytest --bless"

    return compare


@pytest.fixture
def pbs(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakePbs]:
    """A fake PBS whose commands are on PATH; its jobs are ended with the test."""
    fake = FakePbs(tmp_path_factory.mktemp("pbs"))
    for name, value in fake.environment.items():
        monkeypatch.setenv(name, value)
    yield fake
    fake.stop()
