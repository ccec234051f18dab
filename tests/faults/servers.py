"""Servers in processes of their own, forked from one that has imported them, and started again where they stood."""

import asyncio
import contextlib
import os
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from urllib.parse import urlsplit

import msgspec

from tests.faults.nursery import Birth
from tests.faults.points import Orders, Passed, read_passed
from xo_warmig.cli.access import FILE_NAME, Access
from xo_warmig.client import Client, connect

_ROOT = Path(__file__).parent.parent.parent
_START_SECONDS = 120.0
_LOOK_SECONDS = 0.01


class Nursery:
    """The process that servers are forked from."""

    def __init__(self) -> None:
        environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(_ROOT), os.environ.get("PYTHONPATH", "")])}
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.faults.nursery"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            start_new_session=True,
            cwd=_ROOT,
            env=environment,
        )
        self._lock = threading.Lock()

    def bear(self, birth: Birth) -> int:
        """The number of the new process."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        with self._lock:
            self._process.stdin.write(msgspec.json.encode(birth) + b"\n")
            self._process.stdin.flush()
            return int(self._process.stdout.readline())

    def close(self) -> None:
        """It ends, and what it forked with it."""
        self._process.communicate()


@contextlib.contextmanager
def nursery() -> Iterator[Nursery]:
    opened = Nursery()
    try:
        yield opened
    finally:
        opened.close()


class Server:
    """One state directory and address, with a server that comes and goes."""

    def __init__(self, nursery: Nursery, directory: Path, address: str) -> None:
        """``directory`` may hold a ``state`` to go on with."""
        self._nursery = nursery
        self._directory = directory
        self._state_dir = directory / "state"
        self._address = address
        self._port = 0
        self._starts = 0
        self._access: Access | None = None
        self.pidfd = -1
        self.pid = 0

    @property
    def url(self) -> str:
        assert self._access is not None
        return self._access.url

    @property
    def armed(self) -> Path:
        """Points count once this file exists."""
        return self._directory / "armed"

    @property
    def passed(self) -> Passed:
        """By the server that was started last."""
        return read_passed(self._passed_file)

    @property
    def _passed_file(self) -> Path:
        return self._directory / f"passed-{self._starts}"

    @property
    def log(self) -> Path:
        return self._directory / "log"

    async def start(self, *, strike_at: str = "", strike: str = "kill") -> bool:
        """Up, at the address of before; False when it was struck before it answered."""
        self._starts += 1
        orders = Orders(armed=str(self.armed), passed=str(self._passed_file), strike_at=strike_at, strike=strike)
        left = self._state_dir / FILE_NAME
        left.unlink(missing_ok=True)
        birth = Birth(
            orders=orders, address=self._address, port=self._port, state_dir=str(self._state_dir), log=str(self.log)
        )
        self.pid = self._nursery.bear(birth)
        self._watch()
        async with asyncio.timeout(_START_SECONDS):
            while not left.exists():
                if self.is_dead:
                    if self.passed.struck:
                        return False
                    raise RuntimeError(f"the server did not start: {self.log.read_text()[-2000:]}")
                await asyncio.sleep(_LOOK_SECONDS)
        self._access = msgspec.json.decode(left.read_bytes(), type=Access)
        self._port = urlsplit(self._access.url).port or 0
        return True

    @contextlib.asynccontextmanager
    async def client(self) -> AsyncIterator[Client]:
        """Signed in."""
        assert self._access is not None
        async with connect(self._access.url, token=self._access.token) as client:
            yield client

    @property
    def is_dead(self) -> bool:
        if self.pidfd < 0:
            return True
        try:
            signal.pidfd_send_signal(self.pidfd, 0)
        except ProcessLookupError:
            return True
        return False

    @property
    def is_stopped(self) -> bool:
        """By SIGSTOP."""
        with contextlib.suppress(OSError):
            return Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()[0] == "T"
        return False

    async def dead(self) -> None:
        """Wait for its end."""
        while not self.is_dead:
            await asyncio.sleep(_LOOK_SECONDS)

    async def end(self, number: signal.Signals = signal.SIGKILL) -> None:
        """It ends, if it has not, and is waited for."""
        if not self.is_dead:
            signal.pidfd_send_signal(self.pidfd, number)
        await self.dead()

    def go_on(self) -> None:
        """After it was stopped."""
        signal.pidfd_send_signal(self.pidfd, signal.SIGCONT)

    def forget(self) -> None:
        """All that it had on disk."""
        if self.pidfd >= 0:
            os.close(self.pidfd)
            self.pidfd = -1
        shutil.rmtree(self._directory, ignore_errors=True)

    def _watch(self) -> None:
        if self.pidfd >= 0:
            os.close(self.pidfd)
        try:
            self.pidfd = os.pidfd_open(self.pid)
        except ProcessLookupError:
            self.pidfd = -1
