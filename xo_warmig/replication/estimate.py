"""What a migration is expected to take, before it begins: the engine's model, fed with what earlier ones showed. Decisions only."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Final, NamedTuple

from xo_warmig.model.estimates import Basis, Estimate, ExpectedPart, Figure
from xo_warmig.model.passes import Way
from xo_warmig.model.requests import Verify, WarmMigrationRequest
from xo_warmig.model.units import MIB
from xo_warmig.model.vm import PowerState, Vm
from xo_warmig.replication.convergence import ASSUMED_BYTES_PER_SECOND, LEAST_GAIN
from xo_warmig.replication.line import Line
from xo_warmig.replication.measured import NOTHING_MEASURED, Rates

# Where nothing was measured. A quiet server writes less, a database more.
ASSUMED_WRITTEN_BYTES_PER_SECOND: Final = 2 * MIB
_ASSUMED_FIXED_SECONDS: Final = 5.0  # of a pass: snapshots, attaching, tasks
_UNHELD: Final = 0.999  # of a speed is all of it: the rest is rounding
# Parts of a downtime besides shutdown, transfer and start.
_ASSUMED_PARTS: Final = {"check": 0.1, "open": 0.1, "confirm": 1.0, "state": 0.1, "verify": 0.1}


class Known(NamedTuple):
    """What earlier migrations showed.

    ``rates`` and ``fixed_seconds`` of passes between the same pools, ``written_bytes_per_second`` of the same VM; None: nothing did.
    ``parts``: seconds by name of a downtime's part. ``usual``: shutdown and start, where they are not among these.
    """

    rates: Rates = NOTHING_MEASURED
    fixed_seconds: float | None = None
    written_bytes_per_second: float | None = None
    parts: Mapping[str, float] = {}
    usual: Mapping[str, float] = {}


class Course(NamedTuple):
    """``pending_seconds``: for how long the guest wrote what the final pass has to move, but for its shutdown."""

    passes: int
    seconds: float
    pending_seconds: float


def estimate(
    request: WarmMigrationRequest,
    vm: Vm,
    known: Known,
    *,
    ways: Iterable[Way],
    first_pass_bytes: int | None,
    line: Line,
    final_line: Line,
    against_read_back: str = "",
) -> Estimate:
    """See ``Estimate``.

    Args:
        ways: of the first pass, one for each disk.
        line: the limits for passes while the source runs; ``final_line``: for the last one.
    """
    free = _speed(known.rates, ways)
    written = _figure(known.written_bytes_per_second, ASSUMED_WRITTEN_BYTES_PER_SECOND)
    fixed = _figure(known.fixed_seconds, _ASSUMED_FIXED_SECONDS)
    first = None if first_pass_bytes is None else Figure(value=first_pass_bytes, source=Basis.SAMPLED)
    speed = _held(free, line, first_pass_bytes, fixed.value)
    if vm.power_state is not PowerState.RUNNING:
        whole = None if first is None else fixed.value + first.value / speed.value
        return Estimate(
            first_pass_bytes=first,
            bytes_per_second=speed,
            written_bytes_per_second=Figure(value=0.0, source=Basis.SAMPLED),
            passes=1,
            duration_seconds=None if whole is None else Figure(value=whole, source=_least(speed, fixed)),
            downtime_seconds=Figure(value=0.0, source=Basis.SAMPLED),
            downtime_parts=[],
        )
    course = _course(request, fixed.value, first_pass_bytes or 0, written.value, free.value, line)
    final = _held(free, final_line, None, course.seconds)
    parts = _parts(request, known, course, written, final, _whole_bytes(vm) if against_read_back else None)
    downtime = Figure(value=sum(part.seconds for part in parts), source=_worst([part.source for part in parts]))
    duration = Figure(
        value=course.seconds + downtime.value, source=_worst([speed.source, written.source, downtime.source])
    )
    return Estimate(
        first_pass_bytes=first,
        bytes_per_second=speed,
        written_bytes_per_second=written,
        passes=course.passes,
        duration_seconds=None if first is None else duration,
        downtime_seconds=downtime,
        downtime_parts=parts,
    )


def _course(
    request: WarmMigrationRequest, fixed: float, first_bytes: int, written: float, free: float, line: Line
) -> Course:
    """Passes as ``convergence.decide`` goes on with them: a first one, then deltas while each is shorter by enough, then the last."""
    total = last = fixed + line.seconds(first_bytes, free, fixed)
    passes = 1
    while passes + 1 < request.max_passes:
        delta = fixed + line.seconds(written * last, free, total + fixed)
        gains = delta < last * (1 - LEAST_GAIN)
        total, last, passes = total + delta, delta, passes + 1
        if not gains or line.seconds(written * last, free, total) <= request.target_downtime / 2:
            break
    return Course(passes + 1, total, last)


def _parts(
    request: WarmMigrationRequest,
    known: Known,
    course: Course,
    written: Figure,
    speed: Figure,
    whole_bytes: int | None,
) -> list[ExpectedPart]:
    """In the order in which they come. ``whole_bytes``: what is read back where that goes by whole exports."""
    usual = {**_ASSUMED_PARTS, **known.usual}

    def part(name: str) -> ExpectedPart:
        seconds = _figure(known.parts.get(name), usual[name])
        return ExpectedPart(name=name, seconds=seconds.value, source=seconds.source)

    shutdown = part("shutdown")
    moved_bytes = written.value * (course.pending_seconds + shutdown.seconds)
    transfer = ExpectedPart(name="transfer", seconds=moved_bytes / speed.value, source=_least(written, speed))
    parts = [shutdown, part("check"), part("open"), transfer, part("confirm")]
    if request.verify is Verify.FULL:
        back_bytes = moved_bytes if whole_bytes is None else whole_bytes
        seconds = back_bytes / ASSUMED_BYTES_PER_SECOND
        parts.append(ExpectedPart(name="readBack", seconds=seconds, source=Basis.DEFAULT))
    parts += [part("state"), part("verify")]
    return [*parts, part("start")] if request.start_destination_vm else parts


def _speed(rates: Rates, ways: Iterable[Way]) -> Figure:
    """Of the slowest of these ways, as far as it was measured."""
    seen = [rates[way].bytes_per_second for way in ways if way in rates]
    return _figure(min(seen, default=None), ASSUMED_BYTES_PER_SECOND)


def _held(free: Figure, line: Line, count_bytes: int | None, begin: float) -> Figure:
    """The speed within the limits: over so many bytes, or at that moment where none are known."""
    speed = count_bytes / line.seconds(count_bytes, free.value, begin) if count_bytes else line.speed(free.value, begin)
    return free if speed >= free.value * _UNHELD else Figure(value=speed, source=Basis.LIMIT)


def _whole_bytes(vm: Vm) -> int:
    return sum(min(disk.virtual_size_bytes, disk.physical_bytes) for disk in vm.disks)


def _figure(measured: float | None, usual: float) -> Figure:
    if measured is None:
        return Figure(value=usual, source=Basis.DEFAULT)
    return Figure(value=measured, source=Basis.MEASURED)


def _least(*figures: Figure) -> Basis:
    return _worst([figure.source for figure in figures])


def _worst(sources: Sequence[Basis]) -> Basis:
    """What depends on several figures is as good as the worst of them."""
    return max(sources, key=list(Basis).index)
