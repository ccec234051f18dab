"""What is read over NBD of a disk that is no VHD, or that none can hold: what a qcow2 export lists, or all of it."""

from collections.abc import Callable
from typing import Any

import pytest

from tests.replication.memory_pools import Clock
from xo_warmig.disks.pace import Limit, Share
from xo_warmig.disks.throttle import Throttle, ThrottledSource
from xo_warmig.errors import FormatError, PoolError, PoolUnreachable, TransferError, TransferStalled, WarmigError
from xo_warmig.formats.cbt import from_extents
from xo_warmig.model.extents import Extent, total_bytes
from xo_warmig.model.images import QCOW2
from xo_warmig.model.passes import DiskPassPlan, Way
from xo_warmig.model.units import KIB, MIB, TIB
from xo_warmig.replication.ends import Ends
from xo_warmig.replication.listing import list_parts
from xo_warmig.replication.ways import Streams, Ways

SIZE = 6 * TIB
STORED = [Extent(0, 64 * KIB), Extent(4 * TIB, 128 * KIB)]


class Source:
    """A pool whose qcow2 exports fail in these ways, one after the other, and then do not. An ``Export``, too."""

    def __init__(self, *failures: WarmigError, keeps_as: str = QCOW2, clings: bool = False) -> None:
        self.failures = list(failures)
        self.keeps_as = keeps_as
        self.opened = self.open = self.tables = 0
        self._clings = clings
        self.stream: Any = self

    async def open_export(self, vdi: str, *, base: str | None) -> "Source":
        self.tables += 1
        self.open += 1
        return self

    async def open_qcow2(self, vdi: str) -> "Source":
        self.opened += 1
        if self.failures:
            raise self.failures.pop(0)
        self.open += 1
        return self

    async def changed_blocks(self, base: str, vdi: str, *, size_bytes: int) -> bytes:
        return from_extents([*STORED, Extent(SIZE - 64 * KIB, 64 * KIB)], size_bytes)

    async def abort(self) -> None:
        self.open -= 1
        if self._clings:
            raise TransferError("it is held", code="DISK_STILL_ATTACHED")


async def listed(
    source: Any,
    *,
    way: Way = Way.NBD,
    pending: bytes = b"",
    broken: WarmigError | None = None,
    throttle: Throttle | None = None,
    read: list[Any] | None = None,
    size_bytes: int = SIZE,
) -> Any:
    """``read`` gets the streams that were read."""

    async def read_clusters(source: Any, size_bytes: int) -> bytes:
        if read is not None:
            read.append(source)
        if broken is not None:
            raise broken
        return from_extents([each for each in STORED if each.end <= size_bytes], size_bytes)

    async def read_table(source: Any, size_bytes: int) -> bytes:
        if broken is not None:
            raise broken
        return b"\x80"

    plan = DiskPassPlan(
        disk="disk", read_vdi="snap", base="base" if way is Way.CBT else None, target_vdi="copy",
        virtual_size_bytes=size_bytes, skip_zeros=True, image_format=source.keeps_as,
    )  # fmt: skip
    ways = Ways(source, source, Clock(), Streams(read_clusters=read_clusters, read_table=read_table))
    ends = Ends()
    found, why = await list_parts(plan, way, ways, ends, pending, throttle or Throttle())
    await ends.closed()
    assert total_bytes(found.extents()) == found.total_bytes
    return list(found.extents()), why


async def test_what_the_export_lists_is_read() -> None:
    """And the export is broken off after its tables."""
    source = Source()
    assert await listed(source) == (STORED, "")
    assert (source.opened, source.open) == (1, 0)


async def test_the_head_of_an_export_is_held_to_the_source_s_limits() -> None:
    """Of a full disk it is a gibibyte; it holds back no transfer."""
    source: Any = Source()
    read = list[Any]()
    throttle = Throttle([Share(Limit(lambda: MIB))])
    assert (await listed(source, throttle=throttle, read=read))[0] == STORED
    (stream,) = read
    assert isinstance(stream, ThrottledSource)
    assert stream.stream is source
    stream._pace.waited_seconds = 9.0
    assert throttle.held_back_seconds == 0.0


async def test_what_an_unfinished_pass_wrote_is_read_in_any_case() -> None:
    """R18: by its list of 2 MiB blocks."""
    extents, _ = await listed(Source(), pending=b"\x40")
    assert extents == [STORED[0], Extent(2 * MIB, 2 * MIB), STORED[1]]


async def test_changes_are_found_anywhere_on_the_disk() -> None:
    """Its last block among them."""
    extents, why = await listed(Source(), way=Way.CBT)
    assert (extents[-1], why) == (Extent(SIZE - 64 * KIB, 64 * KIB), "")


UNKNOWN = TransferError("answered 404", code="INTERNAL_ERROR", evidence={"status": 404})


@pytest.mark.parametrize(
    ("source", "broken", "words", "opened"),
    [
        (lambda: Source(keeps_as="raw"), None, "its pool keeps it as raw", 0),
        (lambda: Source(keeps_as="vhd"), None, "its pool keeps it as vhd", 0),
        (lambda: Source(keeps_as=""), None, "an image of an unknown format", 0),
        (lambda: Source(UNKNOWN), None, "answered 404", 1),
        (lambda: Source(TransferStalled("no byte for 300 s")), None, "no byte for 300 s", 1),
        (lambda: Source(*[TransferError("it broke")] * 3), None, "it broke", 3),
        (Source, FormatError("the qcow2 stream has a parent"), "a parent", 1),
    ],
)
async def test_where_nothing_tells_all_of_it_is_read(
    source: Callable[[], Source], broken: WarmigError | None, words: str, opened: int
) -> None:
    """And why."""
    pool = source()
    extents, why = await listed(pool, broken=broken)
    assert extents == [Extent(0, SIZE)]
    assert words in why
    assert "6.0 TiB" in why
    assert (pool.opened, pool.open) == (opened, 0)


@pytest.mark.parametrize(
    ("keeps_as", "extents", "opened"),
    [
        (QCOW2, [Extent(0, 64 * KIB)], (1, 0)),
        ("raw", [Extent(0, 8 * MIB)], (0, 0)),
        ("vhd", [Extent(0, 2 * MIB)], (0, 1)),
        ("", [Extent(0, 2 * MIB)], (0, 1)),
    ],
)
async def test_a_disk_that_a_vhd_could_hold_is_listed_by_what_it_is(
    keeps_as: str, extents: list[Extent], opened: tuple[int, int]
) -> None:
    """The head of a VHD export of anything else comes after its pool has read all of it."""
    pool = Source(keeps_as=keeps_as)
    found, _ = await listed(pool, size_bytes=8 * MIB)
    assert (found, (pool.opened, pool.tables), pool.open) == (extents, opened, 0)


async def test_an_export_whose_head_cannot_be_read_is_closed_before_another_is_opened() -> None:
    """R10: what is read next is the same disk, and nobody would close this one at the end."""
    pool = Source(keeps_as="vhd")
    with pytest.raises(TransferError, match="it broke"):
        await listed(pool, size_bytes=8 * MIB, broken=TransferError("it broke"))
    assert (pool.tables, pool.open) == (1, 0)


async def test_a_connection_that_breaks_once_is_no_reason_to_read_for_hours() -> None:
    """It is tried again."""
    assert await listed(Source(TransferError("it broke"))) == (STORED, "")


@pytest.mark.parametrize(
    "source",
    [
        lambda: Source(PoolUnreachable("it is away")),
        lambda: Source(*[PoolError("busy", code="VDI_IN_USE")] * 3),
        lambda: Source(clings=True),
    ],
    ids=["away", "busy", "still attached"],
)
async def test_what_stands_against_any_reading_is_raised(source: Callable[[], Source]) -> None:
    """Whoever copies knows for how long that is borne."""
    with pytest.raises(WarmigError):
        await listed(source())
