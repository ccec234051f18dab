"""Processes forked from one that has imported what they are made of: that takes longer than all else that most of them do.

That one is the standard library's fork server, one for each process of tests, started by the first who asks; it ends with those who
may ask. ``warm`` says what it imports.
"""

import contextlib
import multiprocessing
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path
from typing import IO, Any

from xo_warmig import cli
from xo_warmig.simulator import process

WARM = "tests.warm"
_FORKS = multiprocessing.get_context("forkserver")
_FORKS.set_forkserver_preload([WARM])


class Forked:
    """A process that calls a function, with pipes as its standard input and output. Fits ``xo_warmig.simulator.launch.Process``."""

    def __init__(self, function: Callable[..., Any], *arguments: Any, errors: IO[bytes]) -> None:
        """``errors``: where its standard error goes."""
        theirs_in, ours_in = os.pipe()
        ours_out, theirs_out = os.pipe()
        self.stdin: IO[bytes] | None = os.fdopen(ours_in, "wb")
        self.stdout: IO[bytes] | None = os.fdopen(ours_out, "rb")
        # As connections, which multiprocessing hands over.
        ends = [
            Connection(theirs_in, writable=False),
            Connection(theirs_out, readable=False),
            Connection(os.dup(errors.fileno()), readable=False),
        ]
        self._process = _FORKS.Process(target=_live, args=(ends, function, arguments), daemon=True)
        self._process.start()
        for end in ends:
            end.close()

    @property
    def pid(self) -> int:
        assert self._process.pid is not None
        return self._process.pid

    def poll(self) -> int | None:
        return self._process.exitcode

    def wait(self, timeout: float | None = None) -> int:
        """Raises subprocess.TimeoutExpired."""
        self._process.join(timeout)
        code = self._process.exitcode
        if code is None:
            raise subprocess.TimeoutExpired("a forked process", timeout or 0)
        return code

    def first_line(self) -> bytes:
        """Of its standard output; empty if it ended before."""
        assert self.stdout is not None
        return self.stdout.readline()

    def close(self) -> None:
        """The pipes, of one that has ended."""
        for pipe in (self.stdin, self.stdout):
            if pipe is not None:
                pipe.close()

    def send_signal(self, number: signal.Signals) -> None:
        """Nothing where it has ended."""
        # The fork server has seen it end before we do, and its number may be another's soon.
        if self.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)


def pool(directory: Path, log: IO[bytes]) -> Forked:
    """A pool's process. A ``xo_warmig.simulator.launch.Starter``."""
    return Forked(process.main, directory, errors=log)


def server(*arguments: str, log: IO[bytes]) -> Forked:
    """``xo-warmig serve --json`` with these; its first line is on its standard output once it is ready."""
    return Forked(_serve, arguments, errors=log)


def _serve(arguments: tuple[str, ...]) -> None:
    cli.main(["serve", "--json", *arguments])


def _live(ends: list[Connection], function: Callable[..., Any], arguments: tuple[Any, ...]) -> None:
    """The child's whole life."""
    assert WARM in sys.modules, "the fork server could not import it, and does not say so"
    for number, end in enumerate(ends):
        os.dup2(end.fileno(), number)
        end.close()
    with open(0, closefd=False) as sys.stdin:  # multiprocessing put another in its place
        function(*arguments)
