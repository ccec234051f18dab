"""Named delays."""

import time

import pytest

from xo_warmig.errors import InvalidRequest
from xo_warmig.simulator.delays import NAMES, REAL, Delays


def test_nothing_takes_time_by_default() -> None:
    """Tests want to be fast."""
    assert all(Delays.parse("").seconds(name) == 0 for name in NAMES)


def test_the_real_set_names_every_delay() -> None:
    """No name is missing from what was measured."""
    assert set(REAL) == set(NAMES)


def test_single_values_override_the_set() -> None:
    """Later ones win."""
    delays = Delays.parse("real, attach=2,scan=0")
    assert (delays.seconds("attach"), delays.seconds("scan"), delays.seconds("start")) == (2.0, 0.0, 0.43)


@pytest.mark.parametrize("text", ["attach", "attach=fast", "attach=-1", "nap=1"])
def test_nonsense_is_refused(text: str) -> None:
    """With a word about what is possible."""
    with pytest.raises(InvalidRequest):
        Delays.parse(text)


def test_wait_takes_the_time_and_ends_when_stopped() -> None:
    """A stopping pool waits for nothing."""
    delays = Delays({"attach": 0.02, "detach": 60})
    began = time.monotonic()
    delays.wait("attach")
    assert time.monotonic() - began >= 0.02
    delays.stop()
    delays.wait("detach")
    assert time.monotonic() - began < 10
