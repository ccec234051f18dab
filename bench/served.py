"""A server in a process of its own, as ``xo-warmig serve``, that a benchmark starts, kills and starts again."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import AbstractAsyncContextManager, contextmanager
from pathlib import Path

import msgspec

from xo_warmig.cli.access import FILE_NAME, Access
from xo_warmig.client import Client, connect


class Served:
    """One state directory, and the server that uses it."""

    def __init__(self, state_dir: Path) -> None:
        self.state_dir = state_dir
        self._process: subprocess.Popen[str] | None = None
        self.access = Access(url="", token="")

    def start(self) -> float:
        """Does not wait for anything; when the process was begun, in monotonic seconds."""
        command = [
            sys.executable,
            "-m",
            "xo_warmig",
            "serve",
            "--port",
            "0",
            "--state-dir",
            str(self.state_dir),
            "--json",
        ]
        begun = time.monotonic()
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        return begun

    def answers(self) -> None:
        """Wait until it does."""
        assert self._process is not None
        assert self._process.stdout is not None
        json.loads(self._process.stdout.readline())
        self.access = msgspec.json.decode((self.state_dir / FILE_NAME).read_bytes(), type=Access)

    def client(self) -> AbstractAsyncContextManager[Client]:
        return connect(self.access.url, token=self.access.token)

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def processor_seconds(self) -> float:
        """Of the running process so far."""
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def end(self, number: signal.Signals) -> None:
        if self._process is not None:
            self._process.send_signal(number)
            self._process.communicate()
            self._process = None


@contextmanager
def served(state_dir: Path) -> Iterator[Served]:
    """Not started yet; gone in the end."""
    server = Served(state_dir)
    try:
        yield server
    finally:
        server.end(signal.SIGKILL)
