"""Two pools in memory, with every call traced and able to fail, and what must hold after each of them."""

import asyncio
import itertools
from array import array
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any

from tests.engine.fake_pools import BLOCK, FakePool, FakeVdi, FakeVm
from tests.engine.throttled_ends import end_of, pass_through
from xo_warmig.disks.admission import Admission
from xo_warmig.disks.block_sample import Listing, listing_of
from xo_warmig.disks.block_table import BlockTable
from xo_warmig.disks.copy import CopyResult, Sinks
from xo_warmig.disks.loads import Extents
from xo_warmig.disks.meter import Meter
from xo_warmig.disks.order import CopyOrder
from xo_warmig.disks.read_back import Checked, Difference, Wanted
from xo_warmig.disks.sent import SentLog
from xo_warmig.disks.table import Listed, blocks_listed
from xo_warmig.errors import PoolError, PoolUnreachable, TransferError
from xo_warmig.formats.cbt import from_extents
from xo_warmig.model.extents import Extent
from xo_warmig.model.passes import HASHED_BYTES, SentPiece
from xo_warmig.model.vm import Attachment, PowerState
from xo_warmig.replication.ways import Streams

DISK_BYTES = 64 * BLOCK
_READS = (
    "read_",
    "power_state",
    "attachments",
    "look",
    "networks",
    "blocked_operations",
    "is_booted",
    "assert_",
    "our_objects",
    "against_nbd",
    "against_blocks",
    "against_vtpm_contents",
    "image_format",
    "is_tracked",
    "changed_blocks",
    "life_of",
    "host_lives",
)


def bitmap_of(indexes: list[int]) -> bytes:
    """A bit for each block, the first in the highest bit of the first byte."""
    bits = bytearray(DISK_BYTES // BLOCK // 8)
    for index in indexes:
        bits[index // 8] |= 0x80 >> index % 8
    return bytes(bits)


class Fault:
    """What befalls a call: ``before`` it has its effect or after, once or for good."""

    def __init__(
        self,
        error: BaseException | None,
        *,
        after: bool,
        times: int,
        hook: Callable[[], None] | None,
        kills: bool,
    ) -> None:
        self.error, self.after, self.left, self.hook, self.kills = error, after, times, hook, kills


class World:
    """Both pools and what is done to them."""

    def __init__(self) -> None:
        self.trace: list[str] = []
        self.counts: dict[str, int] = {}
        self.faults: dict[tuple[str, int], Fault] = {}
        self.always: dict[str, BaseException] = {}
        self.down: set[str] = set()
        self.forgotten: set[str] = set()  # pools that do not know our session any more
        self.hooks: dict[str, Callable[[], None]] = {}
        self.ids = itertools.count(1)
        self.moment = itertools.count(1)
        self.throughput = 100 * BLOCK
        self.call_seconds = 0.01
        self.dirty_per_call = 1
        self.shutdown_seconds = 1.0
        self.boots = True
        self.other_vms: dict[str, list[str]] = {}
        self.background: set[asyncio.Future[None]] = set()
        self.violations: list[str] = []
        self.source = FakePool(self, "source")
        self.target = FakePool(self, "target")
        self.corrupts: set[int] = set()  # blocks that change on their way
        self.copies: list[tuple[str, int, bool]] = []
        self._build()

    def _build(self) -> None:
        vm = FakeVm("vm-1", PowerState.RUNNING)
        for number in range(2):
            vdi = FakeVdi(f"disk-{number}", DISK_BYTES, "sr-source")
            for index in range(0, 40, 2):
                vdi.blocks[index] = (index + 1, next(self.moment))
            vdi.blocks[41] = (0, next(self.moment))  # allocated zeros
            self.source.vdis[vdi.uuid] = vdi
            vm.vdis.append(vdi.uuid)
        self.source.vms[vm.uuid] = vm
        self.vm = vm

    def add_vm(self, uuid: str, disk: str) -> FakeVm:
        """Another running VM with one disk; its guest writes nothing."""
        vm = FakeVm(uuid, PowerState.RUNNING)
        vdi = FakeVdi(disk, DISK_BYTES, "sr-source")
        vdi.blocks = {index: (index, next(self.moment)) for index in range(1, 9)}
        self.source.vdis[disk] = vdi
        vm.vdis.append(disk)
        self.source.vms[uuid] = vm
        return vm

    def fail(
        self,
        call: str,
        nth: int = 1,
        *,
        error: BaseException | None = None,
        after: bool = False,
        times: int = 1,
        hook: Callable[[], None] | None = None,
        kills: bool = False,
    ) -> None:
        """Let the ``nth`` call (and ``times - 1`` more) fail, or run a hook there. ``kills``: the hook is the end of who calls."""
        self.faults[call, nth] = Fault(error, after=after, times=times, hook=hook, kills=kills)

    def refusal(self, code: str = "SR_BACKEND_FAILURE_44") -> PoolError:
        return PoolError(f"the pool said {code}", code=code, evidence={"xapi": [code]})

    @asynccontextmanager
    async def call(self, side: str, name: str) -> AsyncIterator[None]:
        full = f"{side}.{name}"
        self.counts[full] = nth = self.counts.get(full, 0) + 1
        self.trace.append(full)
        await asyncio.sleep(self.call_seconds)
        if side in self.down:
            raise PoolUnreachable(f"pool {side} does not answer", evidence={"pool": side, "host": f"{side}.example"})
        if side in self.forgotten and not name.startswith(_READS):
            self.forgotten.discard(side)  # whoever met this logs in again
            raise self.refusal("SESSION_INVALID")
        fault = next((each for (c, n), each in self.faults.items() if c == full and n <= nth < n + each.left), None)
        if full in self.always:
            if fault is not None:
                self._befall(fault)
            raise self.always[full]
        if fault is not None and not fault.after:
            self._befall(fault)
            if fault.kills:
                await asyncio.get_running_loop().create_future()  # whoever called is dead, and the call was never sent
        yield
        self.guest_writes()
        self.look()
        if fault is not None and fault.after:
            self._befall(fault)
        hook = self.hooks.get(full)
        if hook is not None:
            hook()

    def restart(self, side: str, seconds: float) -> None:
        """The toolstack of a pool is killed and is back after a while: transfers broken, their disks still attached, sessions gone."""
        pool = self.source if side == "source" else self.target
        self.down.add(side)
        for end in list(pool.ends):
            end.dead = True
            end.gone()
            mode = "RO" if end.side == "source" else "RW"
            left = Attachment(vdi=end.vdi.uuid, vm="dom0", is_control_domain=True, plugged=True, mode=mode)
            pool.foreign.append(left)
        pool.tasks.clear()

        def back() -> None:
            self.down.discard(side)
            self.forgotten.add(side)

        asyncio.get_running_loop().call_later(seconds, back)

    def _befall(self, fault: Fault) -> None:
        if fault.hook is not None:
            fault.hook()
        if fault.error is not None:
            raise fault.error

    def guest_writes(self) -> None:
        if self.vm.power is PowerState.RUNNING:
            for _ in range(self.dirty_per_call):
                moment = next(self.moment)
                vdi = self.source.vdis.get(self.vm.vdis[moment % len(self.vm.vdis)]) if self.vm.vdis else None
                if vdi is not None:
                    vdi.blocks[moment * 7 % 48] = (moment % 5 * moment, moment)

    def look(self) -> None:
        """What must hold after every call."""
        running = [vm.uuid for pool in (self.source, self.target) for vm in pool.vms.values()
                   if vm.power is PowerState.RUNNING]  # fmt: skip
        if len(running) > 1:
            self.violations.append(f"R1: two live copies: {running}")

    async def copy(
        self,
        source: Any,
        sinks: Sinks,
        order: CopyOrder,
        *,
        sent: SentLog,
        meter: Meter,
        admission: Admission,
    ) -> CopyResult:
        """Stands in for ``copy_vhd``: block by block, in virtual time."""
        end = end_of(source)
        assert order.differencing is (end.base is not None)
        return await self._move(source, end.blocks, sinks, order, sent, meter)

    async def copy_extents(
        self,
        lanes: Any,
        extents: Extents,
        sinks: Sinks,
        order: CopyOrder,
        *,
        sent: SentLog,
        meter: Meter,
        admission: Admission,
    ) -> CopyResult:
        """Stands in for ``disks.copy.copy_extents``."""
        indexes = sorted(
            {index for extent in extents() for index in range(extent.offset // BLOCK, -(-extent.end // BLOCK))}
        )
        assert bool(lanes) == bool(indexes), "a connection is there if it is used"
        stored = end_of(lanes).vdi.blocks if lanes else {}
        return await self._move(
            lanes if lanes else None,
            [(index, stored.get(index, (0, 0))[0]) for index in indexes],
            sinks,
            order,
            sent,
            meter,
        )

    async def read_table(self, source: Any, size_bytes: int) -> bytes:
        """Stands in for ``disks.table.read_table``."""
        end = end_of(source)
        if end.dead or end.pool.name in self.down:
            raise TransferError("the source broke", evidence={"side": "source"})
        end.close()
        return bitmap_of([index for index, _ in end.blocks])

    @property
    def streams(self) -> Streams:
        return Streams(
            self.copy,
            self.copy_extents,
            self.read_table,
            self.read_clusters,
            self.list_blocks,
            list_hashed=self.list_hashed,
            check_vhd=self.check_vhd,
            check_blocks=self.check_blocks,
        )

    async def read_clusters(self, source: Any, size_bytes: int) -> bytes:
        """Stands in for ``disks.table.read_clusters``."""
        end = end_of(source)
        end.close()
        return from_extents((Extent(index * BLOCK, BLOCK) for index, _ in end.blocks), size_bytes)

    async def list_blocks(self, blocks: bytes, pending: bytes, size_bytes: int, *, gap_bytes: int) -> Listed:
        """``disks.table.list_blocks`` without a thread, which knows nothing of virtual time."""
        return blocks_listed(blocks, pending, size_bytes, gap_bytes=gap_bytes)

    async def list_hashed(self, table: BlockTable, *, seed: str | None) -> Listing:
        """Stands in for ``disks.block_sample.list_hashed``."""
        return listing_of(table, seed=seed)

    async def check_vhd(
        self, source: Any, wanted: Wanted, *, virtual_size_bytes: int, head_bytes: int | None = None
    ) -> Checked:
        """Stands in for ``disks.read_back.check_vhd``: the disk is read from its begin."""
        pieces = [piece for block in range(DISK_BYTES // BLOCK) for piece in wanted.of(block)]
        blocks = [piece.offset // BLOCK for piece in pieces if head_bytes is None or piece.offset < head_bytes]
        return await self._check(
            source, [p for p in pieces if p.offset // BLOCK in blocks], max(blocks, default=-1) + 1
        )

    async def check_blocks(self, lanes: Any, extents: Extents, table: BlockTable, *, admission: Admission) -> Checked:
        """Stands in for ``disks.block_check.check_blocks``."""
        pieces = [
            SentPiece(extent.offset, extent.length, table.get(extent.offset // HASHED_BYTES, 1)[0])
            for extent in extents()
        ]
        return await self._check(lanes, pieces, len(pieces))

    async def _check(self, stream: Any, pieces: list[SentPiece], blocks_read: int) -> Checked:
        end = end_of(stream)
        async with self.call("copy", "check"):
            pass
        await asyncio.sleep(blocks_read * BLOCK / self.throughput)
        if end.dead or end.pool.name in self.down:
            raise TransferError("the target broke", evidence={"side": "target"})
        for piece in pieces:
            found = end.vdi.blocks.get(piece.offset // BLOCK, (0, 0))[0] + 2
            if found != piece.xxh3:
                return Checked(len(pieces), 0, Difference(piece.offset, piece.length, piece.xxh3, found))
        return Checked(len(pieces), blocks_read * BLOCK)

    async def _move(
        self, stream: Any, blocks: list[tuple[int, int]], sinks: Sinks, order: CopyOrder, sent: SentLog, meter: Meter
    ) -> CopyResult:
        begin = asyncio.get_running_loop().time()
        source = end_of(stream)
        skip_zeros = order.skip_zeros
        self.copies.append((source.vdi.uuid if source is not None else "", len(blocks), skip_zeros))
        sent_to = await sinks.first(bitmap_of([index for index, _ in blocks]))
        sink = end_of(sent_to)
        try:
            async with self.call("copy", "begin"):
                pass
            meter.total_bytes = len(blocks) * BLOCK
            for index, value in blocks:
                await pass_through(stream, BLOCK)
                await asyncio.sleep(BLOCK / self.throughput)
                for end in (source, sink):
                    if end.dead or end.pool.name in self.down:
                        raise TransferError(
                            f"the {end.side} broke", evidence={"side": end.side, "bytes": meter.done_bytes}
                        )
                meter.read(BLOCK)
                if value or not skip_zeros:
                    await pass_through(sent_to, BLOCK)
                    sink.write(index, value + (index in self.corrupts))
                    if sent.table is not None:  # the first 64 KiB stand for all of a block
                        sent.table.put(index * BLOCK // HASHED_BYTES, array("Q", [value + 2]))
                    meter.wrote(BLOCK)
            async with self.call("copy", "end"):
                pass
        except BaseException:
            if source is not None:
                source.close()
            sink.close()
            raise
        return CopyResult(meter.done_bytes, meter.written_bytes, asyncio.get_running_loop().time() - begin)

    # What tests look at.

    def the_target(self) -> FakeVm:
        (target,) = self.target.vms.values()
        return target

    def disks_of(self, pool: "FakePool", vm: FakeVm) -> list[dict[int, int]]:
        return [pool.vdis[vdi].content() for vdi in vm.vdis]

    def assert_equal(self) -> None:
        assert self.disks_of(self.target, self.the_target()) == self.disks_of(self.source, self.vm)

    def our_snapshots(self) -> list[FakeVdi]:
        return [vdi for vdi in self.source.vdis.values() if vdi.tag is not None]

    def assert_quiet(self) -> None:
        """No transfer is open, no disk attached to a control domain, and no rule was broken on the way."""
        assert self.violations == []
        assert self.source.ends == []
        assert self.target.ends == []

    def assert_as_found(self, *, blocked: Mapping[str, str] | None = None) -> None:
        """The source is as it was before, and the target does not run."""
        self.assert_quiet()
        assert self.vm.power is PowerState.RUNNING
        assert self.vm.blocked == dict(blocked or {})
        assert all(vm.power is PowerState.HALTED for vm in self.target.vms.values())

    def assert_nothing_left(self) -> None:
        assert self.our_snapshots() == []
        assert self.target.vms == {}
        assert self.target.vdis == {}
