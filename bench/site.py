"""The simulated sites of benchmarks, and how our adapters sign in to them.

Their disks lie in the machine's memory where there is room: what is measured is how disks are moved, and a machine's own disk would be
the same limit to everybody, and most of the noise.
"""

import os
import shutil
import signal
import tempfile
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import ExitStack, asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import msgspec

from xo_warmig.model.servers import ServerCredentials
from xo_warmig.model.units import GIB
from xo_warmig.simulator.launch import Pool, Site, start_site
from xo_warmig.simulator.site import DiskConfig, PoolConfig, SiteConfig, VmConfig
from xo_warmig.xapi.directory import Directory

_MEMORY = Path("/dev/shm")
_BEHIND = 10  # how much nicer than everybody else the simulated pools are


@contextmanager
def site_in_memory(config: SiteConfig, *, written_bytes: int) -> Iterator[Site]:
    """``start_site``; ``written_bytes``: what its disks will take in all. A benchmark that is told to end puts all away, too."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with ExitStack() as ending:
        if has_room(written_bytes):
            directory = tempfile.TemporaryDirectory(
                prefix="xo-warmig-simulate-", dir=_MEMORY, ignore_cleanup_errors=True
            )
            config = msgspec.structs.replace(config, directory=Path(ending.enter_context(directory)))
        yield ending.enter_context(start_site(config))


def put_behind(site: Site) -> None:
    """The pools' processes, with all threads that they have; those that these start are as nice. Real pools are other machines."""
    for pool in site.pools:
        for thread in Path(f"/proc/{pool.pid}/task").iterdir():
            os.setpriority(os.PRIO_PROCESS, int(thread.name), _BEHIND)


def has_room(count_bytes: int) -> bool:
    """Whether the machine's memory can hold so much, and as much again is left to work with."""
    if not _MEMORY.is_dir():
        return False
    meminfo = dict(line.split(":") for line in Path("/proc/meminfo").read_text().splitlines())
    available_bytes = int(meminfo["MemAvailable"].split()[0]) * 1024
    return shutil.disk_usage(_MEMORY).free > count_bytes and available_bytes > 2 * count_bytes


@contextmanager
def two_pools(
    *,
    disks: int,
    allocated_bytes: int,
    size_bytes: int = 0,
    https: bool = False,
    nbd_purpose: str = "",
    latency_seconds: float = 0.0,
) -> Iterator[Site]:
    """A VM on the first pool with ``disks`` of ``size_bytes``, by default twice ``allocated_bytes``.

    ``https`` and ``latency_seconds``: of both pools. ``nbd_purpose`` of the source: see ``PoolConfig``.
    """
    disk = DiskConfig(size_bytes=size_bytes or max(4 * GIB, 2 * allocated_bytes), allocated_bytes=allocated_bytes)
    vm = VmConfig(name_label="bench", power_state="Halted", disks=[disk] * disks)
    both: dict[str, Any] = {"https": https, "latency_seconds": latency_seconds}
    pools = [
        PoolConfig(name="source", vms=[vm], nbd_purpose=nbd_purpose, **both),
        PoolConfig(name="target", cpu_vendor="AuthenticAMD", seed=2, **both),
    ]
    with site_in_memory(SiteConfig(pools=pools), written_bytes=2 * disks * allocated_bytes) as site:
        yield site


def credentials(pool: Pool, server: str) -> ServerCredentials:
    """How our adapters sign in to a simulated pool."""
    return ServerCredentials(
        id=server, host=pool.url, username=pool.username, password=pool.password, allow_unauthorized=True
    )


@asynccontextmanager
async def connected(site: Site) -> AsyncIterator[Directory]:
    """Our adapters, signed in to every pool of the site."""
    async with signed_in([credentials(pool, str(number)) for number, pool in enumerate(site.pools)]) as directory:
        yield directory


@asynccontextmanager
async def signed_in(servers: Sequence[ServerCredentials]) -> AsyncIterator[Directory]:
    """Our adapters, signed in to these."""
    directory = Directory()
    try:
        for server in servers:
            await directory.add(server)
            await directory.connect(server.id)
        yield directory
    finally:
        await directory.close()
