"""The token bucket."""

import threading
import time

import pytest

from xo_warmig.errors import InvalidRequest
from xo_warmig.simulator.bandwidth import Bandwidth, parse_rate


@pytest.mark.parametrize(
    ("text", "rate"),
    [("100M", 100 * 2**20), ("1.5G", 1.5 * 2**30), ("512", 512), ("8 KiB/s", 8192), ("3mb", 3 * 2**20)],
)
def test_rates_are_written_for_people(text: str, rate: float) -> None:
    """Units are powers of 1024."""
    assert parse_rate(text) == rate


@pytest.mark.parametrize("text", ["fast", "-1M", "0", "M", "inf"])
def test_nonsense_is_refused(text: str) -> None:
    """A rate is a positive number."""
    with pytest.raises(InvalidRequest):
        parse_rate(text)


def test_no_limit_takes_no_time() -> None:
    """And sends in pieces as large as wanted."""
    bandwidth = Bandwidth.parse(None)
    bandwidth.take(1 << 40)
    assert bandwidth.piece_bytes(1 << 21) == 1 << 21
    assert not bandwidth.limited


def test_several_transfers_share_the_rate() -> None:
    """Two threads together get what one would."""
    bandwidth = Bandwidth(1_000_000)
    began = time.monotonic()
    threads = [threading.Thread(target=bandwidth.take, args=(50_000,)) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert time.monotonic() - began >= 0.07  # 100 ms less the burst of 20 ms


def test_pieces_are_small_on_a_slow_wire() -> None:
    """So that it is steady, not bursty."""
    assert Bandwidth(10 * 2**20).piece_bytes(2**21) < 2**18
