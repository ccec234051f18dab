"""What is known of one migration. It follows from the facts (``fold``), and nothing else."""

import msgspec

from xo_warmig.model.events import CheckFailed, Decided, EffectIntended, SourceBlocking
from xo_warmig.model.passes import DiskPassReport, PassPlan, PassReport
from xo_warmig.model.phases import Phase, WaitingFor, is_end
from xo_warmig.model.plans import KeptDisk, Leftover, MigrationPlan, TargetDisk
from xo_warmig.model.reports import Downtime, Warning_
from xo_warmig.model.requests import OnFailure, WarmMigrationRequest
from xo_warmig.model.vm import Life, PowerState


class Snapshot(msgspec.Struct, frozen=True, kw_only=True):
    """A snapshot of ours that stands on the source.

    ``taken`` in seconds since the epoch and ``life``, that of the VM then; None when an earlier attempt took it.
    """

    disk: str
    taken: float | None
    life: Life | None = None


class Frozen(msgspec.Struct, frozen=True, kw_only=True):
    """A snapshot of a target disk, as pass ``number`` left it (R17)."""

    snapshot: str
    number: int


class MigrationState(msgspec.Struct, frozen=True, kw_only=True):
    """All that the facts so far say."""

    id: str
    created: float
    request: WarmMigrationRequest
    user: str
    plan: MigrationPlan
    phase: Phase = Phase.PLANNED
    waiting_for: WaitingFor = WaitingFor.NOTHING
    finished: float | None = None
    epoch: int = 0  # of the server that has it; 0 before any took it up
    door_key: str | None = None  # ours, which stands on the source (R16)
    waiting_reason: str = ""
    # What people asked for.
    cancel_asked: bool = False
    drop_asked: bool | None = None
    pause_asked: bool = False
    paused: bool = False  # and nothing is attached
    cutover_asked: int | None = None  # the number of passes at the time
    rollback_asked: bool = False
    commit_asked: bool = False
    task_forgotten: bool = False
    error: dict[str, object] | None = None
    warnings: list[Warning_] = []
    pool_tasks: dict[str, str] = {}  # those that show the migration, by pool
    # What stands on the pools.
    unsettled: list[EffectIntended] = []  # intended, outcome not known
    tracking: list[str] = []  # source disks whose changed block tracking is on because of us
    target_vm: str | None = None
    target_blocked: dict[str, str] = {}
    target_prepared: bool = False
    target_disks: dict[str, TargetDisk] = {}  # by source disk
    snapshots: dict[str, Snapshot] = {}  # by uuid
    frozen: dict[str, Frozen] = {}  # by source disk
    reverted: list[str] = []  # source disks whose copies went back to what was frozen
    # Passes.
    pass_plan: PassPlan | None = None  # of the last pass that was begun
    pass_started: float = 0.0  # seconds since the epoch, when its copies began
    snapshot_seconds: float = 0.0  # what came before that
    copied: dict[str, DiskPassReport] = {}  # by source disk, of the pass that is open
    passes: list[PassReport] = []
    predicted_downtime_seconds: float | None = None
    decision: Decided | None = None
    decided_passes: int = 0  # how many passes there were when it was decided
    # Cutover.
    blocking: SourceBlocking | None = None
    shutdown_asked: float | None = None  # when, in seconds since the epoch: the downtime's begin
    source_halted: bool = False
    start_asked: bool = False
    target_started: bool = False
    booted: float | None = None  # when it was seen
    check_failed: CheckFailed | None = None
    downtime: Downtime | None = None
    target_released: bool = False
    source_deleting: bool = False
    source_deleted: bool = False
    # Undo.
    source_starting: bool = False
    source_started_again: bool = False
    source_restored: bool = False
    late_halt_watched: float | None = None  # since when
    kept_until: float | None = None
    kept: list[KeptDisk] = []
    left: list[Leftover] = []
    given_away: list[str] = []  # what somebody took into use: theirs, although our tags are on it

    @property
    def source_was_running(self) -> bool:
        return self.plan.vm.power_state is PowerState.RUNNING

    @property
    def ended(self) -> bool:
        return is_end(self.phase)

    @property
    def open_pass(self) -> PassPlan | None:
        """The pass that was begun and not judged yet."""
        plan = self.pass_plan
        return plan if plan is not None and plan.number > len(self.passes) else None

    @property
    def base_missing(self) -> bool:
        """Whether a target disk has no base, so that the next pass is a full one for it."""
        return any(disk.base is None for disk in self.target_disks.values())

    @property
    def drops_copy(self) -> bool:
        """Whether a failure or a cancel leaves nothing."""
        return self.request.on_failure is OnFailure.DROP if self.drop_asked is None else self.drop_asked

    @property
    def moved_data(self) -> bool:
        """Whether there is anything copied that a later attempt could want."""
        return any(disk.written for disk in self.target_disks.values())
