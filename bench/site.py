"""The simulated site of a benchmark: a halted VM with a full disk on one pool, an empty pool beside it, both over plain HTTP."""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

from xo_warmig.model.servers import ServerCredentials
from xo_warmig.model.units import GIB
from xo_warmig.simulator.launch import Pool, Site, start_site
from xo_warmig.simulator.site import DiskConfig, PoolConfig, SiteConfig, VmConfig
from xo_warmig.xapi.directory import Directory


@contextmanager
def two_pools(*, disks: int, allocated_bytes: int, https: bool = False) -> Iterator[Site]:
    """A VM on the first pool with ``disks`` of twice ``allocated_bytes``."""
    disk = DiskConfig(size_bytes=max(4 * GIB, 2 * allocated_bytes), allocated_bytes=allocated_bytes)
    vm = VmConfig(name_label="bench", power_state="Halted", disks=[disk] * disks)
    pools = [
        PoolConfig(name="source", vms=[vm], https=https),
        PoolConfig(name="target", cpu_vendor="AuthenticAMD", seed=2, https=https),
    ]
    with start_site(SiteConfig(pools=pools)) as site:
        yield site


@contextmanager
def pools_at(latency_seconds: float, *, disks: int, allocated_bytes: int) -> Iterator[Site]:
    """Two such pools that are so far away; disks are served over NBD."""
    disk = DiskConfig(size_bytes=2 * allocated_bytes, allocated_bytes=allocated_bytes)
    vm = VmConfig(name_label="bench", power_state="Halted", disks=[disk] * disks)
    pools = [
        PoolConfig(name="source", vms=[vm], latency_seconds=latency_seconds, nbd_purpose="insecure_nbd"),
        PoolConfig(name="target", cpu_vendor="AuthenticAMD", seed=2, latency_seconds=latency_seconds),
    ]
    with start_site(SiteConfig(pools=pools)) as site:
        yield site


def credentials(pool: Pool, server: str) -> ServerCredentials:
    """How our adapters sign in to a simulated pool."""
    return ServerCredentials(
        id=server, host=pool.url, username=pool.username, password=pool.password, allow_unauthorized=True
    )


@asynccontextmanager
async def connected(site: Site) -> AsyncIterator[Directory]:
    """Our adapters, signed in to every pool of the site."""
    directory = Directory()
    try:
        for number, pool in enumerate(site.pools):
            await directory.add(credentials(pool, str(number)))
            await directory.connect(str(number))
        yield directory
    finally:
        await directory.close()
