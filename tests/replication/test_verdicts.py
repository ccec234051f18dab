"""What came of a pass: its verdict, its figures and its parts, from those of its disks."""

import msgspec
import pytest

from tests.replication.test_side_by_side import the_plan
from xo_warmig.model.passes import DiskPassReport, Verdict
from xo_warmig.replication.verdicts import Begun, judge, parts_of


def test_parts_are_those_of_the_slowest_disk() -> None:
    """All begin together; the parts add up to the whole."""
    one = DiskPassReport(
        disk="disk-0", verdict=Verdict.COMPLETE, read_bytes=1, written_bytes=1, seconds=10.0, transfer_seconds=5.0,
        open_seconds=2.0, confirm_seconds=1.0,
    )  # fmt: skip
    other = msgspec.structs.replace(one, disk="disk-1", seconds=12.0, open_seconds=1.0, confirm_seconds=4.0)
    assert parts_of([one, other], 12.5) == {"open": 2.0, "transfer": 7.0, "confirm": 3.5}
    assert parts_of([], 3.0) == {"open": 0.0, "transfer": 0.0, "confirm": 3.0}


def test_disks_that_were_run_apart_are_judged_together() -> None:
    """In the plan's order, whatever the order of their ends."""
    done = DiskPassReport(
        disk="disk-0", verdict=Verdict.COMPLETE, read_bytes=100, written_bytes=90, seconds=3.0, transfer_seconds=2.0
    )
    failed = msgspec.structs.replace(done, disk="disk-1", verdict=Verdict.FAILED, read_bytes=50)
    report = judge(the_plan(), [failed, done], Begun(1234.0, 10.0, 5.0), 11.0, 14.0)
    assert report.verdict is Verdict.PARTIAL
    assert [disk.disk for disk in report.disks] == ["disk-0", "disk-1"]
    assert (report.bytes, report.seconds, report.snapshot_seconds, report.fixed_seconds) == (150, 4.0, 1.0, 2.0)
    assert report.dirty_bytes_per_second == 30.0


@pytest.mark.parametrize(("held_back", "throttled"), [([0.0, 0.0], False), ([0.0, 0.4], False), ([0.2, 3.0], True)])
def test_a_pass_is_throttled_when_a_disk_waited_for_limits(held_back: list[float], throttled: bool) -> None:
    """For more than a tenth of its transfer: what it made then says little of what can be made."""
    disks = [
        DiskPassReport(
            disk=f"disk-{n}",
            verdict=Verdict.COMPLETE,
            read_bytes=100,
            written_bytes=100,
            seconds=6.0,
            transfer_seconds=5.0,
            held_back_seconds=seconds,
        )
        for n, seconds in enumerate(held_back)
    ]
    assert judge(the_plan(), disks, Begun(1234.0, 10.0, 5.0), 11.0, 17.0).throttled is throttled


def test_a_vm_without_disks_has_a_complete_pass() -> None:
    """There is nothing that could be missing."""
    report = judge(the_plan(0), [], Begun(1234.0, 10.0, 5.0), 11.0, 14.0)
    assert report.verdict is Verdict.COMPLETE
    assert report.bytes == 0
