"""What moves right now: the meters of the running pass, rates, and how far the migration is. Not durable."""

from collections.abc import Mapping

from xo_warmig.disks.meter import Meter
from xo_warmig.model.passes import DiskPassPlan, PassKind, PassPlan
from xo_warmig.model.reports import CurrentPass, DiskProgress
from xo_warmig.model.vm import Disk

# How much a new sample weighs in the shown rate: about the last ten seconds count.
_SMOOTHING = 0.1


class DiskLive:
    """One disk in the running pass."""

    def __init__(self, disk: Disk, target_vdi: str | None, guess_bytes: int) -> None:
        self.disk = disk
        self.target_vdi = target_vdi
        self.meter = Meter()
        self.guess_bytes = guess_bytes
        self.rate = 0.0
        self._sampled: tuple[float, int] | None = None

    @property
    def total_bytes(self) -> int:
        known = self.meter.total_bytes
        return max(self.guess_bytes if known is None else known, self.meter.done_bytes)

    def sample(self, now: float) -> None:
        """Look at the meter; ``now`` is monotonic."""
        done = self.meter.done_bytes
        if self._sampled is not None and now > self._sampled[0]:
            rate = max(0.0, (done - self._sampled[1]) / (now - self._sampled[0]))
            self.rate = rate if self.rate == 0.0 else self.rate + _SMOOTHING * (rate - self.rate)
        self._sampled = (now, done)

    def progress(self, plan: DiskPassPlan | None) -> DiskProgress:
        """``plan``: of this disk."""
        return DiskProgress(
            disk=self.disk.vdi,
            target_vdi=self.target_vdi,
            name_label=self.disk.name_label,
            device=self.disk.device,
            virtual_size_bytes=self.disk.virtual_size_bytes,
            done_bytes=self.meter.done_bytes,
            total_bytes=self.total_bytes,
            bytes_per_second=self.rate,
            way=plan.way if plan is not None else None,
            way_reason=plan.reason if plan is not None else "",
        )


class LivePass:
    """The running pass. ``share``: from where to where it brings the whole migration's progress."""

    def __init__(
        self, plan: PassPlan, started: float, disks: Mapping[str, DiskLive], share: tuple[float, float]
    ) -> None:
        self.plan = plan
        self.started = started
        self.disks = disks
        self.share = share

    @property
    def meters(self) -> dict[str, Meter]:
        return {vdi: disk.meter for vdi, disk in self.disks.items()}

    def sample(self, now: float) -> None:
        for disk in self.disks.values():
            disk.sample(now)

    def fraction(self) -> float:
        """Of this pass's bytes."""
        total = sum(disk.total_bytes for disk in self.disks.values())
        done = sum(disk.meter.done_bytes for disk in self.disks.values())
        return min(1.0, done / total) if total else 0.0

    def progress(self) -> float:
        """Of the whole migration."""
        low, high = self.share
        return low + (high - low) * self.fraction()

    def remaining_seconds(self) -> float | None:
        """The slowest disk's; None while a disk that has bytes left has no rate."""
        left = [(disk.total_bytes - disk.meter.done_bytes, disk.rate) for disk in self.disks.values()]
        left = [(count, rate) for count, rate in left if count > 0]
        if any(rate <= 0 for _, rate in left):
            return None
        return max((count / rate for count, rate in left), default=0.0)

    def current(self) -> CurrentPass:
        plans = {plan.disk: plan for plan in self.plan.disks}
        return CurrentPass(
            number=self.plan.number,
            kind=self.plan.kind,
            started=self.started,
            remaining_seconds=self.remaining_seconds(),
            disks=[disk.progress(plans.get(vdi)) for vdi, disk in self.disks.items()],
        )


PREPARED = 0.02
COPIED = 0.85
SYNCED = 0.95
STARTED = 0.99


def share_of(kind: PassKind, *, first: bool, progress: float) -> tuple[float, float]:
    """From where to where a pass brings the progress of the whole.

    The first pass moves nearly all bytes and gets nearly all of the way; how many deltas follow nobody knows, so each goes half of
    what is left before the last.
    """
    low = max(progress, PREPARED)
    if kind is PassKind.FINAL:
        return low, 0.98
    if first:
        return low, max(low, COPIED)
    return low, max(low, low + (SYNCED - low) / 2)


def guess_bytes(disk: Disk, *, base: str | None, last_bytes: int | None) -> int:
    """The bytes that a pass will read of a disk, before its stream's table tells."""
    if base is None:
        return min(disk.virtual_size_bytes, disk.physical_bytes)
    return last_bytes or 0
