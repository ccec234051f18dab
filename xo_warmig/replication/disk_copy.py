"""One disk in one pass, from its opening to the confirmed end, over as many breaks as it takes (R22).

What the copy cannot go on with is a value here, not an exception: the report says what came of the disk. Only a cancellation is
raised. Either way no end is open and no disk attached when this returns (R10).
"""

import asyncio
import logging
from collections import deque

from xo_warmig.disks.admission import Tell, nobody
from xo_warmig.disks.block_table import BlockTable
from xo_warmig.disks.copy import CopyResult
from xo_warmig.disks.meter import Meter
from xo_warmig.disks.throttle import Throttle
from xo_warmig.errors import TransferError, WarmigError
from xo_warmig.model.passes import CopyNote, DiskPassPlan, DiskPassReport, Mark, Verdict, Way
from xo_warmig.model.units import MIB, format_bytes, format_seconds
from xo_warmig.replication.attempt import Attempt, NotOnTarget
from xo_warmig.replication.ledger import Ledger
from xo_warmig.replication.limits import CopyLimits
from xo_warmig.replication.ports import Import, PassBook
from xo_warmig.replication.resume import Patience
from xo_warmig.replication.retries import is_away, may_pass
from xo_warmig.replication.ways import Ways

log = logging.getLogger("xo_warmig.replication")

# So much can be sent to a dead connection before its death is seen: what the buffers on the way take, and not the pool.
_UNSEEN_BYTES = 8 * MIB
_MOST_NOTES = 100


class DiskCopy:
    """Runs once. ``report`` is there when it has ended, in whatever way; ``error`` is what it failed of."""

    def __init__(
        self,
        plan: DiskPassPlan,
        ways: Ways,
        *,
        number: int,
        meter: Meter,
        held: Import | None = None,
        book: PassBook | None = None,
        mark: Mark | None = None,
        pending: bytes | None = None,
        final: bool = False,
        urgent: bool = False,
        limits: CopyLimits | None = None,
        throttle: Throttle | None = None,
        table: BlockTable | None = None,
        tell: Tell = nobody,
        tell_away: Tell = nobody,
    ) -> None:
        """
        Args:
            number: of the pass.
            meter: counters that others may read meanwhile.
            held: an import that was opened beforehand; it belongs to the copy from here on.
            book: where the list of blocks and the marks are stored. Without one nothing is gone on with after a break: nobody would
                know of it after a crash (R18).
            mark: how far an earlier attempt at this very pass came, from the book. The same snapshot must be read.
            pending: the list of a pass that never completed, from the book; this pass must bring all of it (R18).
            final: what is read is the halted disk itself; nothing is gone on with after a break (R22).
            urgent: a VM is down meanwhile, so it goes before others.
            throttle: how fast it may go.
            table: gets the hashes of what is sent.
            tell: is told what it waits for before it opens anything; ``tell_away``: that it waits for a pool, or a host, that is away.
        """
        self.report: DiskPassReport | None = None
        self.error: WarmigError | None = None
        self._plan = plan
        self._ways = ways
        self._way, self._why = plan.way, plan.reason
        self._final, self._urgent = final, urgent
        self._name = f"pass {number}, disk {plan.disk}"
        self._meter = meter
        self._held = held
        self._limits = limits or CopyLimits()
        self._throttle = throttle or Throttle()
        self._tell, self._tell_away = tell, tell_away
        self._away = False  # is told
        resumes = book is not None and not final
        self._ledger = Ledger(plan, book, mark, pending, resumes=resumes, limits=self._limits, table=table)
        self._patience = Patience(self._limits)
        self._notes: deque[CopyNote] = deque(maxlen=_MOST_NOTES)

    async def run(self) -> DiskPassReport:
        """Copy the disk; its report. Raises asyncio.CancelledError only."""
        begin = self._ways.clock.monotonic()
        try:
            result, attempt = await self._to_the_end()
        except asyncio.CancelledError:
            self._write_report(Verdict.PARTIAL, begin)
            raise
        except Exception as failure:
            self.error = failure if isinstance(failure, WarmigError) else _unexpected(self._plan, failure)
            return self._write_report(Verdict.FAILED, begin)
        return self._write_report(Verdict.COMPLETE, begin, result, attempt)

    async def _to_the_end(self) -> tuple[CopyResult | None, Attempt | None]:
        try:
            return await self._attempts()
        finally:
            await self._tell_back()

    async def _attempts(self) -> tuple[CopyResult | None, Attempt | None]:
        while not self._ledger.complete:
            held, self._held = self._held, None
            attempt = Attempt(
                self._plan,
                self._ways,
                self._ledger,
                way=self._way,
                final=self._final,
                urgent=self._urgent,
                meter=self._meter,
                limits=self._limits,
                throttle=self._throttle,
                held=held,
                tell=self._tell,
                begun=self._tell_back,
            )
            if attempt.resume.offset:
                self._note("COPY_RESUMED", f"goes on at {format_bytes(attempt.resume.offset)} of the disk")
            try:
                return await attempt.run(), attempt
            except NotOnTarget as why:
                self._see_closed(attempt)
                await self._start_at_confirmed(str(why))
            except WarmigError as error:
                if self._ledger.resumes:
                    await self._bear(error, attempt)
                elif not (held is not None and self._died_unseen(error)):
                    raise
                else:
                    self._see_closed(attempt)
                    log.info("%s: the held import is opened again: %s", self._name, error)
                    self._meter.reset()
            finally:
                if attempt.way_closed:
                    self._take_exports(attempt.way_closed)
                self._tell_whole(attempt.read_whole)
            self._meter.again()
        return None, None

    async def _bear(self, error: WarmigError, attempt: Attempt) -> None:
        """See what the failure means for what was sent, and wait. Raises what cannot be borne."""
        if not may_pass(error):
            raise error
        self._see_closed(attempt)
        clock = self._ways.clock
        progressed = self._ledger.has_progressed()
        if attempt.target_in_doubt:
            await self._start_at_confirmed("the target's host may have been lost")
        else:
            await self._ledger.store()
        try:
            seconds = self._patience.wait_seconds(error, progressed=progressed, now=clock.monotonic())
        except WarmigError:
            if self._way is Way.VHD or attempt.target_in_doubt or self._plan.no_other_way:
                raise
            self._take_exports(str(error))
            self._patience, seconds = Patience(self._limits), 0.0
        self._note("COPY_INTERRUPTED", f"{error}; the next try is in {format_seconds(seconds)}")
        if is_away(error) and not self._away:
            self._away = True
            await self._tell_away(str(error))
        await clock.sleep(seconds)

    async def _tell_back(self) -> None:
        """Both pools have answered, or there is nothing to wait for any more."""
        if self._away:
            self._away = False
            await self._tell_away("")

    def _take_exports(self, why: str) -> None:
        """Not the way that was planned from here on, and that is told (R12)."""
        self._note("WAY_CHANGED", f"not read by {self._way}, but from a VHD export: {why}")
        self._way, self._why = Way.VHD, f"not over NBD: {why}"

    def _tell_whole(self, why: str) -> None:
        """Once: every byte of the disk is read, and that takes its time (R12)."""
        if why and why not in [note.message for note in self._notes]:
            self._note("WHOLE_DISK_READ", why)

    @staticmethod
    def _see_closed(attempt: Attempt) -> None:
        """A disk that was not let go of cannot be opened again from here (R10, R16)."""
        if attempt.not_closed:
            raise attempt.not_closed[0]

    async def _start_at_confirmed(self, why: str) -> None:
        """Everything since the last confirmed slice is sent again, and told so (R12)."""
        sent = self._ledger.sent
        if sent.sent > sent.confirmed:
            self._note(
                "COPY_SENT_AGAIN",
                f"{why}, so the copy goes on from what is confirmed: {format_bytes(sent.confirmed)} of the disk, "
                f"where {format_bytes(sent.sent)} were reached",
            )
        await self._ledger.go_on_from_confirmed()

    def _died_unseen(self, error: WarmigError) -> bool:
        """An import that stood open and idle may have died meanwhile: it is opened again, and the whole disk is sent."""
        from_target = isinstance(error, TransferError) and error.evidence.get("side") != "source"
        return from_target and self._meter.written_bytes <= _UNSEEN_BYTES

    def _note(self, code: str, message: str) -> None:
        log.info("%s: %s: %s", self._name, code, message)
        self._notes.append(CopyNote(code=code, message=message))

    def _write_report(
        self, verdict: Verdict, begin: float, result: CopyResult | None = None, attempt: Attempt | None = None
    ) -> DiskPassReport:
        meter, end = self._meter, self._ways.clock.monotonic()
        moved = result or CopyResult(meter.read_bytes, meter.written_bytes, meter.transfer_seconds)
        self.report = DiskPassReport(
            disk=self._plan.disk,
            verdict=verdict,
            read_bytes=moved.read_bytes,
            written_bytes=moved.written_bytes,
            seconds=end - begin,
            transfer_seconds=moved.transfer_seconds,
            error=None if self.error is None else self.error.as_dict(),
            open_seconds=0.0 if attempt is None else attempt.opened - begin,
            confirm_seconds=0.0 if attempt is None else end - attempt.copied,
            notes=list(self._notes),
            held_back_seconds=self._throttle.held_back_seconds,
            way=self._way,
            way_reason=self._why,
            listed_bytes=self._ledger.listed_bytes,
        )
        return self.report


def _unexpected(disk: DiskPassPlan, failure: Exception) -> WarmigError:
    log.error("copying disk %s failed unexpectedly", disk.disk, exc_info=failure)
    return WarmigError(
        f"copying disk {disk.disk} failed unexpectedly ({type(failure).__name__})", evidence={"disk": disk.disk}
    )
