"""The connections that read one disk: a thread for each, which joins and leaves while the disk is read."""

import logging
import threading
from collections.abc import Callable, Iterable

from xo_warmig.disks.pipe import Closed
from xo_warmig.disks.reads import DiskReader, Lane, Reads
from xo_warmig.errors import TransferError

log = logging.getLogger(__name__)


def _nobody(reader: DiskReader) -> None:
    """Wants to know that a connection has ended."""


class Lanes:
    """Fits ``DiskLanes``. Thread-safe.

    Args:
        readers: the connections that are open; more may ``join``.
        stays: somebody keeps it: where no connection is left, another one will join, or ``fail`` is called. Else the last one that
            breaks ends the reading.
        ended: is told of each connection that is closed, in that one's thread.
    """

    def __init__(
        self, readers: Iterable[DiskReader] = (), *, stays: bool = False, ended: Callable[[DiskReader], None] = _nobody
    ) -> None:
        self._lock = threading.Lock()
        self._lanes: dict[DiskReader, Lane | None] = dict.fromkeys(readers)  # no lane yet: nothing is read
        self._threads: list[threading.Thread] = []
        self._reads: Reads | None = None
        self._size_bytes = 0
        self._stays = stays
        self._ended = ended
        self._over = False
        self._failure: BaseException | None = None

    def __bool__(self) -> bool:
        """Whether anything can be read over them."""
        return bool(self._lanes) or self._stays

    @property
    def over(self) -> bool:
        """Nothing more will be read."""
        return self._over

    @property
    def done_bytes(self) -> int:
        """That were read so far."""
        return 0 if self._reads is None else self._reads.done_bytes

    def check(self, size_bytes: int) -> None:
        """See that those which are open have a disk of so many bytes. Raises TransferError with code DISK_RESIZED (R14)."""
        for reader in list(self._lanes):
            _check(reader, size_bytes)

    def join(self, reader: DiskReader) -> bool:
        """One more; False, and it is closed, where nothing more will be read."""
        with self._lock:
            if not self._over:
                self._lanes[reader] = None
                if self._reads is not None:
                    self._start(reader, self._reads)
                return True
        reader.close()
        return False

    def dismiss(self, reader: DiskReader) -> None:
        """It reads to their end what it has asked for, and is closed then."""
        with self._lock:
            lane = self._lanes.get(reader)
            if lane is not None:
                lane.leave()
                return
            known = reader in self._lanes
            self._lanes.pop(reader, None)
        if known:
            reader.close()
            self._ended(reader)

    def begin(self, reads: Reads, size_bytes: int) -> None:
        """Let all of them read, and those that join."""
        with self._lock:
            self._reads, self._size_bytes = reads, size_bytes
            for reader in self._lanes:
                self._start(reader, reads)
            if self._failure is not None:
                reads.fail(self._failure)
            elif self._over:
                reads.fail(_stopped())

    def fail(self, why: BaseException) -> None:
        """There is none, and none can join."""
        with self._lock:
            self._failure = self._failure or why
            if self._reads is not None:
                self._reads.fail(why)

    def close(self) -> None:
        """Close all. May be called twice, and from another thread."""
        with self._lock:
            self._over = True
            readers = list(self._lanes)
            if self._reads is not None:  # no connection might be there to find itself closed
                self._reads.fail(_stopped())
        for reader in readers:
            reader.close()

    def settle(self) -> None:
        """All that read have ended, as there is nothing more to read, when this returns."""
        with self._lock:
            self._over = True
            threads = list(self._threads)
        for thread in threads:
            thread.join()

    def _start(self, reader: DiskReader, reads: Reads) -> None:
        lane = self._lanes[reader] = reads.join()
        thread = threading.Thread(target=self._serve, args=(reader, lane, reads), name="disk-lane", daemon=True)
        self._threads = [each for each in self._threads if each.is_alive()] + [thread]
        thread.start()

    def _serve(self, reader: DiskReader, lane: Lane, reads: Reads) -> None:
        why: BaseException | None = None
        try:
            _check(reader, self._size_bytes)
            reader.serve(lane)
        except Closed:
            pass
        except BaseException as error:
            why = error
            if isinstance(error, TransferError) and error.code == "DISK_RESIZED":
                reads.fail(error)
        finally:
            reader.close()
        with self._lock:
            self._lanes.pop(reader, None)
            others = not self._over and (bool(self._lanes) or self._stays)
        if why is not None and others:
            log.warning("a disk is read over one connection fewer: %s", why)
        lane.end(why, others=others)
        self._ended(reader)


def _stopped() -> TransferError:
    return TransferError("the transfer was stopped", code="TRANSFER_STOPPED")


def _check(reader: DiskReader, size_bytes: int) -> None:
    if reader.size_bytes != size_bytes:
        raise TransferError(
            f"the source serves a disk of {reader.size_bytes} bytes where one of {size_bytes} was planned",
            code="DISK_RESIZED",
            evidence={"side": "source", "actual": reader.size_bytes, "expected": size_bytes},
            remedy="Start the migration again: its plan no longer fits the disk.",
        )
