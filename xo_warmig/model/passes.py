"""One pass over the disks of a VM: what it will copy, and what came of it."""

from enum import StrEnum

import msgspec

from xo_warmig.model.units import KIB, format_bytes, format_seconds

# What is sent is hashed in blocks of so much of the disk.
HASHED_BYTES = 64 * KIB


class PassKind(StrEnum):
    """``final`` is the one that reads a halted VM's disks, or snapshots of them where that takes long."""

    FULL = "full"
    DELTA = "delta"
    FINAL = "final"


class Way(StrEnum):
    """How a source disk is read.

    ``vhd``: the stream of a VHD export. ``nbd``: the blocks that such an export's table lists, over NBD; where the disk is no VHD, or none
    can hold it, those that a qcow2 export's tables list, or all. ``cbt``: those that changed block tracking lists, over NBD.
    """

    VHD = "vhd"
    NBD = "nbd"
    CBT = "cbt"


class Verdict(StrEnum):
    """Only a complete pass may become a base or lead on (R4)."""

    COMPLETE = "complete"
    PARTIAL = "partial"
    FAILED = "failed"


class SentPiece(msgspec.Struct, frozen=True, array_like=True):
    """A piece of a disk that was sent: its place and the xxh3-64 of its bytes."""

    offset: int
    length: int
    xxh3: int


class Mark(msgspec.Struct, frozen=True, kw_only=True):
    """How far a disk is in a pass (R22). Blocks travel in ascending order, so a byte offset of the disk says it.

    Below ``confirmed`` all of the pass's list was confirmed by a task of the pool; below ``sent`` it was sent. ``tail``: the newest
    pieces that were sent and not confirmed, in order, for comparing after a break.
    """

    confirmed: int = 0
    sent: int = 0
    tail: list[SentPiece] = []


class DiskPassPlan(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """What one pass does to one disk.

    ``read_vdi`` is what is exported (a snapshot, or in a final pass mostly the disk itself), ``base`` the snapshot it is compared with
    (None: all that is allocated), ``skip_zeros`` whether zeros may be left out, ``zero_unallocated`` whether what the source does not
    store is sent as zeros (R20). ``way`` is how it is read, because of ``reason``; by NBD it begins with up to so many ``connections``, of
    which it gives others' copies their part, and has up to ``most_connections`` while they are free and read faster.
    ``no_other_way``: the pass fails where it cannot be read so. ``image_format``: of what is read, see ``Disk``.
    """

    disk: str  # uuid of the source VDI
    read_vdi: str
    base: str | None
    target_vdi: str
    virtual_size_bytes: int
    skip_zeros: bool
    zero_unallocated: bool = False
    way: Way = Way.VHD
    reason: str = ""
    connections: int = 1
    most_connections: int = 1
    no_other_way: bool = False
    image_format: str = ""


class PassPlan(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """One pass: number from 1, and its disks."""

    number: int
    kind: PassKind
    disks: list[DiskPassPlan]


class CopyNote(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Something that happened to a disk's copy and that people should know, with a stable code (R12)."""

    code: str
    message: str


class ReadBack(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """What was read of a target disk after a pass, and found to be what was sent.

    ``blocks`` of 64 KiB were compared by their hashes; ``bytes`` of the disk were read for that, and ``seconds`` passed. ``way``: over NBD,
    or from a VHD export. ``unknown_blocks`` were written and not compared, as no hash of the whole block is known.
    """

    way: Way
    blocks: int
    bytes: int
    seconds: float
    unknown_blocks: int = 0


class DiskPassReport(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """What came of one disk in one pass.

    ``read_bytes`` of the disk came from the source's stream, each byte counted once; ``written_bytes`` were sent to the target (zeros
    left out are in the first only, zeros for what the source does not store in the second only, and what was sent again counts again).
    ``seconds`` from opening to the confirmed end; of these ``open_seconds`` until both ends were open (the last time, if there were
    several), ``transfer_seconds`` from the first to the last byte of data, ``confirm_seconds`` from there to the confirmed end.
    ``held_back_seconds`` of the transfer it waited because of a limit. ``way``: how it was read, in the end, because of ``way_reason``;
    ``listed_bytes``: what the 2 MiB blocks come to that it touched. ``read_back`` came after all that; None: nothing was.
    """

    disk: str
    verdict: Verdict
    read_bytes: int
    written_bytes: int
    seconds: float
    transfer_seconds: float
    error: dict[str, object] | None = None
    open_seconds: float = 0.0
    confirm_seconds: float = 0.0
    notes: list[CopyNote] = []
    held_back_seconds: float = 0.0
    way: Way | None = None
    way_reason: str = ""
    listed_bytes: int = 0
    read_back: ReadBack | None = None


class PassReport(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """What came of a pass. ``fixed_seconds`` is the part of ``seconds`` that moved no data (snapshots, attaching, tasks).

    ``throttled``: a limit held it back, so that without one it would have been faster, nobody knows how much.

    ``read_back_bytes`` were read from the target afterwards, to compare ``read_back_blocks`` of 64 KiB with what was sent; the pass was
    ``read_back_seconds`` longer for it, which are part of ``fixed_seconds`` but in a final pass, where they come after ``seconds``.
    """

    number: int
    kind: PassKind
    verdict: Verdict
    started: float  # seconds since the epoch, this server's clock
    seconds: float
    fixed_seconds: float
    bytes: int  # read from the source's streams
    written_bytes: int
    throughput_bytes_per_second: float
    dirty_bytes_per_second: float | None  # None for a full pass
    predicted_downtime_seconds: float | None
    disks: list[DiskPassReport]
    snapshot_seconds: float = 0.0  # of fixed_seconds: before the copy began, which a final pass has not
    throttled: bool = False
    read_back_blocks: int = 0
    read_back_bytes: int = 0
    read_back_seconds: float = 0.0

    def __str__(self) -> str:
        moved = f"{format_bytes(self.bytes)} in {format_seconds(self.seconds)}"
        return f"pass {self.number} {self.kind} {self.verdict}: {moved}, {format_bytes(self.throughput_bytes_per_second)}/s"
