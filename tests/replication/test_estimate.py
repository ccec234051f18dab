"""What a plan expects a migration to take, and where each figure comes from."""

from typing import Any

import msgspec
import pytest

from tests.replication.test_preflight import REQUEST, VM
from xo_warmig.model.estimates import Basis, Estimate
from xo_warmig.model.passes import Way
from xo_warmig.model.rates import HourRate, RateTable
from xo_warmig.model.requests import Verify
from xo_warmig.model.units import GIB, MIB
from xo_warmig.model.vm import PowerState
from xo_warmig.replication.convergence import ASSUMED_BYTES_PER_SECOND
from xo_warmig.replication.estimate import ASSUMED_WRITTEN_BYTES_PER_SECOND, Known, estimate
from xo_warmig.replication.line import Line
from xo_warmig.replication.measured import Rate

USUAL = {"shutdown": 1.0, "start": 0.5}
PARTS = {"shutdown": 2.0, "check": 0.1, "open": 0.2, "confirm": 1.0, "state": 0.1, "verify": 0.1, "start": 3.0}
MEASURED = Known(
    rates={Way.VHD: Rate(200 * MIB, "there")},
    fixed_seconds=4.0,
    written_bytes_per_second=10 * MIB,
    parts=PARTS,
    usual=USUAL,
)


def expect(known: Known = MEASURED, vm: dict[str, Any] | None = None, **changes: Any) -> Estimate:
    """Of the plain VM, its ten gibibytes read by one way."""
    around: dict[str, Any] = {
        "ways": [Way.VHD, Way.VHD],
        "first_pass_bytes": 10 * GIB,
        "line": Line(),
        "final_line": Line(),
    }
    request = {key: changes.pop(key) for key in list(changes) if key not in {*around, "against_read_back"}}
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
    delta_seconds = 4.0 + 10 * (4.0 + 51.2) / 200
    assert parts["transfer"] == pytest.approx(10 * (delta_seconds + 2.0) / 200)
    assert found.passes == 3
    assert found.duration_seconds is not None
    assert found.duration_seconds.value == pytest.approx(55.2 + delta_seconds + found.downtime_seconds.value)
    assert "start" not in {part.name for part in expect(start_destination_vm=False).downtime_parts}


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
    evening, morning = (
        expect(line=Line([office], minute), final_line=Line([office], minute)) for minute in (17 * 60 + 50, 8 * 60)
    )
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
    assert (found.first_pass_bytes, found.duration_seconds) == (None, None)
    assert found.downtime_seconds.value > 0


def test_a_halted_vm_has_no_downtime() -> None:
    """One pass."""
    found = expect(vm={"power_state": PowerState.HALTED})
    assert (found.passes, found.downtime_seconds.value, found.downtime_parts) == (1, 0.0, [])
    assert found.duration_seconds is not None
    assert found.duration_seconds.value == pytest.approx(4.0 + 51.2)


def test_reading_back_in_the_downtime_is_a_part() -> None:
    """Of what was sent over NBD, of whole disks without."""

    def back(found: Estimate) -> float:
        return next((part.seconds for part in found.downtime_parts if part.name == "readBack"), 0.0)

    assert back(expect()) == 0.0
    assert 0 < back(expect(verify=Verify.FULL)) < 1
    assert back(expect(verify=Verify.FULL, against_read_back="no NBD")) == 10 * GIB / ASSUMED_BYTES_PER_SECOND
