"""What a migration is expected to take, before it begins: the engine's model, fed with what is known beforehand. Decisions only.

How fast the guest writes is known of a VM whose migration was begun before: its deltas tell what it dirtied. Of another one its host
tells what it wrote, which is not the same. A guest that writes over the same blocks again dirties less, and what it writes in pieces
smaller than those that a pass reads (64 KiB, or 2 MiB of a VHD) dirties more. The migration's first delta measures it.
"""

import math
from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple

from xo_warmig.model.estimates import Basis, Estimate, ExpectedPart, Figure
from xo_warmig.model.passes import Way
from xo_warmig.model.requests import Verify, WarmMigrationRequest
from xo_warmig.model.vm import PowerState, Vm
from xo_warmig.replication.convergence import LEAST_GAIN
from xo_warmig.replication.expected_read_back import read_back_bytes
from xo_warmig.replication.known import Known
from xo_warmig.replication.line import Line

# How the passes after the first one read what that one read so.
_DELTA_WAYS: Final = {Way.NBD: Way.CBT}
_UNHELD: Final = 0.999  # of a speed is all of it: the rest is rounding


class Course(NamedTuple):
    """The first pass, all deltas, and the downtime in its parts; a VM that does not run has the first only."""

    passes: int
    copy: ExpectedPart
    sync: ExpectedPart | None = None
    downtime: Sequence[ExpectedPart] = ()


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
    ways = list(ways)
    deltas = [_DELTA_WAYS.get(way, way) for way in ways]
    running = vm.power_state is PowerState.RUNNING
    model = _Model(
        request,
        vm,
        known,
        written=known.written() if running else Figure(value=0.0, source=Basis.SAMPLED),
        first_speed=known.speed(ways),
        speed=known.speed(deltas),
        line=line,
        final_line=final_line,
        by_export=bool(against_read_back),
    )
    course = model.course(first_pass_bytes or 0)
    parts = model.duration_parts(course)
    first = None if first_pass_bytes is None else Figure(value=first_pass_bytes, source=Basis.SAMPLED)
    return Estimate(
        first_pass_bytes=first,
        bytes_per_second=model.held_speed(first_pass_bytes),
        written_bytes_per_second=model.written,
        passes=course.passes,
        duration_seconds=None if first is None else _sum(parts),
        duration_parts=[] if first is None else parts,
        downtime_seconds=_sum(course.downtime),
        downtime_parts=list(course.downtime),
    )


class _Model(NamedTuple):
    """A migration of a VM. Speeds are those without limits. ``by_export``: reading back goes by exports of the target's disks."""

    request: WarmMigrationRequest
    vm: Vm
    known: Known
    written: Figure
    first_speed: Figure
    speed: Figure
    line: Line
    final_line: Line
    by_export: bool

    def course(self, first_bytes: int) -> Course:
        """Passes as ``convergence.decide`` goes on with them: a first one, then deltas until the downtime is short or gets no shorter."""
        passed = self._fixed("prepare").value
        copy = self._pass("copy", Figure(value=first_bytes, source=Basis.SAMPLED), self.first_speed, passed)
        if self.vm.power_state is not PowerState.RUNNING:
            return Course(1, copy)
        deltas: list[ExpectedPart] = []
        before = math.inf  # one delta alone does not say whether passes gain
        last, passed = copy, passed + copy.seconds
        downtime = self._downtime(copy, passed)
        while len(deltas) + 2 < self.request.max_passes:
            last = self._pass("sync", self._dirtied(last.seconds), self.speed, passed)
            deltas.append(last)
            passed += last.seconds
            downtime = self._downtime(last, passed)
            expected = _sum(downtime).value
            if expected <= self.request.target_downtime or expected >= before * (1 - LEAST_GAIN):
                break
            before = expected
        sync = _expected("sync", _sum(deltas)) if deltas else None
        return Course(len(deltas) + 2, copy, sync, downtime)

    def held_speed(self, first_bytes: int | None) -> Figure:
        """Within the limits: of the first pass, or at that moment where its bytes are not known."""
        begin = self._fixed("prepare").value + self._fixed("copy").value
        speed = self.line.speed(self.first_speed.value, begin)
        if first_bytes:
            speed = first_bytes / self.line.seconds(first_bytes, self.first_speed.value, begin)
        held = speed < self.first_speed.value * _UNHELD
        return Figure(value=speed, source=Basis.LIMIT) if held else self.first_speed

    def duration_parts(self, course: Course) -> list[ExpectedPart]:
        """What comes one after the other."""
        parts = [_expected("prepare", self._fixed("prepare")), course.copy]
        if course.sync is not None:
            parts.append(course.sync)
        if course.downtime:
            parts += [_expected("cutover", self._fixed("cutover")), _expected("downtime", _sum(course.downtime))]
        return [*parts, _expected("finish", self._fixed("finish"))]

    def _pass(self, name: str, moved: Figure, speed: Figure, begin: float) -> ExpectedPart:
        """Its fixed cost, its data, and what of them is read back. It begins ``begin`` seconds from now."""
        fixed = self._fixed(name)
        return _expected(name, fixed, _transfer(moved, speed, self.line, begin + fixed.value), self._read_back(moved))

    def _downtime(self, last: ExpectedPart, passed: float) -> list[ExpectedPart]:
        """Its parts in the order in which they come, after the pass ``last``, which ends ``passed`` seconds from now."""
        shutdown = self.known.downtime_part("shutdown")
        # From the last snapshot on; the guest writes until it is down.
        ahead = self._fixed("cutover").value + shutdown.value
        moved = self._dirtied(last.seconds + ahead)
        transfer = _transfer(moved, self.speed, self.final_line, passed + ahead)
        parts = [_expected("shutdown", shutdown), *self._parts("check", "open"), _expected("transfer", transfer)]
        parts += self._parts("confirm")
        if self.request.verify is Verify.FULL:
            parts.append(_expected("readBack", self._read_back(moved)))
        parts += self._parts("state", "verify")
        return [*parts, *self._parts("start")] if self.request.start_destination_vm else parts

    def _parts(self, *names: str) -> list[ExpectedPart]:
        return [_expected(name, self.known.downtime_part(name)) for name in names]

    def _fixed(self, name: str) -> Figure:
        return self.known.fixed_seconds(name, len(self.vm.disks))

    def _dirtied(self, seconds: float) -> Figure:
        """Bytes of a delta that grew so long; no more than there is."""
        most_bytes = sum(disk.virtual_size_bytes for disk in self.vm.disks)
        return Figure(value=min(self.written.value * seconds, most_bytes), source=self.written.source)

    def _read_back(self, moved: Figure) -> Figure:
        """Seconds. It costs nothing where nothing is."""
        count_bytes = read_back_bytes(
            self.request.verify,
            by_export=self.by_export,
            disks=len(self.vm.disks),
            moved_bytes=moved.value,
            stored_bytes=sum(min(disk.virtual_size_bytes, disk.physical_bytes) for disk in self.vm.disks),
        )
        if not count_bytes:
            return Figure(value=0.0, source=moved.source)
        seconds = self.known.read_back_seconds(Way.VHD if self.by_export else Way.NBD, count_bytes)
        return Figure(value=seconds.value, source=_worst([seconds, moved]))


def _transfer(moved: Figure, speed: Figure, line: Line, begin: float) -> Figure:
    """Seconds that so many bytes take, within the limits that hold then."""
    free = moved.value / speed.value
    seconds = line.seconds(moved.value, speed.value, begin) if moved.value else 0.0
    held = [Figure(value=0.0, source=Basis.LIMIT)] if free < seconds * _UNHELD else []
    return Figure(value=seconds, source=_worst([moved, speed, *held]))


def _expected(name: str, *figures: Figure) -> ExpectedPart:
    """The seconds of all of them together."""
    return ExpectedPart(name=name, seconds=sum(each.value for each in figures), source=_worst(figures))


def _sum(parts: Sequence[ExpectedPart]) -> Figure:
    """Nothing at all is known for sure."""
    return Figure(value=sum(part.seconds for part in parts), source=_worst(parts))


def _worst(sources: Sequence[Figure | ExpectedPart]) -> Basis:
    """What depends on several figures is as good as the worst of them."""
    order = list(Basis)
    return max((each.source for each in sources), key=order.index, default=Basis.SAMPLED)
