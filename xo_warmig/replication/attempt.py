"""One attempt at a disk's copy: both ends opened, copied slice by slice, and confirmed. It knows nothing of further attempts."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, TypeVar

from xo_warmig.disks.admission import Admission, Tell, nobody
from xo_warmig.disks.blocks import count_between
from xo_warmig.disks.copy import CopyResult
from xo_warmig.disks.lanes import Lanes
from xo_warmig.disks.meter import Meter
from xo_warmig.disks.order import CopyOrder
from xo_warmig.disks.read_back import Comparison
from xo_warmig.disks.streams import ByteSink
from xo_warmig.disks.threads import settled
from xo_warmig.disks.throttle import Throttle
from xo_warmig.errors import TransferError, WarmigError
from xo_warmig.formats.vhd import BLOCK_BYTES
from xo_warmig.model.passes import DiskPassPlan, Way
from xo_warmig.replication.ends import Ends, both, pair
from xo_warmig.replication.exports import exports_of
from xo_warmig.replication.ledger import Ledger
from xo_warmig.replication.limits import CopyLimits
from xo_warmig.replication.ports import Import
from xo_warmig.replication.reading import Source, WayClosed, open_source
from xo_warmig.replication.retries import is_away
from xo_warmig.replication.tasks import beside
from xo_warmig.replication.ways import Ways

Result = TypeVar("Result")


class NotOnTarget(Exception):
    """The target was not seen to hold what was sent to it: the copy goes on from what is confirmed. ``str`` says why."""


class Attempt:
    """Fits ``disks.copy.Sinks``. Its moments are monotonic seconds."""

    def __init__(
        self,
        plan: DiskPassPlan,
        ways: Ways,
        ledger: Ledger,
        *,
        way: Way,
        final: bool,
        urgent: bool = False,
        meter: Meter,
        limits: CopyLimits,
        throttle: Throttle,
        held: Import | None,
        tell: Tell = nobody,
        begun: Callable[[], Awaitable[None]],
    ) -> None:
        """``urgent``: a VM is down meanwhile; ``tell``: what it waits for before it opens anything; ``begun`` is called when both ends are
        open.
        """
        self._plan = plan
        self._ways = ways
        self._ledger = ledger
        self.way = way
        self.way_closed = ""  # why it is not the one that was wanted
        self.read_whole = ""  # why nothing tells what the source stores
        self._final, self._urgent = final, urgent
        self._begun = begun
        self._meter = meter
        self._limits = limits
        self._throttle = throttle
        self._ends = Ends() if held is None else Ends(held)
        self._writer = held
        self._admission = Admission(urgent=urgent, tell=tell)
        self.resume = ledger.resume()
        self.opened = self.copied = ways.clock.monotonic()
        self.target_in_doubt = False
        self.not_closed: list[WarmigError] = []

    async def run(self) -> CopyResult:
        """Copy the rest of the disk, and see both ends confirmed.

        Raises NotOnTarget, WarmigError, asyncio.CancelledError; all ends are closed then, and the disks seen free (R10).
        """
        try:
            if not self.resume.pieces:
                await self._ledger.go_on_from(self.resume)
            source = await self._open()
            await self._begun()
            self.opened = self._ways.clock.monotonic()
            result = await self._copy(source)
            self.copied = self._ways.clock.monotonic()
            self._admission.leave()  # its buffers are for others while the pools confirm
            await self._finish(source)
        except BaseException:
            self._admission.leave()
            self.not_closed += await self._ends.close()
            raise
        await self._ledger.confirm(complete=True)
        return result

    async def first(self, blocks: bytes) -> ByteSink:
        """The list is stored before the first byte; what was sent before a break is compared before more is."""
        await self._ledger.list(blocks)
        if self.resume.pieces:
            await self._see_on_target(blocks)
            await self._ledger.go_on_from(self.resume)
        return self._throttle.sink((self._writer or await self._open_import()).stream)

    async def next(self) -> ByteSink:
        """A slice is sent: see it confirmed, and open the target for the next one."""
        if self._writer is not None:
            await self._on_target(self._writer.finish())
            self._ends.done(self._writer)
            self._writer = None
        await self._ledger.confirm()
        return self._throttle.sink((await self._open_import()).stream)

    async def _open(self) -> Source:
        """The source's end; beside it the target's, unless that is to be read back first."""
        if self._writer is not None and self.resume.pieces:
            held, self._writer = self._writer, None
            self.not_closed += await self._ends.close(held)
        if self._writer is not None or self.resume.pieces:
            return await self._open_source()
        if self._urgent:
            source, _ = await pair(self._open_source(), self._open_import())
            return source
        gate = asyncio.get_running_loop().create_future()
        source, _ = await pair(self._through(gate), self._open_import_behind(gate))
        return source

    async def _through(self, gate: "asyncio.Future[bool]") -> Source:
        """Open the source; the target's end is opened, too, as soon as it is this copy's turn."""
        opening = asyncio.ensure_future(self._open_source())
        entering = asyncio.ensure_future(self._admission.entered())
        try:
            await asyncio.wait({opening, entering}, return_when=asyncio.FIRST_COMPLETED)
            gate.set_result(not opening.done() or opening.exception() is None)
            return await opening
        finally:
            for task in (opening, entering):
                task.cancel()
            await settled(opening, entering)
            gate.cancel()

    async def _open_import_behind(self, gate: "asyncio.Future[bool]") -> Import:
        if await gate:
            return await self._open_import()
        raise TransferError("the target is not opened, as the source was not")

    async def _open_source(self) -> Source:
        """In the way that was wanted, or from a VHD export; what is open of the target stays open."""
        pending, final, throttle = self._ledger.pending, self._final, self._throttle
        plan, ways, ends = self._plan, self._ways, self._ends
        try:
            source = await open_source(
                plan, self.way, ways, ends, self._admission, pending=pending, throttle=throttle, final=final
            )
            self.read_whole = source.read_whole
            return source
        except WayClosed as why:
            self.way, self.way_closed = Way.VHD, str(why)
            return await open_source(plan, self.way, ways, ends, self._admission, pending=pending, throttle=throttle)

    async def _open_import(self) -> Import:
        opening = self._ends.open(self._ways.target.open_import(self._plan.target_vdi))
        self._writer = await self._on_target(opening)
        return self._writer

    async def _copy(self, source: Source) -> CopyResult:
        plan, resumes = self._plan, self._ledger.resumes
        order = CopyOrder(
            virtual_size_bytes=plan.virtual_size_bytes,
            differencing=plan.base is not None,
            skip_zeros=plan.skip_zeros,
            zero_unallocated=plan.zero_unallocated,
            start_offset=self.resume.offset,
            slice_bytes=self._limits.slice_bytes if resumes else None,
            slice_seconds=self._limits.slice_seconds if resumes else None,
            piece_bytes=self._throttle.piece_bytes,
        )
        copying = self._copying(source, order)
        if not resumes:
            return await copying
        return await beside(copying, self._ledger.keep_storing(self._ways.clock, self._limits.mark_seconds))

    def _copying(self, source: Source, order: CopyOrder) -> Coroutine[Any, Any, CopyResult]:
        sent, meter, admission = self._ledger.sent, self._meter, self._admission
        if source.export is not None:
            stream = self._throttle.source(source.export.stream)
            return self._ways.streams.copy(stream, self, order, sent=sent, meter=meter, admission=admission)
        lanes = self._throttle.lanes(Lanes() if source.blocks is None else source.blocks.lanes)
        return self._ways.streams.copy_extents(
            lanes, source.extents, self, order, sent=sent, meter=meter, admission=admission
        )

    async def _finish(self, source: Source) -> None:
        async def reader() -> None:
            end = source.export or source.blocks
            if end is not None:
                await end.finish()

        async def writer() -> None:
            if self._writer is not None:
                await self._on_target(self._writer.finish())

        await both(reader(), writer())

    async def _see_on_target(self, blocks: bytes) -> None:
        """Read the target back as far as the copy wants to go on from. Raises NotOnTarget."""
        saved_bytes = count_between(blocks, self._ledger.trusted, self.resume.offset) * BLOCK_BYTES
        try:
            image_format = await self._on_target(self._ways.target.image_format(self._plan.target_vdi))
            if against := exports_of(self._plan.virtual_size_bytes, image_format).table:
                raise NotOnTarget(f"the target's disk cannot be read back in parts: {against}")
            opening = self._ends.open(self._ways.target.open_export(self._plan.target_vdi, base=None))
            back = await self._on_target(opening)
            try:
                seen = await self._ways.streams.compare(
                    self._throttle.back(back.stream),
                    self.resume.pieces,
                    virtual_size_bytes=self._plan.virtual_size_bytes,
                    most_bytes=int(saved_bytes * self._limits.most_read_back),
                )
            finally:
                self.not_closed += await self._ends.close(back)
        except WarmigError as error:
            if self.target_in_doubt:
                raise
            raise NotOnTarget(f"the target cannot be read back: {error}") from error
        if seen is Comparison.DIFFERENT:
            raise NotOnTarget("the target does not hold all that was sent")
        if seen is Comparison.TOO_MUCH:
            raise NotOnTarget("reading the target back takes longer than sending again")

    async def _on_target(self, work: Coroutine[Any, Any, Result]) -> Result:
        """Something that the target's pool does. When that is away or forgot its task, what its host had to write may be lost."""
        try:
            return await work
        except WarmigError as error:
            self.target_in_doubt = self.target_in_doubt or is_away(error) or error.code == "TASK_LOST"
            raise
