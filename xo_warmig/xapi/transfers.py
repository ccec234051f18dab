"""Disk transfers of a pool: exports and imports from their opening to the moment when the control domain has let go of the disk.

Success is what the transfer's task says, never an HTTP status or the end of a stream (R22).
"""

import asyncio
import contextlib
import functools
import itertools
import logging
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Generic, TypeVar

from xo_warmig.disks.threads import settled
from xo_warmig.errors import PoolError, PoolUnreachable, TransferError, TransferStalled, WarmigError
from xo_warmig.model.images import QCOW2, VHD
from xo_warmig.model.units import MIB
from xo_warmig.xapi import failures, objects, tasks
from xo_warmig.xapi.address import Address
from xo_warmig.xapi.attachments import Owners, release_vbds, see_nobody_writes, wait_until_let_go
from xo_warmig.xapi.clearing import EXPORT_LABEL, IMPORT_LABEL, description_of
from xo_warmig.xapi.connection import Connection
from xo_warmig.xapi.image_formats import Record, Storages, image_format_of
from xo_warmig.xapi.opening import Opened, Opening
from xo_warmig.xapi.serving import answers_at, see_served, started_at
from xo_warmig.xapi.storage import hosts_of
from xo_warmig.xapi.streams import STALL_SECONDS, SocketSink, SocketSource, SocketStream

_FIRST_WAIT_SECONDS = 0.01  # the end of a transfer is inside the downtime
_LONGEST_WAIT_SECONDS = 0.25
_TASK_SECONDS = 900.0
_RELEASE_SECONDS = 300.0
_ABORT_SECONDS = 60.0
_HOSTS_FRESH_SECONDS = 30.0
_EXPLAIN_SECONDS = 2.0
_SLOWEST_READ_BYTES_PER_SECOND = 20 * MIB  # of a disk by its own pool
_LOOK_SECONDS = 2.0  # between two looks at the host that a transfer runs on

StreamT = TypeVar("StreamT", bound=SocketStream)

log = logging.getLogger(__name__)


class Transfer(Generic[StreamT]):
    """An open end of a disk: its stream, its task, and the disks that a control domain holds for it."""

    def __init__(self, connection: Connection, job: "Job", stream: StreamT) -> None:
        self._connection = connection
        self._job = job
        self._stream = stream

    @property
    def stream(self) -> StreamT:
        """The bytes."""
        return self._stream

    async def finish(self) -> None:
        """After the last byte: the pool's task succeeded, and its control domain has let go of the disk.

        Raises:
            TransferError: the task failed, was lost, or the disk stays attached.
        """
        try:
            await self._job.succeeded(self._connection)
            await self._job.forgotten_and_let_go(self._connection, _RELEASE_SECONDS)
        finally:
            await _close(self._stream)

    async def abort(self) -> None:
        """Close at once, and wait until the control domain has let go (R10). A pool that does not answer is not waited for.

        Raises:
            TransferError: DISK_STILL_ATTACHED, after minutes.
        """
        await _close(self._stream)
        await self._job.abandon(self._connection)


class Job:
    """What runs on the pool for a transfer: a task of ours, and the disks that it attaches."""

    def __init__(
        self, task: str, vdi: str, side: str, refs: list[str], *, owners: Owners, unsettled: "set[Job]"
    ) -> None:
        """``unsettled`` is where it goes when the pool could not be asked how it ended."""
        self.task = task
        self.vdi = vdi  # uuid
        self.side = side
        self.refs = refs
        self._owners = owners
        self._unsettled = unsettled
        self.served: tuple[str, str] | None = None  # by the host of that reference, and its start, see ``serving``

    async def succeeded(self, connection: Connection) -> None:
        """Wait for the task. Raises TransferError unless it is a success."""
        try:
            async with asyncio.timeout(_TASK_SECONDS):
                record = await self._outcome(connection)
        except TimeoutError as error:
            raise TransferStalled(
                f"the pool's task has not ended {_TASK_SECONDS:.0f} s after the last byte", evidence=self._evidence()
            ) from error
        except PoolError as error:
            if error.code != failures.TASK_LOST:
                raise
            raise TransferError(
                str(error), code=error.code, evidence=self._evidence(), remedy="do the transfer again"
            ) from error
        if record["status"] != "success":
            raise self.failure("the pool's task did not succeed", record["error_info"])

    async def forgotten_and_let_go(self, connection: Connection, most_seconds: float) -> None:
        """Clear the ended task away, and see meanwhile that no control domain has the disks. Raises TransferError."""
        forgetting = asyncio.ensure_future(tasks.forget(connection, self.task))
        try:
            await self.let_go(connection, most_seconds)
        finally:
            await settled(forgetting)

    async def let_go(self, connection: Connection, most_seconds: float) -> None:
        """Wait until no control domain has the disks. Raises TransferError."""
        released = await wait_until_let_go(
            connection,
            self.refs,
            most_seconds=most_seconds,
            first_wait_seconds=_FIRST_WAIT_SECONDS,
            owners=self._owners,
        )
        if not released:
            raise TransferError(
                f"a control domain still holds the disk {self.vdi}",
                code="DISK_STILL_ATTACHED",
                evidence=self._evidence(),
                remedy="unplug and destroy the disk's VBD of the control domain on its pool",
            )

    async def abandon(self, connection: Connection) -> None:
        """After the connection was closed: wait for the handler's end, then for the disks. A pool that is away is not waited for."""
        try:
            await self.settle(connection)
        except PoolError as error:
            log.warning("how the transfer of %s ended on its pool is not known: %s", self.vdi, error)
            self._unsettled.add(self)

    async def settle(self, connection: Connection) -> None:
        """See it ended and the disks free. Raises PoolError when the pool cannot be asked, TransferError when they stay attached."""
        if await self._end_early(connection):
            await self.forgotten_and_let_go(connection, 2 * _ABORT_SECONDS)
        else:
            await self._take_away(connection)
            await tasks.drop(connection, self.task)
            await self.let_go(connection, 2 * _ABORT_SECONDS)
        self._unsettled.discard(self)

    async def _end_early(self, connection: Connection) -> bool:
        """A handler that was only just called has not attached the disk yet: its task's end is the sign that it never will.

        False when the handler is gone without having ended it: its toolstack was restarted, or its host.
        """
        try:
            for most_seconds in (_ABORT_SECONDS / 4, _ABORT_SECONDS):
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(most_seconds):
                        await self._outcome(connection)
                        return True
                await tasks.cancel(connection, self.task)
        except PoolError as error:
            if error.code != failures.TASK_LOST:
                raise
            return False
        return True

    async def _take_away(self, connection: Connection) -> None:
        """What a restarted toolstack left attached nobody else will detach; what is in use all the same the pool does not give."""
        for ref in self.refs:
            try:
                await release_vbds(connection, ref)
            except PoolUnreachable:
                raise
            except PoolError as refusal:
                log.info("a disk of the transfer of %s is not let go of: %s", self.vdi, refusal)

    async def _outcome(self, connection: Connection) -> dict[str, Any]:
        """The task's record, once it has ended.

        Raises PoolError: TASK_LOST when nobody is left to end it. PoolUnreachable while that may be so: the host is down.
        """
        while True:
            record = await tasks.ended_within(
                connection,
                self.task,
                _LOOK_SECONDS,
                what=f"the {self.side}'s transfer",
                first_wait_seconds=_FIRST_WAIT_SECONDS,
                longest_wait_seconds=_LONGEST_WAIT_SECONDS,
            )
            if record is not None:
                return record
            if self.served is not None:
                await see_served(connection, *self.served, functools.partial(answers_at, connection))

    def explain_with(self, connection: Connection) -> Callable[[str], TransferError]:
        """For the streams, in their threads: the words that were read, with what the task says."""

        def explain(words: str) -> TransferError:
            info: list[str] = []
            deadline = time.monotonic() + _EXPLAIN_SECONDS
            with contextlib.suppress(WarmigError):
                while time.monotonic() < deadline:
                    record = connection.call_now("task.get_record", self.task)
                    info = record["error_info"]
                    if record["status"] != "pending":
                        break
                    time.sleep(0.05)
            return self.failure(words, info)

        return explain

    def failure(self, words: str, error_info: list[str]) -> TransferError:
        """A transfer that failed, with the pool's reason where it gave one."""
        why = ": ".join(error_info)
        code, remedy = failures.export_refusal(words + why) or (error_info[0] if error_info else None, "")
        return TransferError(
            f"{self.side} disk {self.vdi}: {words}" + (f" ({why})" if why and why not in words else ""),
            code=code,
            evidence={**self._evidence(), "xapi": list(error_info)},
            remedy=remedy,
        )

    def _evidence(self) -> dict[str, Any]:
        return {"disk": self.vdi, "side": self.side}


class Transfers:
    """Opens the transfers of one pool."""

    def __init__(
        self, connection: Connection, owners: Owners, storages: Storages, *, stall_seconds: float = STALL_SECONDS
    ) -> None:
        self._connection = connection
        self._owners = owners
        self._storages = storages
        self._stall_seconds = stall_seconds
        self._turn = itertools.count()
        self._unsettled: set[Job] = set()
        self._hosts: dict[
            str, tuple[float, list[dict[str, Any]]]
        ] = {}  # by reference of the SR, with when it was asked

    async def open_export(self, vdi: str, *, base: str | None) -> Transfer[SocketSource]:
        """A VHD export of a disk, or of what differs from ``base``. Raises NoSuchObject, TransferError."""
        return await self._export(vdi, base, VHD)

    async def open_qcow2(self, vdi: str) -> Transfer[SocketSource]:
        """A full qcow2 export of a disk, which xapi has since 25.27. Raises NoSuchObject, TransferError."""
        return await self._export(vdi, None, QCOW2)

    async def _export(self, vdi: str, base: str | None, image_format: str) -> Transfer[SocketSource]:
        job, records = await self._prepared(vdi, "source", [vdi] if base is None else [vdi, base])
        query = {"vdi": job.refs[0], "format": image_format} | ({} if base is None else {"base": job.refs[1]})
        whole_vhd = image_format == VHD and base is None
        silence = asyncio.ensure_future(self._silent_seconds(records[0]) if whole_vhd else _no_seconds())
        try:
            opened = await self._open("GET", "/export_raw_vdi", query, job, records[0]["SR"])
            silent_seconds = await self._or_close(silence, opened, job)
        finally:
            silence.cancel()
            await settled(silence)
        stream = SocketSource(
            opened.sock,
            opened.first,
            stall_seconds=self._stall_seconds,
            silent_seconds=silent_seconds,
            explain=job.explain_with(self._connection),
        )
        return Transfer(self._connection, job, stream)

    async def _silent_seconds(self, record: Record) -> float:
        """How long nothing may come of a whole VHD export, beside a stall: of an image that is no VHD the pool reads all first."""
        if await image_format_of(self._connection, record, self._storages) in ("", VHD):
            return 0.0
        return int(record["virtual_size"]) / _SLOWEST_READ_BYTES_PER_SECOND

    async def _or_close(self, asking: Awaitable[float], opened: Opened, job: Job) -> float:
        """What is asked for beside the opening; without it what was opened is closed again."""
        try:
            return await asking
        except BaseException:
            opened.sock.close()
            await job.abandon(self._connection)
            raise

    async def open_import(self, vdi: str) -> Transfer[SocketSink]:
        """A sparse import into a disk; its handler has answered when this returns.

        Raises NoSuchObject, TransferError, and SafetyError as ``see_nobody_writes`` does.
        """
        job, (record,) = await self._prepared(vdi, "target", [vdi])
        try:
            await see_nobody_writes(self._connection, vdi, job.refs[0], self._owners)
        except BaseException:
            await tasks.drop(self._connection, job.task)
            raise
        query = {"vdi": job.refs[0], "format": "raw", "chunked": "1"}
        opened = await self._open("PUT", "/import_raw_vdi", query, job, record["SR"])
        explain = job.explain_with(self._connection)
        stream = SocketSink(opened.sock, stall_seconds=self._stall_seconds, explain=explain)
        return Transfer(self._connection, job, stream)

    async def _prepared(self, vdi: str, side: str, uuids: Sequence[str]) -> tuple[Job, list[Record]]:
        """A task for a transfer, and the records of its disks; what an earlier one left unsettled is settled first."""
        making = asyncio.ensure_future(self._new_task(vdi, EXPORT_LABEL if side == "source" else IMPORT_LABEL))
        try:
            found = await objects.records_of(self._connection, "VDI", *uuids)
            for earlier in [job for job in self._unsettled if not found.keys().isdisjoint(job.refs)]:
                await earlier.settle(self._connection)
        except BaseException:
            with contextlib.suppress(WarmigError):
                await tasks.drop(self._connection, await making)
            raise
        job = Job(await making, vdi, side, list(found), owners=self._owners, unsettled=self._unsettled)
        return job, list(found.values())

    async def _new_task(self, vdi: str, label: str) -> str:
        return str(await self._connection.call("task.create", label, description_of(vdi, self._connection.origin)))

    async def _open(self, method: str, path: str, query: dict[str, str], job: Job, sr: str) -> Opened:
        """``sr``: reference of the disk's SR."""
        query = {"session_id": self._connection.session, "task_id": job.task, **query}
        opening = Opening(method, path, query, self._connection.trust, stall_seconds=self._stall_seconds)
        try:
            hosts = await self._hosts_of(sr)
            addresses = [self._connection.address_of(host) for host in hosts]
            opened = await _in_thread(self._connection, opening, addresses)
            for host, address in zip(hosts, addresses, strict=True):
                if opened.host in (address.host, host["address"]):
                    job.served = host["ref"], started_at(host)
            return opened
        except BaseException as error:
            if opening.began and not opening.refused:
                await job.abandon(self._connection)
                raise
            reasoned = await self._reasoned(error, job) if isinstance(error, TransferError) else error
            await tasks.drop(self._connection, job.task)  # no handler works on it
            raise reasoned from error.__cause__

    async def _reasoned(self, error: TransferError, job: Job) -> TransferError:
        """A refusal with what its task says."""
        info: list[str] = []
        with contextlib.suppress(WarmigError):
            info = (await self._connection.call("task.get_record", job.task))["error_info"]
        reasoned = job.failure(error.message, info)
        reasoned.evidence |= error.evidence
        reasoned.code = reasoned.code if info else error.code
        reasoned.remedy = reasoned.remedy or error.remedy
        return reasoned

    async def _hosts_of(self, sr: str) -> list[dict[str, Any]]:
        """Where its disks can be reached: live hosts with the SR attached, a different one first each time."""
        asked, hosts = self._hosts.get(sr, (0.0, []))
        if not hosts or time.monotonic() - asked > _HOSTS_FRESH_SECONDS:
            hosts = await hosts_of(self._connection, sr)
            self._hosts[sr] = (time.monotonic(), hosts)
        first = next(self._turn) % max(1, len(hosts))
        return hosts[first:] + hosts[:first]


async def _in_thread(connection: Connection, opening: Opening, addresses: list[Address]) -> Opened:
    """Open off the event loop; when nobody waits any more, what the thread still opens is closed."""
    work: asyncio.Future[Opened] = asyncio.ensure_future(connection.in_thread(opening.open, addresses))
    try:
        return await asyncio.shield(work)
    except asyncio.CancelledError:
        opening.stop()
        with contextlib.suppress(Exception):
            (await work).sock.close()
        raise


async def _no_seconds() -> float:
    return 0.0


async def _close(stream: SocketStream) -> None:
    """Off the event loop, as it waits for the thread that is inside a call on the socket."""
    await asyncio.to_thread(stream.close)
