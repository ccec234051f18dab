"""The two consoles, and the words that commands use for what they print."""

import json
import sys
from typing import Any

import msgspec
from rich.console import Console

# Without a terminal lines are still whole: a log is not 80 columns wide.
LOG_WIDTH = 140


def output() -> Console:
    """Standard output."""
    return _console(stderr=False)


def errors() -> Console:
    """Standard error."""
    return _console(stderr=True)


def print_json(value: Any) -> None:
    """One JSON value on a line of standard output, at once."""
    print(json.dumps(msgspec.to_builtins(value), allow_nan=False), flush=True)


def _console(*, stderr: bool) -> Console:
    stream = sys.stderr if stderr else sys.stdout
    return Console(stderr=stderr, width=None if stream.isatty() else LOG_WIDTH, emoji=False)
