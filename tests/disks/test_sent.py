"""What a copy remembers of what it sent."""

from xo_warmig.disks.sent import MOST_PIECES, SentLog
from xo_warmig.model.passes import Mark, SentPiece
from xo_warmig.model.units import KIB, MIB


def log_of(count: int, *, tail_bytes: int = 8 * MIB) -> SentLog:
    """So many pieces of 1 MiB were sent."""
    log = SentLog(Mark(), tail_bytes=tail_bytes)
    for n in range(count):
        log.add([SentPiece(n * MIB, MIB, n)], (n + 1) * MIB)
    return log


def test_the_tail_is_the_newest_and_bounded() -> None:
    """In bytes and in pieces."""
    mark = log_of(20).mark()
    assert [piece.offset // MIB for piece in mark.tail] == list(range(12, 20))
    assert (mark.confirmed, mark.sent) == (0, 20 * MIB)
    small = SentLog(Mark())
    small.add([SentPiece(n * 512, 512, n) for n in range(MOST_PIECES + 7)], 4 * MIB)
    assert len(small.mark().tail) == MOST_PIECES


def test_what_is_confirmed_needs_no_hashes() -> None:
    """Marks are at whole 64 KiB, and never below what was told before."""
    log = log_of(3)
    log.add([SentPiece(3 * MIB, 512, 9)], 3 * MIB + 512)
    assert log.mark().sent == 3 * MIB
    log.confirm()
    assert log.mark() == Mark(confirmed=3 * MIB, sent=3 * MIB)


def test_going_back_drops_what_will_be_sent_again() -> None:
    """What lies before stays, to be compared with again."""
    log = log_of(4)
    log.back_to(2 * MIB + 64 * KIB)
    mark = log.mark()
    assert mark.sent == 2 * MIB + 64 * KIB
    assert [piece.offset for piece in mark.tail] == [0, MIB]
    log.forget_unconfirmed()
    assert log.mark() == Mark()


def test_a_stored_mark_is_taken_up() -> None:
    """Its tail is part of the bound."""
    log = SentLog(log_of(8).mark(), tail_bytes=8 * MIB)
    log.add([SentPiece(8 * MIB, MIB, 8)], 9 * MIB)
    assert [piece.xxh3 for piece in log.mark().tail] == list(range(1, 9))


def test_hashes_are_made_only_where_they_can_be_used() -> None:
    """Not without a tail, nor where the copy does not go forward."""
    assert log_of(1).wants_hashes(2 * MIB)
    assert not log_of(1).wants_hashes(MIB)
    assert not SentLog(Mark(), tail_bytes=0).wants_hashes(MIB)
