"""What was decided before anything was touched, and what is known of a disk on its way. Values only."""

import msgspec

from xo_warmig.model.reports import Warning_
from xo_warmig.model.vm import CdDrive, Life, Network, Vif, Vm


class MigrationPlan(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """One VM's way: the source as it was found, and where each disk and interface goes.

    ``srs`` is by source VDI and ``networks`` by source VIF, all uuids. ``zeroed_srs`` are those whose new VDIs read as zeros (R20).
    ``addresses``: MAC addresses of the target by source VIF, "" for one that its pool makes; a VIF that is not named keeps its own.
    """

    vm: Vm
    source_pool: str
    source_pool_name: str
    target_pool: str
    target_pool_name: str
    srs: dict[str, str]
    networks: dict[str, str]
    zeroed_srs: list[str]
    addresses: dict[str, str] = {}
    warnings: list[Warning_] = []


class SourceChange(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """What a user made of the source's devices and rules of start since the plan, each as it is now.

    ``networks`` and ``addresses`` are the plan's for these VIFs, ``source_networks`` the networks that they are on, by uuid.
    """

    vifs: list[Vif]
    source_networks: dict[str, Network]
    networks: dict[str, str]
    addresses: dict[str, str]
    cd_drives: list[CdDrive]
    ha_restart_priority: str
    auto_poweron: bool


class TargetDisk(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A disk on the target.

    ``written``: a pass was begun on it, so it does not read as zeros any more (R20). ``base``: the source snapshot whose content it
    holds since the last complete pass (R4); until the next complete pass it holds that and parts of later content.
    """

    vdi: str
    sr: str
    written: bool = False
    base: str | None = None


class KeptDisk(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A disk that a failed or cancelled attempt left for the next one (R6), and what its base is bound to (R18).

    ``tracked``: changed block tracking of the source disk is on because of us. ``life``: that of the VM when the base was taken.
    """

    disk: str
    virtual_size_bytes: int
    target: TargetDisk
    tracked: bool = False
    life: Life | None = None


class Leftover(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """An object of ours that could not be removed."""

    pool: str
    kind: str  # vm, vdi, snapshot, or tracking (of the disk with this uuid)
    uuid: str
    why: str
