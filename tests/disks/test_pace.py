"""How limits are shared, in a time that only the tests have: nothing here waits."""

import heapq
import itertools
import threading
from collections.abc import Sequence
from typing import NamedTuple

import pytest

from xo_warmig.disks.budget import BUFFER_BYTES
from xo_warmig.disks.pace import BURST_SECONDS, Credit, Limit, Pace, Share, piece_bytes_of
from xo_warmig.model.units import GIB, KIB, MIB

FAST = 1000 * MIB


class Copy(NamedTuple):
    """A copy under these limits, by a share of its own where none is given: ``own_rate`` is what it could make, from ``begin`` to
    ``end``, in pieces.
    """

    limits: Sequence[Limit | Share]
    own_rate: float = FAST
    begin: float = 0.0
    end: float = 1e9
    piece_bytes: int = BUFFER_BYTES


def played(copies: Sequence[Copy], seconds: float, *, since: float = 0.0) -> list[float]:
    """What each copy passes from ``since`` to ``seconds``, in bytes per second, when all run side by side."""
    credits_ = [Credit(list(map(share_of, copy.limits))) for copy in copies]
    passed = [0] * len(copies)
    number = itertools.count()
    # A copy asks, and asks again when it is told to; once something is due it passes what it may, and asks for more.
    moments = [(copy.begin, next(number), who) for who, copy in enumerate(copies)]
    while moments:
        now, _, who = heapq.heappop(moments)
        copy = copies[who]
        if now >= min(seconds, copy.end):
            credits_[who].leave()
            continue
        due = credits_[who].due(now)
        if due <= now:
            count = credits_[who].spend(copy.piece_bytes)
            passed[who] += count if now >= since else 0
            due = now + count / copy.own_rate
        heapq.heappush(moments, (due, next(number), who))
    return [count / (seconds - since) for count in passed]


def limit(rate: float | None) -> Limit:
    return Limit(lambda: rate)


def share_of(one: Limit | Share) -> Share:
    return one if isinstance(one, Share) else Share(one)


@pytest.mark.parametrize("rate", [64 * KIB, 1 * MIB, 37.5 * MIB, 900 * MIB])
@pytest.mark.parametrize("copies", [1, 3, 20])
def test_copies_share_equally_and_make_the_rate_together(rate: float, copies: int) -> None:
    """However slow or fast it is, and however many they are."""
    shares = played([Copy([shared]) for shared in [limit(rate)] * copies], 20.0)
    assert sum(shares) == pytest.approx(rate, rel=0.05)
    assert shares == pytest.approx([rate / copies] * copies, rel=0.05, abs=4 * KIB)


@pytest.mark.parametrize(("rate", "seconds"), [(64 * KIB, 40.0), (37.5 * MIB, 8.0), (900 * MIB, 4.0)])
@pytest.mark.parametrize("disks", [[8, 1], [1, 1, 20], [3, 5]])
def test_migrations_share_equally_and_so_do_the_disks_of_each(rate: float, seconds: float, disks: list[int]) -> None:
    """A VM of many disks has no more of a pool's line than a VM of one."""
    pool = limit(rate)
    shares = [share for count in disks for share in [Share(pool)] * count]
    passed = played([Copy([share]) for share in shares], seconds)
    wanted = [rate / len(disks) / count for count in disks for _ in range(count)]
    assert sum(passed) == pytest.approx(rate, rel=0.05)
    assert passed == pytest.approx(wanted, rel=0.1, abs=4 * KIB)


def test_what_a_slow_disk_leaves_goes_to_the_others() -> None:
    """Those of its migration, whose share stays as it is. It loses what it could pass while it waits for two turns of the share."""
    pool = limit(30 * MIB)
    many = Share(pool)
    passed = played([Copy([many], own_rate=2 * MIB), Copy([many]), Copy([pool])], 10.0)
    assert passed[0] + passed[1] == pytest.approx(passed[2], rel=0.05)
    assert sum(passed) == pytest.approx(30 * MIB, rel=0.05)
    assert 1.6 * MIB < passed[0] <= 2 * MIB


def test_a_disk_that_waited_and_left_keeps_no_place() -> None:
    """The others of its migration wait no longer because of it."""
    many = Share(limit(MIB))
    passing, coming, gone, waiting = (Credit([many]) for _ in range(4))
    assert passing.due(0.0) == 0.0
    turn = coming.due(0.0)
    assert gone.due(0.0) == pytest.approx(turn)
    assert waiting.due(0.0) == pytest.approx(2 * turn)
    gone.leave()
    assert waiting.due(0.0) == pytest.approx(turn)


def test_pieces_of_any_size_get_the_same() -> None:
    """Shares are of bytes, not of reads."""
    shared = limit(20 * MIB)
    shares = played([Copy([shared]), Copy([shared], piece_bytes=512), Copy([shared], piece_bytes=64 * KIB)], 1.0)
    assert shares == pytest.approx([20 * MIB / 3] * 3, rel=0.1)


def test_what_a_slow_copy_leaves_goes_to_the_others() -> None:
    """One whose pool makes 2 MiB/s does not keep others from the rest; it loses a little as it waits its turn after each of its own."""
    shared = limit(30 * MIB)
    shares = played([Copy([shared], own_rate=2 * MIB), Copy([shared]), Copy([shared])], 10.0)
    assert shares == pytest.approx([2 * MIB, 14 * MIB, 14 * MIB], rel=0.15)
    assert sum(shares) == pytest.approx(30 * MIB, rel=0.05)


def test_a_copy_that_has_nothing_to_send_leaves_its_share() -> None:
    """And has it again when it goes on."""
    shared = limit(10 * MIB)
    first_half, all_along = Copy([shared], end=5.0), Copy([shared])
    assert played([first_half, all_along], 5.0) == pytest.approx([5 * MIB] * 2, rel=0.1)
    shared = limit(10 * MIB)
    copies = [Copy([shared], end=5.0), Copy([shared])]
    assert played(copies, 10.0, since=5.0) == pytest.approx([0.0, 10 * MIB], rel=0.1)
    shared = limit(10 * MIB)
    copies = [Copy([shared], begin=5.0), Copy([shared])]
    assert played(copies, 10.0, since=5.0) == pytest.approx([5 * MIB] * 2, rel=0.1)


def test_a_copy_under_several_limits_keeps_to_all_of_them() -> None:
    """What the narrower one keeps it from is left to the others under the wider one."""
    pool, own = limit(10 * MIB), limit(4 * MIB)
    assert played([Copy([pool]), Copy([pool, own]), Copy([own])], 10.0) == pytest.approx(
        [8 * MIB, 2 * MIB, 2 * MIB], rel=0.1
    )
    # The wider limit is the narrower one where many are under it.
    pool, own = limit(10 * MIB), limit(4 * MIB)
    shares = played([*(Copy([pool]) for _ in range(9)), Copy([pool, own])], 10.0)
    assert shares == pytest.approx([MIB] * 10, rel=0.1)


def test_a_rate_may_change_at_any_time() -> None:
    """With the hour: what holds now holds for the next turn."""
    table = {0.0: 10 * MIB, 2.0: None, 4.0: MIB}
    now = [0.0]

    class Timed(Limit):
        def next_turn(self, at: float):  # type: ignore[no-untyped-def]
            now[0] = at
            return super().next_turn(at)

    timed = Timed(lambda: table[max(begin for begin in table if begin <= now[0])])
    copies = [Copy([timed], own_rate=100 * MIB)]
    assert played(copies, 2.0) == pytest.approx([10 * MIB], rel=0.1)
    assert played(copies, 4.0, since=2.2) == pytest.approx([100 * MIB], rel=0.1)
    assert played(copies, 24.0, since=4.2) == pytest.approx([MIB], rel=0.1)


def test_no_copy_waits_for_long() -> None:
    """Twenty of them at the slowest rate there may be: each passes something within a second or two (R15)."""
    slow = limit(64 * KIB)
    assert min(played([Copy([slow])] * 20, 2.0)) > 0
    many = Share(limit(64 * KIB))
    assert min(played([Copy([many])] * 20, 2.0)) > 0
    slow = limit(64 * KIB)
    for credit in [Credit([Share(slow)]) for _ in range(20)]:
        assert credit.due(0.0) <= 2.0
        assert credit.spend(BUFFER_BYTES) <= 64 * KIB


def test_an_idle_limit_does_not_save_up() -> None:
    """After an hour without anybody, no more than a moment's worth passes at once."""
    shared = limit(MIB)
    assert played([Copy([shared], begin=3600.0)], 3601.0, since=3600.0)[0] <= MIB * (1 + BURST_SECONDS) + 16 * KIB


class Time:
    """Passes when somebody waits."""

    def __init__(self) -> None:
        self.seconds = 100.0
        self.waits: list[float] = []

    def now(self) -> float:
        return self.seconds

    def wait(self, event: threading.Event, seconds: float) -> None:
        self.waits.append(seconds)
        self.seconds += seconds


def test_a_pace_waits_until_bytes_are_due_and_tells_how_long() -> None:
    """10 MiB at 1 MiB/s take ten seconds, in steps of a hundredth."""
    time = Time()
    pace = Pace([Share(limit(MIB))], now=time.now, wait=time.wait)
    left = 10 * MIB
    while left:
        left -= pace.take(left)
    assert time.seconds - 100.0 == pytest.approx(10.0, rel=0.02)
    assert pace.waited_seconds == pytest.approx(10.0, rel=0.02)
    assert max(time.waits) < 0.05


def test_a_pace_that_was_stopped_holds_nobody() -> None:
    """What waits is let go at once, by the stream that then says that it is closed."""
    pace = Pace([Share(limit(64 * KIB))], now=lambda: 100.0)
    taken = [pace.take(MIB)]
    waiting = threading.Thread(target=lambda: taken.append(pace.take(GIB)))
    while pace._credit.due(100.0) <= 100.0:  # in a time that stands still; then it has to wait
        pace._credit.spend(BUFFER_BYTES)
    pace._credit.spend(BUFFER_BYTES)
    waiting.start()
    waiting.join(0.05)
    assert waiting.is_alive()
    pace.stop()
    waiting.join(5)
    assert not waiting.is_alive()
    assert taken[-1] == GIB


@pytest.mark.parametrize(
    ("lowest", "piece"),
    [(None, 2 * MIB), (1e9, 2 * MIB), (2 * MIB, 2 * MIB), (2 * MIB - 1, MIB), (300 * KIB, 256 * KIB), (1.0, 64 * KIB)],
)
def test_pieces_are_small_where_the_rate_is(lowest: float | None, piece: int) -> None:
    """A second's worth, and a whole part of a block."""
    assert piece_bytes_of(lowest) == piece
