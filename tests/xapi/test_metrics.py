"""What a VM's host measured of it, asked over the wire."""

import asyncio
import threading
from collections.abc import AsyncIterator, Iterator

import pytest

from tests.pools import control, start_site
from tests.xapi.conftest import credentials
from xo_warmig.model.units import MIB
from xo_warmig.model.vm import PowerState
from xo_warmig.simulator.launch import Site
from xo_warmig.simulator.site import DiskConfig, GuestConfig, PoolConfig, SiteConfig, VmConfig
from xo_warmig.xapi import metrics
from xo_warmig.xapi.connection import MOST_CALLS_AT_ONCE
from xo_warmig.xapi.directory import Directory
from xo_warmig.xapi.pool import Pool

RATE = 2 * MIB


@pytest.fixture(scope="module", params=["6.5", "8.2", "8.3"])
def site(request: pytest.FixtureRequest) -> Iterator[Site]:
    """A pool whose hosts read what guests write every second, over TLS."""
    disks = [DiskConfig(size_bytes=64 * MIB)] * 2
    guest = GuestConfig(kind="blocks", rate=RATE, disks=[0, 1])
    vms = [VmConfig(name_label="busy", disks=disks, guest=guest), VmConfig(name_label="off", power_state="Halted")]
    pool = PoolConfig(name="pool", release=request.param, https=True, metrics_step_seconds=1, vms=vms)
    with start_site(SiteConfig(pools=[pool])) as running:
        yield running


@pytest.fixture
async def source(site: Site) -> AsyncIterator[Pool]:
    """Connected, whatever its certificate."""
    (pool,) = site.pools
    directory = Directory()
    await directory.add(credentials(pool, allow_unauthorized=True))
    await directory.connect(pool.name)
    yield await directory.pool_of_vm(named(site, "busy"))
    await directory.close()


def named(site: Site, name_label: str) -> str:
    return next(vm.uuid for vm in site.pools[0].vms if vm.name_label == name_label)


async def told(source: Pool, vm: str) -> float | None:
    """As soon as there were two readings."""
    async with asyncio.timeout(10):
        while (rate := await source.written_bytes_per_second(vm)) is None:
            await asyncio.sleep(0.1)
    return rate


async def test_what_a_guest_writes_is_known_from_its_host(site: Site, source: Pool) -> None:
    """Of both of its disks, about; and nothing on the pool was changed by asking."""
    (pool,) = site.pools
    before = control(pool, "trace")["number"]
    assert await told(source, named(site, "busy")) == pytest.approx(RATE, rel=0.5)
    calls = [call for call in control(pool, "trace")["calls"] if call["number"] > before]
    assert not [call["method"] for call in calls if call["changed"]]


async def test_where_nothing_is_known(source: Pool, site: Site) -> None:
    """Of a VM that does not run, and of one that there is not."""
    assert await source.written_bytes_per_second(named(site, "off")) is None
    assert await source.written_bytes_per_second("no-such-vm") is None


async def test_a_host_that_does_not_answer_well_is_done_without(
    source: Pool, site: Site, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """An answer that is too large, and one that does not come in time: the debug log says why."""
    await told(source, named(site, "busy"))
    caplog.set_level("DEBUG", logger="xo_warmig.xapi.metrics")
    for name, least in (("_MOST_BYTES", 100), ("_MOST_SECONDS", 0.0)):
        with monkeypatch.context() as patched:
            patched.setattr(metrics, name, least)
            assert await source.written_bytes_per_second(named(site, "busy")) is None
    assert "too large" in caplog.text
    assert "TimeoutError" in caplog.text


async def test_hosts_that_hang_keep_no_call_waiting(source: Pool, site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """However many ask at once: a downtime's calls go to the same pool."""
    hanging = threading.Event()
    monkeypatch.setattr(metrics, "_fetch", lambda opening, address: hanging.wait(20))
    monkeypatch.setattr(metrics, "_MOST_SECONDS", 1.0)
    vm = named(site, "busy")
    try:
        asked = [asyncio.ensure_future(source.written_bytes_per_second(vm)) for _ in range(2 * MOST_CALLS_AT_ONCE)]
        assert await asyncio.gather(*asked) == [None] * len(asked)
        async with asyncio.timeout(5):
            assert await source.power_state(vm) is PowerState.RUNNING
    finally:
        hanging.set()
