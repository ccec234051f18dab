"""What may be seen of a migration: the consistent report that the API, the command line and the pages all show."""

import msgspec

from xo_warmig.model.passes import PassKind, PassReport, Way
from xo_warmig.model.phases import Phase, Stage, WaitingFor
from xo_warmig.model.requests import WarmMigrationRequest


class DowntimePart(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A named part of the downtime, in seconds."""

    name: str  # shutdown, check, snapshot, open, transfer, confirm, readBack, state, verify, start
    seconds: float


class Downtime(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """From asking the source to shut down to the target running."""

    seconds: float
    parts: list[DowntimePart]


class DiskProgress(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A disk in the pass that runs now. ``total_bytes`` is an estimate until the stream's table was read.

    ``way``: how it is read, as the pass began, because of ``way_reason``.
    """

    disk: str
    target_vdi: str | None
    name_label: str
    device: str
    virtual_size_bytes: int
    done_bytes: int
    total_bytes: int
    bytes_per_second: float
    way: Way | None = None
    way_reason: str = ""


class CurrentPass(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """The pass that runs now."""

    number: int
    kind: PassKind
    started: float
    remaining_seconds: float | None
    disks: list[DiskProgress]


class Warning_(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Something the operator should know, that stopped nothing. ``needs_force``: it had to be accepted with ``force`` (finding_codes)."""

    code: str
    message: str
    evidence: dict[str, object] = {}
    remedy: str = ""
    needs_force: bool = False


class Note(Warning_, frozen=True, kw_only=True, rename="camel"):
    """Something that is good to know, and no more."""


class MigrationReport(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """One migration, as it is now. Times are seconds since the epoch; ``progress`` goes from 0 to 1 and never back."""

    id: str
    vm: str
    vm_name: str
    source_pool: str
    source_pool_name: str
    target_pool: str
    target_pool_name: str
    sr: str
    target_vm: str | None
    request: WarmMigrationRequest
    user: str
    phase: Phase
    stage: Stage
    waiting_for: WaitingFor
    waiting_reason: str = ""
    paused: bool = False
    task_forgotten: bool = False  # it is no longer among the tasks that XO's clients list
    epoch: int = 1  # how many times a server took it up
    cutover_time: float | None = None  # when it is to cut over, if a time was given
    commit_time: float | None = None  # when it commits by itself, once it waits for that
    kept_until: float | None = None  # a failed or cancelled one: until when what it copied is kept for the next attempt
    progress: float
    created: float
    finished: float | None
    current_pass: CurrentPass | None
    passes: list[PassReport]
    predicted_downtime_seconds: float | None
    downtime: Downtime | None
    warnings: list[Warning_]
    error: dict[str, object] | None
