"""Reading one target disk back after a pass has written it, and comparing it with the hashes of what was sent.

It is read over NBD where the target's pool serves it, else from a VHD export. A sample is some hundred blocks over NBD; an export can
only be read from its begin, so there it is all that this pass wrote within the first 64 MiB that the target stores, and whether the
rest is stored at all. A difference is never taken for one that passes.
"""

import logging
from typing import NamedTuple

from xo_warmig.disks.admission import Admission, Tell, nobody
from xo_warmig.disks.block_sample import Listing
from xo_warmig.disks.block_table import BlockTable, TablePieces, extents_of, known_extents
from xo_warmig.disks.loads import Extents
from xo_warmig.disks.read_back import Checked, Difference
from xo_warmig.disks.throttle import Throttle
from xo_warmig.errors import PoolUnreachable, SafetyError, TransferError, WarmigError
from xo_warmig.model.nbd import remedy_on_target
from xo_warmig.model.passes import HASHED_BYTES, CopyNote, DiskPassPlan, ReadBack, Way
from xo_warmig.model.requests import Verify
from xo_warmig.model.units import MIB, format_bytes, format_seconds
from xo_warmig.replication.ends import Ends
from xo_warmig.replication.exports import exports_of
from xo_warmig.replication.limits import CopyLimits
from xo_warmig.replication.reading import FEW_BYTES, open_blocks
from xo_warmig.replication.resume import Patience
from xo_warmig.replication.retries import may_pass
from xo_warmig.replication.ways import Ways

log = logging.getLogger("xo_warmig.replication")

MISMATCH = "READ_BACK_MISMATCH"
HEAD_BYTES = 64 * MIB  # of an export, for a sample
_NBD_TRIES = 2


class Found(NamedTuple):
    """``read_back`` is None where nothing could be compared; what people should know of it is in the notes (R12)."""

    read_back: ReadBack | None
    notes: list[CopyNote]


class ReadingBack:
    """One disk's read-back. Runs once; nothing is open when it returns or raises (R10)."""

    def __init__(
        self,
        plan: DiskPassPlan,
        ways: Ways,
        table: BlockTable,
        *,
        verify: Verify,
        seed: str,
        by_export: bool = False,
        in_downtime: bool = False,
        limits: CopyLimits | None = None,
        throttle: Throttle | None = None,
        tell: Tell = nobody,
    ) -> None:
        """``seed`` of the sample; ``by_export``: NBD did not work before; ``in_downtime``: a VM is down meanwhile; ``tell`` is told what it
        waits for.
        """
        self._plan = plan
        self._ways = ways
        self._table = table
        self._full = verify is Verify.FULL
        self._seed = seed
        self._by_export = by_export
        self._in_downtime = in_downtime
        self._limits = limits or CopyLimits()
        self._throttle = throttle or Throttle()
        self._tell = tell
        self._ends = Ends()
        self._notes: list[CopyNote] = []

    async def run(self) -> Found:
        """Compare what is to be compared.

        Raises:
            SafetyError: code READ_BACK_MISMATCH. WarmigError: it cannot be read back, where all was to be, or its disk is not free.
            asyncio.CancelledError.
        """
        begin = self._ways.clock.monotonic()
        listing = await self._ways.streams.list_hashed(self._table, seed=None if self._full else self._seed)
        self._tell_unknown(listing)
        if not listing.known:
            return Found(None, self._notes)
        try:
            way, checked = await self._patiently(listing)
        except WarmigError as error:
            if self._full or error.code in (MISMATCH, "DISK_STILL_ATTACHED"):
                raise
            self._note("NOT_READ_BACK", f"no sample of the target was compared: {error}")
            return Found(None, self._notes)
        seconds = self._ways.clock.monotonic() - begin
        read_back = ReadBack(
            way=way, blocks=checked.pieces, bytes=checked.read_bytes, seconds=seconds, unknown_blocks=listing.unknown
        )
        return Found(read_back, self._notes)

    async def _patiently(self, listing: Listing) -> tuple[Way, Checked]:
        patience, failures = Patience(self._limits), 0
        while True:
            try:
                way = await self._way()
                return way, self._judged(await self._once(way, listing))
            except WarmigError as error:
                if not may_pass(error):
                    raise
                failures += 1
                if await self._goes_by_export(error, failures):
                    self._note("WAY_CHANGED", f"the target is read back from a VHD export, not over NBD: {error}")
                    self._by_export, patience = True, Patience(self._limits)
                    continue
                seconds = patience.wait_seconds(error, progressed=False, now=self._ways.clock.monotonic())
                log.info("disk %s is read back again in %s: %s", self._plan.disk, format_seconds(seconds), error)
                await self._ways.clock.sleep(seconds)

    async def _goes_by_export(self, error: WarmigError, failures: int) -> bool:
        """Whether NBD is given up: soon, but not where a VM is down, as an export may take much longer (R12)."""
        if self._by_export or self._in_downtime or isinstance(error, PoolUnreachable) or failures < _NBD_TRIES:
            return False
        return not await self._against_export()

    async def _way(self) -> Way:
        against = "" if self._by_export else await self._ways.target.against_blocks(self._plan.target_vdi)
        if against and (no_export := await self._against_export()):
            raise SafetyError(
                f"only NBD can read the target disk back ({no_export}), which its pool does not serve: {against}",
                code="READ_BACK_NEEDS_NBD",
                evidence={"disk": self._plan.disk, "reason": against},
                remedy=remedy_on_target(against, "choose verify none"),
            )
        self._by_export = self._by_export or bool(against)
        return Way.VHD if self._by_export else Way.NBD

    async def _against_export(self) -> str:
        """Why none can read the target back, or none that is worth a sample, as it reads all of the disk; "" when one can."""
        image_format = await self._ways.target.image_format(self._plan.target_vdi)
        exports = exports_of(self._plan.virtual_size_bytes, image_format)
        return exports.whole or ("" if self._full else exports.table)

    async def _once(self, way: Way, listing: Listing) -> Checked:
        """Open, compare, close. An error of the target's pool says so."""
        admission = Admission(urgent=self._in_downtime, tell=self._tell)
        try:
            return await (self._from_export() if way is Way.VHD else self._over_nbd(listing, admission))
        except TransferError as error:
            error.evidence["side"] = "target"
            raise
        finally:
            admission.leave()
            for not_closed in await self._ends.close():
                raise not_closed

    async def _from_export(self) -> Checked:
        target, plan = self._ways.target, self._plan
        export = await self._ends.open(target.open_export(plan.target_vdi, base=None))
        return await self._ways.streams.check_vhd(
            self._throttle.back(export.stream),
            TablePieces(self._table),
            virtual_size_bytes=plan.virtual_size_bytes,
            head_bytes=None if self._full else HEAD_BYTES,
        )

    async def _over_nbd(self, listing: Listing, admission: Admission) -> Checked:
        count = listing.known if listing.sample is None else len(listing.sample)
        few = count * HASHED_BYTES < FEW_BYTES
        blocks = await open_blocks(
            self._ways.target,
            self._plan.target_vdi,
            self._ends,
            admission,
            connections=1 if few else self._plan.connections,
            most=1 if few else self._plan.most_connections,
        )
        checked = await self._ways.streams.check_blocks(
            self._throttle.back_lanes(blocks.lanes), self._extents(listing), self._table, admission=admission
        )
        await blocks.finish()
        self._ends.done(blocks)
        return checked

    def _extents(self, listing: Listing) -> Extents:
        if listing.sample is None:
            return lambda: known_extents(self._table)
        sample = extents_of(listing.sample, self._table.size_bytes)
        return lambda: sample

    def _judged(self, checked: Checked) -> Checked:
        if checked.difference is not None:
            raise mismatch(self._plan, checked.difference)
        return checked

    def _tell_unknown(self, listing: Listing) -> None:
        """What cannot be compared is told where all was to be."""
        if self._table.begun_at:
            self._note(
                "READ_BACK_INCOMPLETE",
                f"the hashes of what was copied below {format_bytes(self._table.begun_at)} of the disk are lost, so that is not compared",
            )
        if listing.unknown and self._full:
            self._note(
                "READ_BACK_INCOMPLETE",
                f"{listing.unknown} blocks of 64 KiB travelled in part, so they are not compared",
            )

    def _note(self, code: str, message: str) -> None:
        log.info("disk %s: %s: %s", self._plan.disk, code, message)
        self._notes.append(CopyNote(code=code, message=message))


def mismatch(plan: DiskPassPlan, difference: Difference) -> SafetyError:
    """The target does not hold what was sent to it."""
    expected, found = f"{difference.expected:016x}", f"{difference.found:016x}"
    return SafetyError(
        f"disk {plan.disk}: the target does not hold what was sent to it at byte {difference.offset}: the hash is {found} where "
        f"{expected} was sent",
        code=MISMATCH,
        evidence={
            "rule": "R4",
            "disk": plan.disk,
            "target_disk": plan.target_vdi,
            "offset": difference.offset,
            "length": difference.length,
            "expected": expected,
            "found": found,
        },
        remedy="look at the storage of the target and at the network between; start the migration again when they are in order, it "
        "sends these blocks once more",
    )
