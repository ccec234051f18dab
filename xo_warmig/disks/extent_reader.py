"""The reading side of a copy from extents: reads spread over several connections, and their pieces in the order of the disk.

Each connection asks and receives in a thread of its own (``disks.lanes``). Whoever takes the pieces fills the copy's buffers through them,
some at a time, and gets the oldest as soon as it is full.
"""

from collections import deque
from collections.abc import Iterator

from xo_warmig.disks.budget import BUFFER_BYTES, LEAST_PER_COPY, ZEROS, Share
from xo_warmig.disks.loads import Extents, Load, Survey, loads, survey
from xo_warmig.disks.meter import Meter
from xo_warmig.disks.order import CopyOrder
from xo_warmig.disks.pipe import Part, Piece, Pieces, placed
from xo_warmig.disks.reads import DiskLanes, Filling, ReadQueue
from xo_warmig.errors import SafetyError
from xo_warmig.formats.zeros import nonzero_extents

_SENDING = 2  # buffers that are sent, or wait to be, while others are filled


class ExtentReading:
    """Extents of one disk on their way to a writer. Fits ``disks.copy.Reading``."""

    def __init__(self, lanes: DiskLanes, extents: Extents, order: CopyOrder, share: Share, meter: Meter) -> None:
        self._lanes = lanes
        self._extents = extents
        self._order = order
        self._share = share
        self._meter = meter
        self._reads = ReadQueue()
        self._fillings: deque[Filling] = deque()
        self._found: Survey | None = None

    def begin(self) -> bytes:
        """The blocks that the extents touch, those below the order's start among them. Raises TransferError."""
        self._lanes.check(self._order.virtual_size_bytes)
        found = self._found = survey(self._extents(), self._order)
        if found.total_bytes and not self._lanes:
            raise ValueError("there is no connection to read over")
        if self._order.zero_unallocated:
            start = self._order.start_offset
            self._meter.listed(self._order.virtual_size_bytes, start, start - found.below_bytes)
        else:
            self._meter.listed(found.total_bytes, found.below_bytes, 0)
        return found.blocks

    def pieces(self) -> Pieces:
        """Every piece from the order's start on, once it was begun. All connections are closed when this has ended.

        Raises FormatError, TransferError.
        """
        try:
            self._lanes.begin(self._reads, self._order.virtual_size_bytes)
            yield from self._filled()
            self._see_complete()
            self._reads.end()
        except BaseException as why:
            self._reads.fail(why)
            self.close()
            raise
        finally:
            self._lanes.settle()
            for filling in self._fillings:  # no lane writes into its buffer any more
                self._share.give_back(filling.buffer)

    def close(self) -> None:
        """Close all connections. May be called twice, and from another thread: whoever waits for a piece then raises."""
        self._lanes.close()

    def _filled(self) -> Iterator[Piece]:
        """Fill and pass on until all is."""
        coming = loads(self._extents(), self._order)
        load = next(coming, None)
        while load is not None or self._fillings:
            most = self._most()
            while load is not None and self._begin(load, most):
                load = next(coming, None)
            yield self._oldest()

    def _most(self) -> int:
        """How many buffers this copy may have now: enough for all that may be in flight."""
        most = max(LEAST_PER_COPY, -(-self._reads.window_bytes // BUFFER_BYTES) + _SENDING)
        self._share.want(most)
        return most

    def _begin(self, load: Load, most: int) -> bool:
        """Have a load read, if there is a buffer for it; there is one in the end when none is in hand here."""
        if len(self._fillings) >= most:
            return False
        buffer: bytearray | bytes | None = ZEROS
        if load.stored:
            buffer = self._share.take_if_free() if self._fillings else self._share.take()
        if buffer is None:
            return False
        filling = Filling(load, buffer)
        self._fillings.append(filling)
        self._reads.put(filling)
        return True

    def _oldest(self) -> Piece:
        filling = self._fillings[0]
        self._reads.wait_for(filling)
        load = filling.load
        piece = Piece(filling.buffer, self._to_send(filling), load.reached)
        self._fillings.popleft()
        if load.stored:
            self._meter.read(load.length_bytes)
        else:
            self._meter.made_up(load.length_bytes)
        return piece

    def _to_send(self, filling: Filling) -> list[Part]:
        load = filling.load
        if not self._order.skip_zeros or not load.stored:
            return load.parts
        wanted: list[Part] = []
        for part in load.parts:
            wanted += placed(nonzero_extents(filling.buffer, part.start, part.length), part.offset - part.start)
        return wanted

    def _see_complete(self) -> None:
        found = self._found
        assert found is not None
        if self._meter.read_bytes != found.total_bytes:
            raise SafetyError(
                f"{self._meter.read_bytes} bytes of the disk were read where its list has {found.total_bytes}",
                code="LIST_CHANGED",
                evidence={"rule": "R18", "read_bytes": self._meter.read_bytes, "listed_bytes": found.total_bytes},
            )
