"""Faults on request."""

import threading

import msgspec
import pytest

from xo_warmig.simulator.failure import XapiFailure
from xo_warmig.simulator.faults import FaultKind, FaultOrder, Faults


def test_a_call_fails_as_ordered_and_then_no_more() -> None:
    """The error is the one that was asked for."""
    faults = Faults()
    faults.add(FaultOrder(kind=FaultKind.FAIL, match="VDI.*", error=("SR_BACKEND_FAILURE_109", "", "chain", "")))
    faults.on_call("VM.start", [])
    with pytest.raises(XapiFailure) as caught:
        faults.on_call("Async.VDI.snapshot", [])
    assert caught.value.details == ["SR_BACKEND_FAILURE_109", "", "chain", ""]
    faults.on_call("VDI.snapshot", [])


def test_the_nth_call_fails() -> None:
    """Those before it pass, and so do those after ``times``."""
    faults = Faults()
    faults.add(FaultOrder(kind=FaultKind.FULL, match="VDI.snapshot", at=2, times=2))
    outcomes = []
    for _ in range(4):
        try:
            faults.on_call("VDI.snapshot", [])
            outcomes.append("ok")
        except XapiFailure as failure:
            outcomes.append(failure.code)
    assert outcomes == ["ok", "SR_BACKEND_FAILURE_44", "SR_BACKEND_FAILURE_44", "ok"]


def test_a_hanging_call_goes_on_when_the_fault_is_cleared() -> None:
    """Not before."""
    faults = Faults()
    faults.add(FaultOrder(kind=FaultKind.HANG, match="VM.start"))
    thread = threading.Thread(target=faults.on_call, args=("VM.start", []), daemon=True)
    thread.start()
    thread.join(0.1)
    assert thread.is_alive()
    faults.clear()
    thread.join(5)
    assert not thread.is_alive()


def test_a_transfer_is_told_where_to_stop() -> None:
    """Faults strike in the order of their bytes; one that is used up is passed over."""
    faults = Faults()
    faults.add(FaultOrder(kind=FaultKind.CUT, match="some-uuid", at=500))
    faults.add(FaultOrder(kind=FaultKind.CORRUPT, match="export_raw_vdi", at=100))
    one, two = (faults.for_transfer("export_raw_vdi", ["some-uuid"]) for _ in range(2))
    assert one.next_at == 100
    assert one.strike() is True
    assert two.strike() is False
    assert one.next_at == 500
    with pytest.raises(ConnectionResetError):
        one.strike()
    assert faults.for_transfer("export_raw_vdi", ["some-uuid"]).next_at is None


def test_other_transfers_are_left_alone() -> None:
    """Neither the name nor the disk matches."""
    faults = Faults()
    faults.add(FaultOrder(kind=FaultKind.CUT, match="import_raw_vdi", at=500))
    assert faults.for_transfer("export_raw_vdi", ["u"]).next_at is None


def test_what_is_armed_can_be_seen() -> None:
    """With how often it may still strike."""
    faults = Faults()
    faults.add(FaultOrder(kind=FaultKind.DELAY, match="VM.*", seconds=0, times=3))
    faults.on_call("VM.start", [])
    assert [(shown["number"], shown["left"]) for shown in faults.show()] == [(1, 2)]


@pytest.mark.parametrize("kind", [FaultKind.HANG, FaultKind.DELAY])
def test_what_hangs_or_waits_does_not_happen_when_the_pool_stops(kind: FaultKind) -> None:
    """A pool that is told to stop must not carry out now what it had been kept from doing."""
    faults = Faults()
    faults.add(FaultOrder(kind=kind, match="*", seconds=60, times=2))
    transfer = faults.for_transfer("import_raw_vdi", [])
    faults.stop()
    with pytest.raises(ConnectionAbortedError):
        faults.on_call("VM.start", [])
    with pytest.raises(ConnectionAbortedError):
        transfer.strike()


def test_bytes_are_dropped_at_a_cut_alone() -> None:
    """And no more of them than are kept in memory."""
    for order in ({"kind": "fail", "drop_bytes": 1}, {"kind": "cut", "drop_bytes": 1 << 40}):
        with pytest.raises(msgspec.ValidationError, match="drop_bytes"):
            msgspec.convert(order | {"match": "import_raw_vdi"}, FaultOrder)


def test_an_export_drops_nothing() -> None:
    """The order is for what is written, also when it names a disk that is read meanwhile."""
    faults = Faults()
    faults.add(FaultOrder(kind=FaultKind.CUT, match="some-uuid", at=500, drop_bytes=100))
    assert faults.for_transfer("export_raw_vdi", ["some-uuid"]).next_at is None
    assert faults.for_transfer("import_raw_vdi", ["some-uuid"]).next_at == 500


def test_a_cut_by_the_client_uses_the_order_up() -> None:
    """The next transfer loses nothing."""
    faults = Faults()
    faults.add(FaultOrder(kind=FaultKind.CUT, match="import_raw_vdi", drop_bytes=100))
    one, two = (faults.for_transfer("import_raw_vdi", ["u"]) for _ in range(2))
    assert (one.next_at, one.most_dropped_bytes) == (None, 100)
    assert (one.lost_bytes(), two.lost_bytes()) == (100, 0)
