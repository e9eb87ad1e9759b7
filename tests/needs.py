"""What a machine may lack: without it a test is skipped, and with CI=true it fails."""

import os
import shutil

import pytest


def lacking(reason: str) -> None:
    """Skip the test that asks; with CI=true nothing may be lacking, and the test fails."""
    if os.environ.get("CI") == "true":
        pytest.fail(reason, pytrace=False)
    pytest.skip(reason)


def need_root(what: str) -> None:
    """Go on where the tests run as root; `what` only root can do."""
    if os.geteuid() != 0:
        lacking(f"only root can {what}")


def need_command(name: str, where: str) -> None:
    """Go on where a command is there; `where`: the script that installs it."""
    if shutil.which(name) is None:
        lacking(f"no {name}: see {where}")
