"""The durable facts of a migration: past tense, in order, and all that is known of it.

A migration's state is a fold over these (``engine.state``); nobody sets a status by hand. An effect on a pool is preceded by its
intent (``EffectIntended``, ``SourceBlocking``, ``ShutdownAsked``, the phase ``starting``) and followed by its outcome, so that whoever
goes on after an interruption can find what was made (R11). Progress is no fact and is not here.
"""

from enum import StrEnum

import msgspec

from xo_warmig.model.passes import DiskPassReport, PassPlan, PassReport, ReadBack
from xo_warmig.model.phases import Phase, WaitingFor
from xo_warmig.model.plans import KeptDisk, Leftover, MigrationPlan, SourceChange
from xo_warmig.model.reports import Downtime, Warning_
from xo_warmig.model.requests import WarmMigrationRequest
from xo_warmig.model.vm import Life


def _tag(name: str) -> str:
    return name[0].lower() + name[1:]


class _Fact(msgspec.Struct, frozen=True, kw_only=True, rename="camel", tag=_tag):
    """A fact; its JSON form has the class's name in ``type``."""


class Effect(StrEnum):
    """Things that a migration makes and may have to find again."""

    TARGET_VM = "targetVm"
    TARGET_DISK = "targetDisk"
    SNAPSHOT = "snapshot"
    TARGET_SNAPSHOT = "targetSnapshot"


class Planned(_Fact, frozen=True, kw_only=True):
    """The migration was accepted. Nothing was touched so far."""

    request: WarmMigrationRequest
    user: str
    plan: MigrationPlan


class SourceChanged(_Fact, frozen=True, kw_only=True):
    """Interfaces, drives or rules of start of the source were changed since the plan; the target has the same now, and the plan, too."""

    change: SourceChange


class PhaseChanged(_Fact, frozen=True, kw_only=True):
    """The migration went on to another phase."""

    phase: Phase


class WaitingChanged(_Fact, frozen=True, kw_only=True):
    """It began, or ceased, to wait for something."""

    waiting_for: WaitingFor
    reason: str = ""


class Warned(_Fact, frozen=True, kw_only=True):
    """Something the operator should know, that stopped nothing (R12)."""

    warning: Warning_


class EpochBegun(_Fact, frozen=True, kw_only=True):
    """A server takes the migration up, the first time or after another process had it; ``key`` is about to be put on the source (R16)."""

    epoch: int
    key: str


class DoorReleased(_Fact, frozen=True, kw_only=True):
    """Our key is off the source."""


class CancelAsked(_Fact, frozen=True, kw_only=True):
    """Somebody asked for a stop. ``drop`` the copy, keep it, or (None) do as the request said."""

    drop: bool | None = None


class PauseAsked(_Fact, frozen=True, kw_only=True):
    """Somebody asked for a pause: no disk shall be attached."""


class Paused(_Fact, frozen=True, kw_only=True):
    """No disk is attached for this migration any more."""


class ResumeAsked(_Fact, frozen=True, kw_only=True):
    """Somebody asked to go on."""


class CutoverAsked(_Fact, frozen=True, kw_only=True):
    """Somebody said that it shall cut over as soon as it pays. ``passes``: how many were taken until then."""

    passes: int


class RollbackAsked(_Fact, frozen=True, kw_only=True):
    """Somebody wants the source back although the target was started; what the target wrote is lost."""


class CommitAsked(_Fact, frozen=True, kw_only=True):
    """Somebody said that the source may be settled."""


class TaskForgotten(_Fact, frozen=True, kw_only=True):
    """Somebody took the migration, which has ended, off the list of tasks. It stays among the migrations."""


class EffectIntended(_Fact, frozen=True, kw_only=True):
    """An object is about to be made. ``subject``: the source disk it is for, or the source VM; ``tag`` finds it again."""

    effect: Effect
    subject: str
    tag: str


class TrackingBegun(_Fact, frozen=True, kw_only=True):
    """Changed block tracking of a source disk is off, and about to be turned on (R5)."""

    disk: str


class TrackingEnded(_Fact, frozen=True, kw_only=True):
    """It is off again, or could not be turned on."""

    disk: str


class EffectFailed(_Fact, frozen=True, kw_only=True):
    """What was intended was refused, and nothing was made."""

    effect: Effect
    subject: str


class CopyAdopted(_Fact, frozen=True, kw_only=True):
    """An earlier attempt's disks serve this one, those with a base from that base on."""

    earlier: str
    disks: list[KeptDisk]


class TargetVmCreated(_Fact, frozen=True, kw_only=True):
    """The target stands, blocked with these texts."""

    vm: str
    blocked: dict[str, str]


class TargetDiskCreated(_Fact, frozen=True, kw_only=True):
    """An empty disk stands on the target."""

    disk: str
    vdi: str
    sr: str


class TargetPrepared(_Fact, frozen=True, kw_only=True):
    """The target has all of its disks, drives and interfaces."""


class SnapshotTaken(_Fact, frozen=True, kw_only=True):
    """A disk of the source was frozen."""

    disk: str
    snapshot: str
    number: int  # of the pass


class SnapshotDestroyed(_Fact, frozen=True, kw_only=True):
    """A snapshot of ours is gone."""

    snapshot: str


class PassStarted(_Fact, frozen=True, kw_only=True):
    """A pass is about to move its first byte.

    ``snapshot_seconds``: what taking its snapshots, and looking before, took. ``life``: that of the VM from before the first of them to
    after the last; None where it is not known to be one.
    """

    plan: PassPlan
    snapshot_seconds: float = 0.0
    life: Life | None = None


class DiskCopied(_Fact, frozen=True, kw_only=True):
    """A disk's part of a pass ended, complete or not."""

    number: int  # of the pass
    report: DiskPassReport


class DiskReplaced(_Fact, frozen=True, kw_only=True):
    """An old writer does not let go of a target disk: a clone of it serves from here on (R16)."""

    disk: str
    vdi: str
    old_vdi: str


class TargetFrozen(_Fact, frozen=True, kw_only=True):
    """A target disk was snapshotted before the cutover, as pass ``number`` left it: the way back (R17)."""

    disk: str
    snapshot: str
    number: int


class TargetThawed(_Fact, frozen=True, kw_only=True):
    """Such a snapshot is gone."""

    snapshot: str


class DiskReverted(_Fact, frozen=True, kw_only=True):
    """A clone of what was frozen took the place of a disk that the target wrote to: it holds what its base holds."""

    disk: str
    vdi: str


class BaseVoided(_Fact, frozen=True, kw_only=True):
    """The target disk is no copy of its base any more, so its next pass is a full one (R17, R18)."""

    disk: str
    reason: str


class PassFinished(_Fact, frozen=True, kw_only=True):
    """A pass ended, complete or not."""

    report: PassReport


class FinalReadBack(_Fact, frozen=True, kw_only=True):
    """What the final pass wrote was read from the target, and is what was sent. By source disk."""

    disks: dict[str, ReadBack]


class Decision(StrEnum):
    """What follows a complete pass."""

    PASS_AGAIN = "passAgain"
    CUT_OVER = "cutOver"
    HOLD = "hold"


class Decided(_Fact, frozen=True, kw_only=True):
    """What was decided after a pass, and why."""

    decision: Decision
    reason: str
    predicted_downtime_seconds: float | None


class SourceBlocking(_Fact, frozen=True, kw_only=True):
    """The source is about to be blocked with ``operations``; ``before`` stood there (R1)."""

    operations: dict[str, str]
    before: dict[str, str]


class SourceUnblocked(_Fact, frozen=True, kw_only=True):
    """Our blocks are off a source that was not asked to shut down yet."""


class ShutdownAsked(_Fact, frozen=True, kw_only=True):
    """The source is about to be asked to shut down: the downtime begins."""


class SourceHalted(_Fact, frozen=True, kw_only=True):
    """The source was seen Halted after our asking. ``clean`` is False when it was powered off."""

    clean: bool


class TargetStarted(_Fact, frozen=True, kw_only=True):
    """The target was seen running."""


class DowntimeMeasured(_Fact, frozen=True, kw_only=True):
    """How long neither ran."""

    downtime: Downtime


class TargetBooted(_Fact, frozen=True, kw_only=True):
    """The target was seen to have booted."""


class CheckFailed(_Fact, frozen=True, kw_only=True):
    """The boot was not seen in time. ``running``: the target runs all the same."""

    running: bool
    error: dict[str, object]


class TargetReleased(_Fact, frozen=True, kw_only=True):
    """Our blocks are off the target: it may be started by anybody."""


class SourceDeleting(_Fact, frozen=True, kw_only=True):
    """Nothing forbids it: the source and the disks of the plan are about to be destroyed (R2)."""


class SourceDeleted(_Fact, frozen=True, kw_only=True):
    """The source and the disks of the plan are gone (R2)."""


class SourceStarting(_Fact, frozen=True, kw_only=True):
    """Roll-back is about to start the source again; the target was seen halted (R5)."""


class SourceStarted(_Fact, frozen=True, kw_only=True):
    """Roll-back, or the watch over a shutdown that was given up, started the source again (R5, R7)."""


class SourceRestored(_Fact, frozen=True, kw_only=True):
    """Our blocks are off the source, and what stood there before is back."""


class LateHaltWatched(_Fact, frozen=True, kw_only=True):
    """A shutdown was given up; the source may still halt, and is then started again (R7). ``on`` False: the watch ended."""

    on: bool


class CopyKept(_Fact, frozen=True, kw_only=True):
    """What was copied stays for the next attempt (R6), until ``until`` (seconds since the epoch)."""

    disks: list[KeptDisk]
    until: float | None = None


class CopyReleased(_Fact, frozen=True, kw_only=True):
    """The kept copy is not this migration's any more: ``to`` took it over, or it was removed, or somebody took it ``in_use``."""

    to: str | None
    in_use: bool = False


class TargetDiskDestroyed(_Fact, frozen=True, kw_only=True):
    """A disk of ours on the target is gone."""

    vdi: str


class TargetDiscarded(_Fact, frozen=True, kw_only=True):
    """The target VM is gone."""


class LeftBehind(_Fact, frozen=True, kw_only=True):
    """Objects of ours could not be removed; the next attempt tries again. Replaces what was said before."""

    objects: list[Leftover]


class Failed(_Fact, frozen=True, kw_only=True):
    """Why the migration does not succeed: an error's dictionary, with its class under ``type``."""

    error: dict[str, object]


class PoolTaskShown(_Fact, frozen=True, kw_only=True):
    """A pool shows the migration as a task of its own; one that it showed before is lost."""

    pool: str
    task: str


class PoolTaskDropped(_Fact, frozen=True, kw_only=True):
    """It does so no more, or what it shows is left to a sweep."""

    pool: str


CourseFact = (
    Planned
    | SourceChanged
    | EpochBegun
    | DoorReleased
    | PhaseChanged
    | WaitingChanged
    | Warned
    | Failed
    | Decided
    | LateHaltWatched
)
PoolTaskFact = PoolTaskShown | PoolTaskDropped
SteeringFact = (
    CancelAsked | PauseAsked | Paused | ResumeAsked | CutoverAsked | RollbackAsked | CommitAsked | TaskForgotten
)
CopyFact = (
    EffectIntended
    | EffectFailed
    | CopyAdopted
    | TargetVmCreated
    | TargetDiskCreated
    | TargetPrepared
    | DiskReplaced
    | DiskReverted
    | TargetFrozen
    | TargetThawed
    | BaseVoided
)
PassFact = (
    TrackingBegun
    | TrackingEnded
    | SnapshotTaken
    | SnapshotDestroyed
    | PassStarted
    | DiskCopied
    | PassFinished
    | FinalReadBack
)
CutoverFact = (
    SourceBlocking
    | SourceUnblocked
    | ShutdownAsked
    | SourceHalted
    | TargetStarted
    | DowntimeMeasured
    | TargetBooted
    | CheckFailed
    | TargetReleased
    | SourceDeleting
    | SourceDeleted
)
UndoFact = (
    SourceStarting
    | SourceStarted
    | SourceRestored
    | CopyKept
    | CopyReleased
    | TargetDiskDestroyed
    | TargetDiscarded
    | LeftBehind
)

Event = CourseFact | PoolTaskFact | SteeringFact | CopyFact | PassFact | CutoverFact | UndoFact


class RecordedEvent(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A fact in its place: the ``number``-th of its migration, from 1; ``time`` in seconds since the epoch."""

    migration: str
    number: int
    time: float
    event: Event
