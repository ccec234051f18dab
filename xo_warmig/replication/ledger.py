"""How far one disk is in a pass: what was listed, sent and confirmed, and that the book knows of it in time (R18, R22)."""

import asyncio

from xo_warmig.disks.block_table import BlockTable
from xo_warmig.disks.blocks import missing_blocks
from xo_warmig.disks.sent import SentLog
from xo_warmig.errors import TransferError
from xo_warmig.formats.vhd import BLOCK_BYTES
from xo_warmig.model.passes import DiskPassPlan, Mark
from xo_warmig.replication.clock import Clock
from xo_warmig.replication.limits import CopyLimits
from xo_warmig.replication.ports import PassBook
from xo_warmig.replication.resume import Resume, resume_of


class Ledger:
    """One disk's state in one pass."""

    def __init__(
        self,
        plan: DiskPassPlan,
        book: PassBook | None,
        mark: Mark | None,
        pending: bytes | None,
        *,
        resumes: bool,
        limits: CopyLimits,
        table: BlockTable | None = None,
    ) -> None:
        """``resumes`` False: the pass begins at the disk's start after every break, so no marks are kept."""
        known = (mark if resumes else None) or Mark()
        self.resumes = resumes
        self.sent = SentLog(known, tail_bytes=limits.tail_bytes if resumes else 0, table=table)
        self._plan = plan
        self._book = book
        self._pending = pending
        self._listed: bytes | None = None
        self._resend_bytes = limits.resend_bytes
        self._trusted = self._furthest = self.sent.confirmed
        self._lost_at = -1  # what was confirmed when the rest was lost last
        self._stored = known
        self._storing = asyncio.Lock()

    @property
    def complete(self) -> bool:
        """An earlier attempt has seen all of the disk confirmed."""
        return self.sent.confirmed >= self._plan.virtual_size_bytes

    @property
    def trusted(self) -> int:
        """What lies below is on the target: confirmed, or seen there."""
        return self._trusted

    @property
    def pending(self) -> bytes:
        """The blocks that this pass must bring, as an earlier one may have written to them (R18)."""
        return self._pending or b""

    @property
    def listed_bytes(self) -> int:
        """What the blocks of this pass's own list come to."""
        return int.from_bytes(self._listed or b"", "big").bit_count() * BLOCK_BYTES

    def resume(self) -> Resume:
        """Where to go on, and what to compare before."""
        return resume_of(self.sent.mark(), self._trusted, resend_bytes=self._resend_bytes)

    async def list(self, blocks: bytes) -> None:
        """The pass is about to write ``blocks``: durable when this returns (R18).

        Raises TransferError with code PENDING_NOT_COVERED when an earlier pass wrote to others, which this stream does not bring.
        """
        missing = missing_blocks(self._pending or b"", blocks)
        if missing:
            raise TransferError(
                f"the source's stream lacks {missing} blocks that an unfinished pass may have written to the target",
                code="PENDING_NOT_COVERED",
                evidence={"side": "source", "disk": self._plan.disk, "blocks": missing},
                remedy="copy the whole disk again, zeros included",
            )
        if self._book is not None and blocks != self._listed:
            await self._book.pending(self._plan.disk, blocks)
        self._pending = self._listed = blocks

    async def go_on_from(self, resume: Resume) -> None:
        """All below was seen on the target, and what was sent beyond it will be sent again."""
        self._trusted = resume.offset
        self.sent.back_to(resume.offset)
        await self.store()

    async def go_on_from_confirmed(self) -> None:
        """What was not confirmed counts as lost."""
        self.sent.forget_unconfirmed()
        self._trusted = self.sent.confirmed
        # The way there is progress anew, but not again and again.
        if self._lost_at < self.sent.confirmed:
            self._lost_at = self._furthest = self.sent.confirmed
        await self.store()

    async def confirm(self, *, complete: bool = False) -> None:
        """The pool's task has confirmed all that was sent; with ``complete`` that is all of the disk."""
        if complete:
            self.sent.complete(self._plan.virtual_size_bytes)
        else:
            self.sent.confirm()
        self._trusted = max(self._trusted, self.sent.confirmed)
        if complete:
            await self._sync_table()
        await self.store()

    def has_progressed(self) -> bool:
        """Whether more was sent than at any time that this was asked before."""
        before, self._furthest = self._furthest, max(self._furthest, self.sent.sent)
        return self._furthest > before

    async def store(self) -> None:
        """Write the mark down if it changed. Durable when this returns."""
        if self._book is None or not self.resumes:
            return
        async with self._storing:
            mark = self.sent.mark()
            if mark != self._stored:
                await self._sync_table()  # what is not sent again is read back by the hashes that there are
                await self._book.mark(self._plan.disk, mark)
                self._stored = mark

    async def _sync_table(self) -> None:
        if self.sent.table is not None:
            await self.sent.table.sync()

    async def keep_storing(self, clock: Clock, seconds: float) -> None:
        """Write the mark down again and again."""
        while True:
            await clock.sleep(seconds)
            await self.store()
