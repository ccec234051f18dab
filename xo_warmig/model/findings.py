"""What a look at a VM and its way says before anything is touched: findings, and the plan as people see it. Values only."""

from enum import StrEnum
from typing import Any

import msgspec

from xo_warmig.model.estimates import Estimate
from xo_warmig.model.rates import RateTable


class Severity(StrEnum):
    """An error stops the migration, a warning does not, an info is good to know."""

    ERROR = "error"
    WARNING = "warning"
    INFO = "info"


class Finding(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Something found. ``object``: the uuid of what it is about. ``needs_force``: a warning that stops the migration without ``force``."""

    code: str
    severity: Severity
    object: str
    message: str
    remedy: str = ""
    evidence: dict[str, Any] = {}
    needs_force: bool = False


class PlannedDisk(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A disk and its way. ``first_pass_bytes`` is an estimate from what is allocated, None where nothing tells.

    ``reused``: an earlier attempt's copy serves, so that the first pass is a delta; ``reason`` says why it does, or does not.
    ``way``: how the first pass reads it, because of ``way_reason``: "vhd", a full VHD export; "vhdDelta", one against a base; "nbd", what
    the table of a full one lists, over NBD (of a qcow2 export where no VHD can hold the disk; without that, all of it); "cbt", what was
    tracked as changed, over NBD.
    """

    disk: str
    device: str
    name_label: str
    virtual_size_bytes: int
    source_sr: str
    target_sr: str
    target_sr_name: str
    way: str
    way_reason: str
    reused: bool
    first_pass_bytes: int | None
    reason: str


class PlannedVif(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """An interface and its network. ``network`` is None when none matches.

    ``mac``: the source's address. ``target_mac``: the target's, "" when its pool makes a new one.
    """

    vif: str
    device: str
    mac: str
    target_mac: str
    network: str | None
    network_name: str
    reason: str


class LimitOf(StrEnum):
    """Whose limit it is."""

    MIGRATION = "migration"
    SOURCE = "sourcePool"
    TARGET = "targetPool"


class PlannedLimit(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """How fast copies may go: ``bytes_per_second`` now (None: as fast as they can), ``table`` over the day.

    ``name`` of the pool, empty for the migration's own; ``final_pass``: it holds in the downtime too.
    """

    of: LimitOf
    name: str
    bytes_per_second: int | None
    table: RateTable
    final_pass: bool


class PlanReport(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """What ``warmMigration.plan`` answers. ``possible`` is False when a finding is an error."""

    vm: str
    vm_name: str
    source_pool: str
    source_pool_name: str
    target_pool: str
    target_pool_name: str
    sr: str
    possible: bool
    disks: list[PlannedDisk]
    vifs: list[PlannedVif]
    findings: list[Finding]
    first_pass_bytes: int | None
    limits: list[PlannedLimit] = []
    estimate: Estimate | None = None


class OurObject(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """An object on a pool that carries our own tags. ``migration``: whose it says to be."""

    pool: str
    pool_name: str
    kind: str  # vm, vdi, snapshot, task
    uuid: str
    name_label: str
    migration: str
    role: str
    size_bytes: int | None = None


class SweptObject(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A leftover, and what became of it: ``removed``, or ``why`` it stays."""

    object: OurObject
    removed: bool
    why: str = ""


class SweepReport(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """What ``warmMigration.sweep`` answers. ``not_asked``: pools that were not connected, by name."""

    objects: list[SweptObject]
    not_asked: list[str]
