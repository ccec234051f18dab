"""Where a broken copy goes on, and for how long it is tried."""

import msgspec
import pytest

from xo_warmig.errors import PoolUnreachable, TransferError
from xo_warmig.model.passes import Mark, SentPiece
from xo_warmig.model.units import KIB, MIB
from xo_warmig.replication.limits import CopyLimits
from xo_warmig.replication.resume import Patience, resume_of

LIMITS = CopyLimits()


def mark_of(*pieces: tuple[int, int], confirmed: int = 0) -> Mark:
    """Pieces as offset and length in KiB."""
    tail = [SentPiece(offset * KIB, length * KIB, n) for n, (offset, length) in enumerate(pieces)]
    return Mark(confirmed=confirmed, sent=tail[-1].offset + tail[-1].length, tail=tail)


def test_it_goes_on_so_many_sent_bytes_before_the_break() -> None:
    """Sent, not of the disk: what was left out between does not count. What lies before is compared."""
    mark = mark_of((0, 2048), (2048, 2048), (40960, 2048), (81920, 64))
    resume = resume_of(mark, 0, resend_bytes=2 * MIB)
    assert resume.offset == 40960 * KIB
    assert [piece.xxh3 for piece in resume.pieces] == [0, 1]


def test_it_never_goes_back_behind_what_is_trusted() -> None:
    """Nor compares it again."""
    mark = mark_of((2048, 2048), (4096, 2048), (6144, 2048))
    assert resume_of(mark, 6 * MIB, resend_bytes=4 * MIB) == (6 * MIB, [])
    assert resume_of(mark, 2 * MIB, resend_bytes=64 * MIB) == (2 * MIB, [])
    assert [piece.xxh3 for piece in resume_of(mark, 4 * MIB, resend_bytes=MIB).pieces] == [1]


def test_without_pieces_to_compare_it_goes_on_from_what_is_trusted() -> None:
    """There must be something to see."""
    assert resume_of(Mark(confirmed=MIB, sent=9 * MIB), MIB, resend_bytes=MIB) == (MIB, [])
    assert resume_of(mark_of((4096, 2048)), MIB, resend_bytes=MIB) == (MIB, [])


def test_offsets_are_whole_granules() -> None:
    """A piece of another source may begin anywhere."""
    mark = Mark(sent=MIB, tail=[SentPiece(0, 512, 1), SentPiece(512, 64 * KIB, 2), SentPiece(65 * KIB, 512 * KIB, 3)])
    assert resume_of(mark, 0, resend_bytes=64 * KIB).offset == 64 * KIB


BROKE = TransferError("broke")
AWAY = PoolUnreachable("away")


def test_failures_without_progress_are_counted_and_waits_double() -> None:
    """Up to the longest; progress begins anew."""
    patience = Patience(msgspec.structs.replace(LIMITS, tries=4, longest_wait_seconds=3.0))
    waits = [patience.wait_seconds(BROKE, progressed=False, now=0.0) for _ in range(3)]
    assert waits == pytest.approx([1, 2, 3], rel=0.2)
    assert patience.wait_seconds(BROKE, progressed=True, now=0.0) == pytest.approx(1, rel=0.2)
    for _ in range(2):
        patience.wait_seconds(BROKE, progressed=False, now=0.0)
    with pytest.raises(TransferError):
        patience.wait_seconds(BROKE, progressed=False, now=0.0)


def test_a_pool_that_is_away_is_waited_for_by_time() -> None:
    """It is no failure of the copy; what it does when it is back, may be."""
    patience = Patience(LIMITS)
    for minute in range(60):
        assert patience.wait_seconds(AWAY, progressed=False, now=minute * 60.0) <= 72
    with pytest.raises(PoolUnreachable):
        patience.wait_seconds(AWAY, progressed=False, now=3600.0)
    for _ in range(LIMITS.tries - 1):
        patience.wait_seconds(BROKE, progressed=False, now=3600.0)
    assert patience.wait_seconds(AWAY, progressed=False, now=9999.0)
    with pytest.raises(TransferError):
        patience.wait_seconds(BROKE, progressed=False, now=9999.0)
