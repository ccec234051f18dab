"""A pass that is cut goes on, on the real wire: little is sent twice, and what the pool lost is found (R22)."""

import asyncio
import xmlrpc.client
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.pools import control, start_site
from xo_warmig.disks.meter import Meter
from xo_warmig.model.passes import DiskPassPlan, DiskPassReport, Mark, Verdict
from xo_warmig.model.servers import ServerCredentials
from xo_warmig.model.units import GIB, MIB
from xo_warmig.replication.clock import SystemClock
from xo_warmig.replication.disk_copy import DiskCopy
from xo_warmig.replication.limits import CopyLimits
from xo_warmig.replication.ways import Ways
from xo_warmig.simulator.launch import Pool, Site
from xo_warmig.simulator.site import DiskConfig, PoolConfig, SiteConfig, VmConfig
from xo_warmig.xapi.directory import Directory

QUICK = CopyLimits(first_wait_seconds=0.1, longest_wait_seconds=0.5, mark_seconds=0.2)


class Book:
    """Fits ``PassBook``."""

    def __init__(self) -> None:
        self.blocks = b""
        self.marks: list[Mark] = []

    async def pending(self, disk: str, blocks: bytes) -> None:
        self.blocks = blocks

    async def mark(self, disk: str, mark: Mark) -> None:
        self.marks.append(mark)


class Pass:
    """A full pass over the one disk of a halted VM, onto a new disk of the other pool."""

    def __init__(self, site: Site, directory: Directory, disk: str, size_bytes: int, copy: str) -> None:
        self.site = site
        self.directory = directory
        self.disk, self.size_bytes, self.copy = disk, size_bytes, copy
        self.book = Book()
        self.meter = Meter()

    @property
    def target(self) -> Pool:
        return self.site.pools[1]

    async def ask(self, pool: Pool, path: str, **order: Any) -> Any:
        return await asyncio.to_thread(control, pool, path, **order)

    async def run(self, **changes: Any) -> DiskPassReport:
        plan = DiskPassPlan(
            disk=self.disk,
            read_vdi=self.disk,
            base=None,
            target_vdi=self.copy,
            virtual_size_bytes=self.size_bytes,
            skip_zeros=True,
        )
        source: Any = await self.directory.pool_of_vm(self.site.pools[0].vms[0].uuid)
        target: Any = await self.directory.pool_of_sr(self.target.srs[0].uuid)
        ways = Ways(source, target, SystemClock())
        fields: dict[str, Any] = {"number": 1, "meter": self.meter, "book": self.book, "limits": QUICK} | changes
        return await DiskCopy(plan, ways, **fields).run()

    async def imported_bytes(self) -> int:
        """What all imports took, broken ones included."""
        trace = await self.ask(self.target, "trace")
        return sum(each["bytes"] for each in trace["transfers"] if each["name"] == "import_raw_vdi")

    async def hash_of(self, pool: Pool, vdi: str) -> str:
        state = await self.ask(pool, "state?hash=1")
        (found,) = [each for each in state["vdis"] if each["uuid"] == vdi]
        return str(found["hash"])

    async def see_equal(self) -> None:
        """Both disks, and no control domain has either."""
        hashes = [await self.hash_of(self.site.pools[0], self.disk), await self.hash_of(self.target, self.copy)]
        assert hashes[0] == hashes[1]
        for pool in self.site.pools:
            assert (await self.ask(pool, "state"))["dom0_vbds"] == []


def new_disk(pool: Pool, size_bytes: int) -> str:
    """Made by hand on a pool; its uuid."""
    with xmlrpc.client.ServerProxy(pool.url) as proxy:
        calls: Any = proxy
        session = calls.session.login_with_password(pool.username, pool.password, "1.0", "test")["Value"]
        sr = calls.SR.get_by_uuid(session, pool.srs[0].uuid)["Value"]
        record = {
            "name_label": "copy", "name_description": "", "SR": sr, "virtual_size": str(size_bytes), "type": "user",
            "sharable": False, "read_only": False, "other_config": {}, "xenstore_data": {}, "sm_config": {}, "tags": [],
        }  # fmt: skip
        ref = calls.VDI.create(session, record)["Value"]
        return str(calls.VDI.get_uuid(session, ref)["Value"])


Passes = Callable[[int], AbstractAsyncContextManager[Pass]]


@pytest.fixture
def passes(tmp_path: Path) -> Passes:
    """Makes a pass over a disk with so many bytes of data."""

    @asynccontextmanager
    async def make(allocated_bytes: int) -> AsyncIterator[Pass]:
        size_bytes = 2 * allocated_bytes
        disk = DiskConfig(size_bytes=size_bytes, allocated_bytes=allocated_bytes)
        vm = VmConfig(name_label="one", power_state="Halted", disks=[disk])
        pools = [PoolConfig(name="source", vms=[vm]), PoolConfig(name="target", seed=2)]
        directory = Directory()
        with start_site(SiteConfig(pools=pools, directory=tmp_path)) as site:
            try:
                for pool in site.pools:
                    server = ServerCredentials(
                        id=pool.name, host=pool.url, username=pool.username, password=pool.password,
                        allow_unauthorized=True,
                    )  # fmt: skip
                    await directory.add(server)
                    await directory.connect(pool.name)
                source = await directory.pool_of_vm(site.pools[0].vms[0].uuid)
                read = await source.read_vm(site.pools[0].vms[0].uuid)
                copy = await asyncio.to_thread(new_disk, site.pools[1], size_bytes)
                yield Pass(site, directory, read.disks[0].vdi, size_bytes, copy)
            finally:
                await directory.close()

    return make


async def test_a_pass_that_is_cut_at_70_percent_sends_less_than_5_percent_again(passes: Passes) -> None:
    """Of 2 GiB, as the pool's own trace counts them."""
    data_bytes = 2 * GIB
    async with passes(data_bytes) as cut:
        await cut.ask(cut.target, "faults", kind="cut", match="import_raw_vdi", at=int(data_bytes * 0.7))
        report = await cut.run()
        assert report.verdict is Verdict.COMPLETE, report.error
        assert [note.code for note in report.notes] == ["COPY_INTERRUPTED", "COPY_RESUMED"]
        again = await cut.imported_bytes() - data_bytes
        print(f"cut at 70 % of {data_bytes >> 20} MiB: {again / MIB:.1f} MiB were sent again, {again / data_bytes:.2%}")
        assert 0 < again < 0.05 * data_bytes
        await cut.see_equal()
        assert cut.book.marks[-1] == Mark(confirmed=cut.size_bytes, sent=cut.size_bytes)


async def test_a_source_that_is_cut_is_gone_on_with(passes: Passes) -> None:
    """And so are slices, each of which is an import of its own."""
    data_bytes = 512 * MIB
    async with passes(data_bytes) as cut:
        await cut.ask(cut.site.pools[0], "faults", kind="cut", match="export_raw_vdi", at=int(data_bytes * 0.7))
        limits = CopyLimits(first_wait_seconds=0.1, slice_bytes=128 * MIB)
        report = await cut.run(limits=limits)
        assert report.verdict is Verdict.COMPLETE, report.error
        assert await cut.imported_bytes() - data_bytes < 128 * MIB
        await cut.see_equal()
        confirmed = {mark.confirmed for mark in cut.book.marks}
        assert len(confirmed) >= 4


@pytest.mark.parametrize("lost_bytes", [8 * MIB, 100 * MIB])
async def test_what_the_pool_lost_in_the_cut_is_there_in_the_end(passes: Passes, lost_bytes: int) -> None:
    """Little is within what is sent again anyway; much is found by reading the target back, and everything is sent again."""
    data_bytes = 512 * MIB
    async with passes(data_bytes) as cut:
        fault = {"kind": "cut", "match": "import_raw_vdi", "at": int(data_bytes * 0.7), "drop_bytes": lost_bytes}
        await cut.ask(cut.target, "faults", **fault)
        report = await cut.run()
        assert report.verdict is Verdict.COMPLETE, report.error
        told = [note.code for note in report.notes]
        assert ("COPY_SENT_AGAIN" in told) is (lost_bytes > 64 * MIB)
        await cut.see_equal()


async def test_a_copy_that_was_killed_goes_on_from_its_book(passes: Passes) -> None:
    """The task is cancelled, which closes both ends and sees the disks free; then another one goes on."""
    data_bytes = GIB
    async with passes(data_bytes) as cut:
        running = asyncio.create_task(cut.run())
        async with asyncio.timeout(60):
            while cut.meter.written_bytes < 0.5 * data_bytes:
                await asyncio.sleep(0.005)
        running.cancel()
        await asyncio.wait({running})
        assert running.cancelled()
        assert (await cut.ask(cut.target, "state"))["dom0_vbds"] == []
        mark = cut.book.marks[-1]
        assert mark.sent > 0
        report = await cut.run(mark=mark, pending=cut.book.blocks, meter=Meter())
        assert report.verdict is Verdict.COMPLETE, report.error
        assert report.read_bytes == data_bytes
        assert report.written_bytes < data_bytes - mark.sent / 2 + 80 * MIB
        await cut.see_equal()
