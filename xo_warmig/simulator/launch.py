"""Simulated sites as running processes, one for each pool: started together, killed and restarted one by one, gone at the end."""

import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import IO, Protocol

import msgspec

from xo_warmig.errors import WarmigError
from xo_warmig.simulator import addresses, release
from xo_warmig.simulator.process import CONFIG_FILE
from xo_warmig.simulator.site import PoolConfig, SiteConfig

READY_SECONDS = 60.0
READY_SECONDS_A_VM = 0.2
STOP_SECONDS = 10.0


class Named(msgspec.Struct, frozen=True, kw_only=True):
    """An SR or a network of a pool, as it was when the pool was ready."""

    uuid: str
    name_label: str


class Vm(Named, frozen=True, kw_only=True):
    power_state: str


class Host(Named, frozen=True, kw_only=True):
    address: str


class Ready(msgspec.Struct, frozen=True, kw_only=True):
    """What a pool says when it is ready."""

    name: str
    url: str
    nbd: str
    username: str
    password: str
    release: str
    pid: int
    vms: list[Vm]
    srs: list[Named]
    networks: list[Named]
    hosts: list[Host]


class Process(Protocol):
    """What ``subprocess.Popen`` has of a process whose standard input and output are pipes."""

    stdin: IO[bytes] | None
    stdout: IO[bytes] | None

    def poll(self) -> int | None: ...

    def wait(self, timeout: float | None = None) -> int:
        """Raises subprocess.TimeoutExpired."""
        ...

    def terminate(self) -> None: ...

    def kill(self) -> None: ...


Starter = Callable[[Path, IO[bytes]], Process]
"""Starts the process of the pool in a directory, which says there on a file what goes wrong."""


def in_an_interpreter(directory: Path, log: IO[bytes]) -> Process:
    """Of its own."""
    command = [sys.executable, "-m", "xo_warmig.simulator.process", str(directory)]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log)


class Pool:
    """One pool's process. What it said when it was ready stays readable after it has been killed."""

    def __init__(self, config: PoolConfig, directory: Path, starter: Starter = in_an_interpreter) -> None:
        self.config = config
        self.directory = directory
        self._starter = starter
        self._process: Process | None = None
        self._ready: Ready | None = None

    @property
    def ready(self) -> Ready:
        if self._ready is None:
            raise WarmigError("the pool has not been started")
        return self._ready

    @property
    def name(self) -> str:
        return self.config.name

    @property
    def url(self) -> str:
        return self.config.url

    @property
    def username(self) -> str:
        return self.config.username

    @property
    def password(self) -> str:
        return self.config.password

    @property
    def vms(self) -> list[Vm]:
        return self.ready.vms

    @property
    def srs(self) -> list[Named]:
        """The first is the pool's default one."""
        return self.ready.srs

    @property
    def networks(self) -> list[Named]:
        return self.ready.networks

    @property
    def hosts(self) -> list[Host]:
        """The first is the master."""
        return self.ready.hosts

    @property
    def pid(self) -> int:
        return self.ready.pid

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def start(self) -> None:
        """Starts the process; ``wait_ready`` waits for it."""
        (self.directory / CONFIG_FILE).write_bytes(msgspec.json.encode(self.config))
        with (self.directory / "log").open("ab") as log:
            self._process = self._starter(self.directory, log)

    def wait_ready(self) -> None:
        """Waits for the pool to answer. WarmigError with the end of its log when it does not."""
        process = self._alive()
        seconds = READY_SECONDS + READY_SECONDS_A_VM * len(self.config.vms)
        patience = threading.Timer(seconds, process.kill)
        patience.start()
        try:
            line = _output(process).readline()
        finally:
            patience.cancel()
        if not line:
            self.stop()
            tail = (self.directory / "log").read_text(errors="replace")[-2000:]
            raise WarmigError(f"pool {self.name} did not start: {tail}", code="SIMULATOR_FAILED")
        self._ready = msgspec.json.decode(line, type=Ready)

    def kill(self) -> None:
        """As a toolstack that is killed: nothing is said, nothing is put in order."""
        if self._process is not None:
            self._process.kill()
            self._reap()

    def restart(self) -> None:
        """Kills the process if it runs, and starts it again with what it had on disk, at the same address."""
        self.kill()
        self.start()
        self.wait_ready()

    def stop(self) -> None:
        """Ends the process in good order."""
        if self._process is None:
            return
        self._process.terminate()
        try:
            self._process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
        self._reap()

    def _alive(self) -> Process:
        if self._process is None:
            raise WarmigError("the pool has not been started")
        return self._process

    def _reap(self) -> None:
        process = self._alive()
        process.wait()
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                pipe.close()
        self._process = None


class Site:
    """All pools of a simulation."""

    def __init__(self, pools: list[Pool]) -> None:
        self.pools = pools

    def ready_line(self) -> str:
        """One line of JSON that says how to reach every pool and what is in it."""
        return msgspec.json.encode({"pools": [msgspec.to_builtins(pool.ready) for pool in self.pools]}).decode()

    def wait(self) -> None:
        """Until the first pool's process ends."""
        while all(pool.running for pool in self.pools):
            threading.Event().wait(0.2)


@contextmanager
def start_site(config: SiteConfig, starter: Starter = in_an_interpreter) -> Iterator[Site]:
    """A running site; every pool is ready. Ends all of its processes, and removes its directory if that was a temporary one."""
    _check(config)
    with ExitStack() as ending:
        directory = config.directory
        if directory is None:
            temporary = tempfile.TemporaryDirectory(prefix="xo-warmig-simulate-", ignore_cleanup_errors=True)
            directory = Path(ending.enter_context(temporary))
        pools = [_place(pool, directory / pool.name, starter) for pool in config.pools]
        for pool in pools:
            ending.callback(pool.stop)
            pool.start()
        for pool in pools:
            pool.wait_ready()
        yield Site(pools)


def _check(config: SiteConfig) -> None:
    names = [pool.name for pool in config.pools]
    if len(set(names)) != len(names):
        raise WarmigError("two pools have the same name", code="INVALID_REQUEST", evidence={"names": names})
    for pool in config.pools:
        if pool.release not in release.names():
            raise WarmigError(
                f"no pool can be of release {pool.release}",
                code="INVALID_REQUEST",
                remedy=f"choose among {', '.join(release.names())}",
            )
        if not release.at_least(pool.release, "8.0") and any(vm.firmware == "uefi" for vm in pool.vms):
            raise WarmigError(
                f"no VM of release {pool.release} has UEFI",
                code="INVALID_REQUEST",
                evidence={"pool": pool.name},
                remedy="give it BIOS, or the pool release 8.0 or later",
            )


def _place(config: PoolConfig, directory: Path, starter: Starter) -> Pool:
    """A pool in its directory, where it was before if that is still free."""
    directory.mkdir(parents=True, exist_ok=True)
    if not config.addresses:
        found = _earlier(directory / CONFIG_FILE, config.hosts) or addresses.pick(config.hosts)
        config = msgspec.structs.replace(config, addresses=found[0], port=found[1])
    return Pool(config, directory, starter)


def _earlier(file: Path, hosts: int) -> tuple[list[str], int] | None:
    """Where the pool of this directory answered the last time."""
    if not file.exists():
        return None
    before = msgspec.json.decode(file.read_bytes(), type=PoolConfig)
    if len(before.addresses) != hosts or not addresses.are_free(before.addresses, before.port):
        return None
    return before.addresses, before.port


def _output(process: Process) -> IO[bytes]:
    assert process.stdout is not None
    return process.stdout
