"""What all tests share."""

import shutil
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import pytest
from fakes.pbs import FakePbs
from fakes.pjm import FakePjm
from needs import need_command, need_root
from paths import GOLDEN
from slurm.cluster import COMMANDS, Cluster

if TYPE_CHECKING:
    from playwright.sync_api import Browser

# Real clusters and browsers are started once: fixture → the group of tests that pytest-xdist leaves to one worker.
GROUPS = {"slurm": "slurm", "slurm_without_accounting": "slurm-plain", "browser": "browser"}


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--bless", action="store_true", help="write what the code gives now as the new golden files")


# Before pytest-xdist reads the marks, in its own hook of this name.
@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """A test that uses a cluster or the browser runs where that is, also where it is a parameter that names it."""
    for item in items:
        parameters = item.callspec.params.values() if hasattr(item, "callspec") else ()
        named = {name for name in parameters if isinstance(name, str)}
        for fixture in GROUPS.keys() & {*getattr(item, "fixturenames", ()), *named}:
            item.add_marker(pytest.mark.xdist_group(GROUPS[fixture]))


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


@pytest.fixture
def pjm(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakePjm]:
    """A fake PJM whose commands are on PATH; its jobs are ended with the test."""
    fake = FakePjm(tmp_path_factory.mktemp("pjm") / "fake")
    for name, value in fake.environment().items():
        monkeypatch.setenv(name, value)
    yield fake
    fake.close()


@pytest.fixture(scope="session")
def slurm_installed() -> None:
    """Skip where no cluster can be started; with CI=true that is a failure."""
    for command in COMMANDS:
        need_command(command, "tests/slurm/install.sh")
    need_root("start a Slurm cluster")


@pytest.fixture(scope="session")
def several_hosts() -> None:
    """Skip where no process can be given a host name of its own; with CI=true that is a failure."""
    need_root("give a process a host name of its own")


@pytest.fixture(scope="session")
def slurm(slurm_installed: None) -> Iterator[Cluster]:
    """A cluster that keeps accounts: sacct works."""
    with Cluster(accounting=True) as cluster:
        yield cluster


@pytest.fixture(scope="session")
def slurm_without_accounting(slurm_installed: None) -> Iterator[Cluster]:
    """A cluster where sacct fails, and ended jobs are known to squeue for five minutes."""
    with Cluster() as cluster:
        yield cluster


@pytest.fixture(scope="module")
def browser() -> "Iterator[Browser]":
    """Debian's Chromium without a window; skip where there is none, but with CI=true that is a failure."""
    need_command("chromium", "tests/browser/install.sh")
    path = shutil.which("chromium")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield browser
        browser.close()
