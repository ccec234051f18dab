"""The channel between the threads of a copy."""

import threading

import pytest

from xo_warmig.disks.pipe import Channel, Closed


def test_items_come_out_in_order_and_then_the_end() -> None:
    """What was put before the end is delivered."""
    channel: Channel[int] = Channel(3)
    for item in (1, 2, 3):
        channel.put(item)
    channel.end()
    assert [channel.get() for _ in range(4)] == [1, 2, 3, None]


def test_a_full_channel_makes_its_writer_wait() -> None:
    """No more than ``most`` items are in flight."""
    channel: Channel[int] = Channel(1)
    channel.put(1)
    entered = threading.Event()

    def put() -> None:
        channel.put(2)
        entered.set()

    thread = threading.Thread(target=put)
    thread.start()
    assert not entered.wait(0.05)
    assert channel.get() == 1
    assert entered.wait(5)
    thread.join()


def test_a_broken_channel_wakes_both_sides_and_gives_what_was_queued() -> None:
    """A reader that waits, and a writer that waits, both learn of it."""
    channel: Channel[int] = Channel(1)
    channel.put(1)
    seen: list[type[BaseException]] = []

    def put() -> None:
        try:
            channel.put(2)
        except Closed as closed:
            seen.append(type(closed))

    thread = threading.Thread(target=put)
    thread.start()
    assert channel.break_off() == [1]
    thread.join(5)
    assert seen == [Closed]
    with pytest.raises(Closed):
        channel.get()
