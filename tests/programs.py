"""Programs that nobody here wrote, as judges."""

import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

import pytest


def missing(what: str, install: str) -> NoReturn:
    """A machine of ours must have it; elsewhere the test is skipped, and says how to get it."""
    message = f"{what} is missing: {install}"
    if os.environ.get("CI") == "true":
        pytest.fail(message, pytrace=False)
    pytest.skip(message)


def program(name: str, install: str) -> Callable[..., str]:
    """A call of the program: arguments in, its output out; a failure of it fails the test with what it said."""
    path = shutil.which(name)
    if path is None:
        missing(name, install)

    def call(*arguments: str | Path) -> str:
        done = subprocess.run([path, *map(str, arguments)], capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == 0, f"{name} {arguments}: {done.stdout}{done.stderr}"
        return done.stdout

    return call
