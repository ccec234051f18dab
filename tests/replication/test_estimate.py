"""What a plan expects a migration to take, and where each figure comes from."""

from typing import Any

import msgspec
import pytest

from tests.replication.test_preflight import REQUEST, VM
from xo_warmig.model.estimates import Basis, Estimate
from xo_warmig.model.passes import Way
from xo_warmig.model.rates import HourRate, RateTable
from xo_warmig.model.requests import Verify
from xo_warmig.model.units import GIB, KIB, MIB
from xo_warmig.model.vm import PowerState
from xo_warmig.replication.convergence import ASSUMED_BYTES_PER_SECOND
from xo_warmig.replication.estimate import estimate
from xo_warmig.replication.expected_read_back import read_back_bytes
from xo_warmig.replication.known import ASSUMED_WRITTEN_BYTES_PER_SECOND, Known
from xo_warmig.replication.line import Line
from xo_warmig.replication.measured import Rate
from xo_warmig.replication.trends import Trend

USUAL = {"shutdown": 1.0, "start": 0.5}
PARTS = {"shutdown": 2.0, "check": 0.1, "open": 0.2, "confirm": 1.0, "state": 0.1, "verify": 0.1, "start": 3.0}
MEASURED = Known(
    rates={Way.VHD: Rate(200 * MIB, "there")},
    speeds={Way.VHD: 200 * MIB},
    fixed={
        "prepare": Trend(3.0),
        "copy": Trend(2.0, 2.0),
        "sync": Trend(0.0, 2.0),
        "cutover": Trend(2.0),
        "finish": Trend(1.0, 2.0),
    },
    read_back={Way.NBD: Trend(2.0, 1 / (50 * MIB)), Way.VHD: Trend(3.0, 1 / (25 * MIB))},
    written_bytes_per_second=10 * MIB,
    parts=PARTS,
    usual=USUAL,
)


def expect(known: Known = MEASURED, vm: dict[str, Any] | None = None, **changes: Any) -> Estimate:
    """Of the plain VM with its two disks, its ten gibibytes read by one way; nothing is read back unless a test asks for it."""
    around: dict[str, Any] = {
        "ways": [Way.VHD, Way.VHD],
        "first_pass_bytes": 10 * GIB,
        "line": Line(),
        "final_line": Line(),
    }
    request = {"verify": Verify.NONE} | {
        key: changes.pop(key) for key in list(changes) if key not in {*around, "against_read_back"}
    }
    return estimate(
        msgspec.structs.replace(REQUEST, **request),
        msgspec.structs.replace(VM, **(vm or {})),
        known,
        **(around | changes),
    )


def test_what_was_never_measured_is_said_to_be_usual() -> None:
    """The bytes alone are of the pools."""
    found = expect(Known(usual=USUAL))
    assert found.first_pass_bytes is not None
    assert (found.first_pass_bytes.value, found.first_pass_bytes.source) == (10 * GIB, Basis.SAMPLED)
    assert (found.bytes_per_second.value, found.bytes_per_second.source) == (ASSUMED_BYTES_PER_SECOND, Basis.DEFAULT)
    assert found.written_bytes_per_second.value == ASSUMED_WRITTEN_BYTES_PER_SECOND
    assert {part.source for part in found.downtime_parts} == {Basis.DEFAULT}
    assert found.downtime_seconds.source is Basis.DEFAULT


def test_what_earlier_migrations_showed_is_gone_by() -> None:
    """The downtime's parts sum up to it; the transfer is what the guest writes in the last delta and while it shuts down."""
    found = expect()
    assert found.downtime_seconds.source is Basis.MEASURED
    assert found.downtime_seconds.value == pytest.approx(sum(part.seconds for part in found.downtime_parts))
    parts = {part.name: part.seconds for part in found.downtime_parts}
    assert {name: parts[name] for name in PARTS} == PARTS
    delta_seconds = 4.0 + 10 * (6.0 + 51.2) / 200
    assert parts["transfer"] == pytest.approx(10 * (delta_seconds + 2.0 + 2.0) / 200)
    assert found.passes == 3
    assert {part.name: part.seconds for part in found.duration_parts} == pytest.approx(
        {
            "prepare": 3.0,
            "copy": 6.0 + 51.2,
            "sync": delta_seconds,
            "cutover": 2.0,
            "downtime": found.downtime_seconds.value,
            "finish": 5.0,
        }
    )
    assert found.duration_seconds is not None
    assert found.duration_seconds.value == pytest.approx(sum(part.seconds for part in found.duration_parts))
    assert found.duration_seconds.source is Basis.SAMPLED  # as the bytes of the first pass are
    assert "start" not in {part.name for part in expect(start_destination_vm=False).downtime_parts}


def test_what_the_host_saw_the_guest_write_stands_in_for_what_no_delta_showed() -> None:
    """It is sampled, and so is what depends on it; a measured one is gone by before it, and an assumed one after."""
    found = expect(MEASURED._replace(written_bytes_per_second=None, sampled_bytes_per_second=30 * MIB))
    assert (found.written_bytes_per_second.value, found.written_bytes_per_second.source) == (30 * MIB, Basis.SAMPLED)
    sources = {part.name: part.source for part in found.downtime_parts}
    assert (sources["transfer"], sources["shutdown"]) == (Basis.SAMPLED, Basis.MEASURED)
    assert found.downtime_seconds.source is Basis.SAMPLED
    both = expect(MEASURED._replace(sampled_bytes_per_second=30 * MIB))
    assert (both.written_bytes_per_second.value, both.written_bytes_per_second.source) == (10 * MIB, Basis.MEASURED)
    idle = expect(MEASURED._replace(written_bytes_per_second=None, sampled_bytes_per_second=0.0))
    assert (idle.written_bytes_per_second.value, idle.written_bytes_per_second.source) == (0.0, Basis.SAMPLED)


def test_deltas_go_by_what_is_read_so() -> None:
    """After a first pass over NBD they are lists of changes; before any of these was seen, they are as fast as that."""
    nbd = MEASURED._replace(speeds={Way.NBD: 100 * MIB})
    both = nbd._replace(speeds={Way.NBD: 100 * MIB, Way.CBT: 10 * MIB})

    def transfer(known: Known) -> float:
        return next(part.seconds for part in expect(known, ways=[Way.NBD]).downtime_parts if part.name == "transfer")

    assert transfer(both) > 5 * transfer(nbd)
    assert expect(both, ways=[Way.NBD]).bytes_per_second.value == 100 * MIB


def test_passes_end_as_soon_as_the_downtime_is_within_the_budget() -> None:
    """The one thing that convergence looks at: not how long a pass takes."""
    slow = MEASURED._replace(fixed=dict(MEASURED.fixed) | {"copy": Trend(600.0), "sync": Trend(60.0)})
    assert expect(slow).passes == 3
    assert expect(slow, target_downtime=7.0).passes > 3


def test_a_busy_guest_costs_passes_and_downtime() -> None:
    """Deltas go on until the budget is met or they gain no more; never more than were asked for."""
    busy = MEASURED._replace(written_bytes_per_second=150 * MIB)
    quiet, found = expect(), expect(busy)
    assert found.passes > quiet.passes
    assert found.downtime_seconds.value > quiet.downtime_seconds.value
    assert expect(busy, max_passes=3).passes == 3
    assert expect(busy, max_passes=2).passes == 2
    hopeless = expect(MEASURED._replace(written_bytes_per_second=300 * MIB))
    assert hopeless.downtime_seconds.value > REQUEST.target_downtime


def limited_to(rate: int) -> Line:
    return Line([RateTable(default=rate)])


def test_limits_count_where_they_hold() -> None:
    """Those of the passes make the whole longer, one that holds in the downtime that too."""
    free, limited = expect(), expect(line=limited_to(50 * MIB))
    assert (limited.bytes_per_second.value, limited.bytes_per_second.source) == (50 * MIB, Basis.LIMIT)
    assert free.duration_seconds is not None
    assert limited.duration_seconds is not None
    assert limited.duration_seconds.value > free.duration_seconds.value
    throttled = expect(line=limited_to(50 * MIB), final_line=limited_to(50 * MIB))
    assert throttled.downtime_seconds.value > limited.downtime_seconds.value
    assert expect(line=limited_to(900 * MIB)).bytes_per_second.source is Basis.MEASURED


def test_limits_count_with_the_hours_that_the_copy_runs_through() -> None:
    """Planned ten minutes before the office closes, a night's copy is told to be one; the downtime is that of its hour."""
    office = RateTable(default=None, hours=[HourRate(begin=8 * 60, end=18 * 60, bytes_per_second=MIB)])
    free = expect()
    evening = expect(line=Line([office], 17 * 60 + 50), final_line=Line([office], 17 * 60 + 50))
    # With more passes it would go on until the evening.
    morning = expect(line=Line([office], 8 * 60), final_line=Line([office], 8 * 60), max_passes=2)
    assert free.duration_seconds is not None
    assert evening.duration_seconds is not None
    assert morning.duration_seconds is not None
    assert evening.duration_seconds.value == pytest.approx(free.duration_seconds.value + 600, rel=0.2)
    assert evening.bytes_per_second.source is Basis.LIMIT
    assert evening.bytes_per_second.value == pytest.approx(10 * GIB / 650, rel=0.05)
    assert evening.downtime_seconds.value < 60
    assert morning.duration_seconds.value > 10 * GIB / MIB
    assert morning.downtime_seconds.value > 600


def test_an_earlier_copy_leaves_the_bytes_open() -> None:
    """What changed since is known only once it is read; the downtime is not."""
    found = expect(first_pass_bytes=None)
    assert (found.first_pass_bytes, found.duration_seconds, found.duration_parts) == (None, None, [])
    assert found.downtime_seconds.value > 0


def test_a_halted_vm_has_no_downtime() -> None:
    """One pass."""
    found = expect(vm={"power_state": PowerState.HALTED})
    assert (found.passes, found.downtime_seconds.value, found.downtime_parts) == (1, 0.0, [])
    assert found.duration_seconds is not None
    assert found.duration_seconds.value == pytest.approx(3.0 + 6.0 + 51.2 + 5.0)
    assert [part.name for part in found.duration_parts] == ["prepare", "copy", "finish"]


def test_reading_back_in_the_downtime_is_a_part() -> None:
    """Of what was sent over NBD, of whole disks without."""

    def back(found: Estimate) -> float:
        return next((part.seconds for part in found.downtime_parts if part.name == "readBack"), 0.0)

    assert back(expect()) == 0.0
    assert back(expect(verify=Verify.SAMPLE)) == 0.0
    seconds = [2.0 + 6.0 + 51.2 + 2.0 + 10 * GIB / (50 * MIB)]  # prepare, copy, and all of it back
    delta_bytes = 10 * MIB * (seconds[0] - 2.0)
    delta_seconds = 4.0 + delta_bytes / (200 * MIB) + 2.0 + delta_bytes / (50 * MIB)
    moved_bytes = 10 * MIB * (delta_seconds + 2.0 + 2.0)
    assert back(expect(verify=Verify.FULL, max_passes=3)) == pytest.approx(2.0 + moved_bytes / (50 * MIB))
    by_export = expect(verify=Verify.FULL, against_read_back="no NBD", max_passes=3)
    stored_bytes = sum(disk.physical_bytes for disk in VM.disks)
    assert back(by_export) == pytest.approx(3.0 + stored_bytes / (25 * MIB))


@pytest.mark.parametrize(
    ("moved_bytes", "by_export", "expected_bytes"),
    [
        pytest.param(10 * GIB, False, 2 * 512 * 64 * KIB, id="a sample over NBD has an upper bound for each disk"),
        pytest.param(1 * GIB, False, 2 * 82 * 64 * KIB, id="else it is a part"),
        pytest.param(64 * MIB, False, 2 * 16 * 64 * KIB, id="and a lower one"),
        pytest.param(64 * KIB, False, 64 * KIB, id="or all"),
        pytest.param(1 * GIB, True, 128 * MIB, id="of an export it is the head of each disk"),
        pytest.param(30 * MIB, True, 30 * MIB, id="or all that lies there"),
        pytest.param(0, True, 0, id="of nothing it is nothing"),
    ],
)
def test_a_sample_is_read_back_after_each_pass(moved_bytes: int, by_export: bool, expected_bytes: int) -> None:
    """As much of two disks as ``reading_back`` and ``block_sample`` take."""
    found = read_back_bytes(Verify.SAMPLE, by_export=by_export, disks=2, moved_bytes=moved_bytes, stored_bytes=10 * GIB)
    assert found == expected_bytes


def test_what_is_read_back_makes_passes_longer() -> None:
    """The sample's seconds are a part of the copy's."""
    bare, sampled = expect(), expect(verify=Verify.SAMPLE)
    copies = [next(part.seconds for part in found.duration_parts if part.name == "copy") for found in (bare, sampled)]
    assert copies[1] == pytest.approx(copies[0] + 2.0 + 64 / 50)
