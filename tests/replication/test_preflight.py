"""What stands against a migration, and what is told without stopping it."""

from typing import Any

import msgspec
import pytest

from xo_warmig.errors import ForbiddenOperation, IncorrectState, InvalidRequest, NoSuchObject, NotEnoughSpace
from xo_warmig.model.requests import ForceShutdown, ShutdownPolicy, Verify, WarmMigrationRequest
from xo_warmig.model.units import GIB
from xo_warmig.model.vm import CdDrive, Disk, Network, PowerState, StorageRepository, Vif, Vm
from xo_warmig.replication.convergence import ASSUMED_BYTES_PER_SECOND
from xo_warmig.replication.preflight import Preflight, Surroundings, preflight, reserve_bytes

DISK = Disk(
    vdi="disk-0",
    sr="sr-source",
    device="0",
    mode="RW",
    bootable=True,
    unpluggable=True,
    virtual_size_bytes=20 * GIB,
    physical_bytes=5 * GIB,
    name_label="root",
    name_description="",
)
VIF = Vif(uuid="vif-1", device="0", mac="00:16:3e:00:00:01", mtu=1500, network="net-source")
VM = Vm(
    uuid="vm-1",
    pool="pool-source",
    pool_name="source",
    name_label="web",
    power_state=PowerState.RUNNING,
    is_a_template=False,
    is_a_snapshot=False,
    is_control_domain=False,
    current_operations=[],
    blocked_operations={},
    tools=True,
    ha_restart_priority="",
    auto_poweron=False,
    memory_static_max_bytes=GIB,
    other_config={},
    disks=[DISK, msgspec.structs.replace(DISK, vdi="disk-1", device="1")],
    cd_drives=[],
    vifs=[VIF],
    networks={"net-source": Network(uuid="net-source", name_label="lan", vlan=7)},
    snapshots=[],
)
SR = StorageRepository(
    uuid="sr-target",
    name_label="fast",
    type="ext",
    content_type="user",
    physical_size_bytes=1000 * GIB,
    free_bytes=500 * GIB,
    plugged=True,
    shared=False,
    thin=True,
)
REQUEST = WarmMigrationRequest(vm="vm-1", sr="sr-target", start_destination_vm=True, delete_source_vm=False)
NETWORKS = [Network(uuid="net-target", name_label="lan", vlan=7), Network(uuid="net-other", name_label="dmz", vlan=9)]


def look(
    vm: dict[str, Any] | None = None,
    sr: dict[str, Any] | None = None,
    source_sr: dict[str, Any] | None = None,
    networks: list[Network] | None = None,
    there_already: frozenset[str] = frozenset(),
    more_srs: tuple[StorageRepository, ...] = (),
    around_more: dict[str, Any] | None = None,
    against_read_back: str = "",
    **request: Any,
) -> Preflight:
    """A preflight with some things changed."""
    srs = [msgspec.structs.replace(SR, **(sr or {})), *more_srs]
    around = Surroundings(
        target_pool="pool-target",
        target_pool_name="target",
        srs={each.uuid: each for each in srs},
        source_srs={"sr-source": msgspec.structs.replace(SR, **({"uuid": "sr-source"} | (source_sr or {})))},
        networks=NETWORKS if networks is None else networks,
        there_already=there_already,
        **(around_more or {}),
        against_read_back=against_read_back,
    )
    return preflight(msgspec.structs.replace(REQUEST, **request), msgspec.structs.replace(VM, **(vm or {})), around)


def disks(**changes: Any) -> dict[str, Any]:
    """The VM with its first disk changed."""
    return {"disks": [msgspec.structs.replace(DISK, **changes), VM.disks[1]]}


def test_a_plain_vm_gets_a_plan() -> None:
    """Every disk to the SR, every interface to its network."""
    found = look()
    assert found.errors == []
    assert found.warnings == []
    assert found.plan is not None
    assert found.plan.srs == {"disk-0": "sr-target", "disk-1": "sr-target"}
    assert found.plan.networks == {"vif-1": "net-target"}
    assert found.plan.zeroed_srs == ["sr-target"]
    assert found.plan.target_pool_name == "target"


def test_reading_whole_exports_back_in_the_downtime_is_warned_of() -> None:
    """With how long it may take; not where blocks are served, and not of a sample."""
    (warning,) = look(verify=Verify.FULL, against_read_back="no NBD").warnings
    read_bytes = sum(min(disk.virtual_size_bytes, disk.physical_bytes) for disk in VM.disks)
    assert warning.code == "READ_BACK_IN_DOWNTIME"
    assert warning.evidence["predicted_seconds"] == read_bytes / ASSUMED_BYTES_PER_SECOND
    assert look(verify=Verify.FULL).warnings == []
    assert look(verify=Verify.SAMPLE, against_read_back="no NBD").warnings == []


@pytest.mark.parametrize(
    ("vm", "code"),
    [
        ({"is_a_template": True}, "NOT_A_VM"),
        ({"is_a_snapshot": True}, "NOT_A_VM"),
        ({"is_control_domain": True}, "NOT_A_VM"),
        ({"power_state": PowerState.SUSPENDED}, "VM_BAD_POWER_STATE"),
        ({"power_state": PowerState.PAUSED}, "VM_BAD_POWER_STATE"),
        (disks(sharable=True), "DISK_SHARABLE"),
        (disks(other_vms=["vm-2"]), "DISK_SHARED"),
        (disks(on_boot="reset"), "DISK_RESET_ON_BOOT"),
        (disks(chain_depth=26), "CHAIN_TOO_LONG"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_vms_that_cannot_go(vm: dict[str, Any], code: str) -> None:
    """Each with a code of its own, and no plan."""
    found = look(vm)
    assert [error.code for error in found.errors] == [code]
    assert isinstance(found.errors[0], InvalidRequest)
    assert found.plan is None


def test_a_bad_power_state_tells_both() -> None:
    """For XO's own error of that kind."""
    error = look({"power_state": PowerState.SUSPENDED}).errors[0]
    assert error.evidence == {"objectId": "vm-1", "expected": ["Running", "Halted"], "actual": "Suspended"}


@pytest.mark.parametrize(
    ("sr", "code"),
    [
        ({"content_type": "iso", "type": "iso"}, "SR_NOT_WRITABLE"),
        ({"plugged": False}, "SR_NOT_WRITABLE"),
        ({"allows_create": False}, "SR_NOT_WRITABLE"),
        ({"free_bytes": 1 * GIB}, "NO_SPACE"),
        ({"thin": False, "free_bytes": 20 * GIB}, "NO_SPACE"),
    ],
)
def test_srs_that_cannot_take_it(sr: dict[str, Any], code: str) -> None:
    """Told with the path of the parameter, or with the figures."""
    (error,) = look(sr=sr).errors
    assert error.code == code
    assert error.evidence["sr"] == "sr-target"
    if code == "SR_NOT_WRITABLE":
        assert error.evidence["instancePath"] == "/sr"
    else:
        assert isinstance(error, NotEnoughSpace)
        assert error.evidence["needed"] + error.evidence["reserve"] > error.evidence["free"]


@pytest.mark.parametrize(
    ("sr", "fits"),
    [
        ({"thin": True, "free_bytes": 14 * GIB}, True),  # 2 x 5 allocated and 4 in reserve
        ({"thin": True, "free_bytes": 14 * GIB - 1}, False),
        ({"thin": False, "free_bytes": 44 * GIB}, True),  # 2 x 20
        ({"thin": False, "free_bytes": 44 * GIB - 1}, False),
        ({"physical_size_bytes": -1, "free_bytes": -1}, True),  # it does not tell
    ],
)
def test_the_space_needed(sr: dict[str, Any], fits: bool) -> None:
    """What is allocated on thin SRs, all of it on thick ones, and the reserve."""
    assert (look(sr=sr).errors == []) is fits


def test_what_an_earlier_attempt_copied_needs_no_space() -> None:
    """It is there already."""
    assert look(sr={"free_bytes": 9 * GIB}, there_already=frozenset({"disk-0"})).errors == []


def test_a_thick_source_sr_must_hold_the_snapshots() -> None:
    """A running VM's only: a halted one needs none."""
    full = {"thin": False, "free_bytes": 30 * GIB}
    (error,) = look(source_sr=full).errors
    assert error.evidence["sr"] == "sr-source"
    assert look({"power_state": PowerState.HALTED}, source_sr=full).errors == []


def test_the_reserve_is_small_on_small_srs() -> None:
    """One part in a hundred, at most 4 GiB."""
    assert reserve_bytes(msgspec.structs.replace(SR, physical_size_bytes=100 * GIB)) == GIB
    assert reserve_bytes(SR) == 4 * GIB


def test_the_same_sr_is_refused() -> None:
    """The disks are there already; of an SR that both pools have, that one disk stays is enough."""
    (error,) = look(disks(sr="sr-target")).errors
    assert error.code == "SAME_SR"
    assert error.evidence["instancePath"] == "/sr"
    all_there = [msgspec.structs.replace(disk, sr="sr-target") for disk in VM.disks]
    (error,) = look({"disks": all_there, "pool": "pool-target"}).errors
    assert (error.code, error.evidence["disks"]) == ("SAME_SR", ["disk-0", "disk-1"])


def test_disks_of_one_pool_are_brought_together() -> None:
    """One is on the SR already and is copied within it, the other one comes: told, and planned."""
    found = look(disks(sr="sr-target") | {"pool": "pool-target"})
    assert found.plan is not None
    assert found.plan.srs == {"disk-0": "sr-target", "disk-1": "sr-target"}
    (note,) = found.notes
    assert (note.code, note.evidence["disks"]) == ("DISK_STAYS_ON_SR", ["disk-0"])


def test_one_disk_alone_goes_to_another_sr() -> None:
    """The others stay on theirs, in their own pool."""
    there = {"disks": [msgspec.structs.replace(disk, sr="sr-target") for disk in VM.disks], "pool": "pool-target"}
    more = (msgspec.structs.replace(SR, uuid="sr-more"),)
    found = look(there, more_srs=more, map_vdis_srs={"disk-1": "sr-more"})
    assert found.plan is not None
    assert found.plan.srs == {"disk-0": "sr-target", "disk-1": "sr-more"}


def test_an_sr_that_gets_no_disk_is_not_looked_at() -> None:
    """Where every disk is mapped, ``sr`` names no more than the pool."""
    more = (msgspec.structs.replace(SR, uuid="sr-more"),)
    everywhere = {"disk-0": "sr-more", "disk-1": "sr-more"}
    assert look(sr={"plugged": False}, more_srs=more, map_vdis_srs=everywhere).errors == []
    there = {"disks": [msgspec.structs.replace(disk, sr="sr-target") for disk in VM.disks], "pool": "pool-target"}
    assert look(there, more_srs=more, map_vdis_srs=everywhere).errors == []


def test_an_sr_that_is_both_ends_needs_room_for_both() -> None:
    """Its copies and, thick, the snapshots of the disks that it has."""
    there = disks(sr="sr-target") | {"pool": "pool-target"}
    assert look(there, sr={"thin": False, "free_bytes": 65 * GIB}).errors == []
    (error,) = look(there, sr={"thin": False, "free_bytes": 63 * GIB}).errors
    assert (error.code, error.evidence["needed"]) == ("NO_SPACE", 60 * GIB)


def test_an_sr_that_is_both_ends_needs_room_for_snapshots_of_what_was_copied_before() -> None:
    """A retry makes no new copies there, and freezes the disks all the same."""
    there = disks(sr="sr-target") | {"pool": "pool-target"}
    again: dict[str, Any] = {"there_already": frozenset({"disk-0", "disk-1"})}
    (error,) = look(there, sr={"thin": False, "free_bytes": 3 * GIB}, **again).errors
    assert (error.code, error.evidence["sr"]) == ("NO_SPACE", "sr-target")


def test_an_sr_of_the_source_that_is_being_taken_away() -> None:
    """It stops a migration as one of the target does; new disks it need not allow."""
    (error,) = look(source_sr={"current_operations": ["unplug"]}).errors
    assert (error.code, error.evidence["instancePath"]) == ("SR_GOING", "/vm")
    assert look(source_sr={"allowed_operations": ["vdi_destroy"]}).warnings == []


@pytest.mark.parametrize(
    ("current", "allowed", "told"),
    [
        (["scan"], [], ["SR_BUSY"]),
        (["plug"], ["plug"], ["SR_BUSY"]),
        (["vdi_create", "vdi_snapshot"], [], []),
        ([], [], []),
        ([], ["scan", "vdi_create"], []),
        ([], ["scan"], ["SR_BUSY"]),
    ],
)
def test_an_sr_of_the_target_that_lets_no_disk_be_made(current: list[str], allowed: list[str], told: list[str]) -> None:
    """XAPI allows nothing while it scans one; disks that others make are no matter."""
    found = look(sr={"current_operations": current, "allowed_operations": allowed})
    assert [warning.code for warning in found.warnings] == told
    assert found.errors == []


def test_deletion_without_start_is_refused() -> None:
    """The source is destroyed only after the target was seen to boot."""
    (error,) = look(start_destination_vm=False, delete_source_vm=True).errors
    assert error.code == "DELETE_WITHOUT_START"
    assert error.evidence["instancePath"] == "/deleteSourceVm"


def test_a_halted_vm_with_a_long_chain_may_go() -> None:
    """No snapshot is taken of it."""
    assert look(disks(chain_depth=29) | {"power_state": PowerState.HALTED}).errors == []


def test_a_vm_without_disks_may_go() -> None:
    """Its SR is looked at all the same."""
    assert look({"disks": []}).errors == []
    assert [error.code for error in look({"disks": []}, sr={"plugged": False}).errors] == ["SR_NOT_WRITABLE"]


@pytest.mark.parametrize(
    "operation", ["migrate_send", "pool_migrate", "clean_shutdown", "reverting", "checkpoint", "copy"]
)
def test_an_operation_in_progress_that_crosses_ours(operation: str) -> None:
    """Named, with XAPI's own migration first."""
    (error,) = look({"current_operations": ["metadata_export", "snapshot", operation]}).errors
    assert isinstance(error, ForbiddenOperation)
    assert error.evidence["operation"] == operation


def test_a_snapshot_in_progress_is_no_obstacle() -> None:
    """A backup tool's, say."""
    assert look({"current_operations": ["snapshot"]}).errors == []


@pytest.mark.parametrize(
    ("blocked", "changes", "refused"),
    [
        ("clean_shutdown", {}, True),
        ("hard_shutdown", {}, False),
        ("hard_shutdown", {"shutdown": ShutdownPolicy(force=ForceShutdown.ALWAYS)}, True),
        ("destroy", {}, False),
        ("destroy", {"delete_source_vm": True}, True),
        ("start", {}, False),
        ("snapshot", {}, False),
    ],
)
def test_blocked_operations_in_the_way(blocked: str, changes: dict[str, Any], refused: bool) -> None:
    """Refused when the migration needs them; whoever blocked them decides."""
    errors = look({"blocked_operations": {blocked: "by the owner"}}, **changes).errors
    assert [error.code for error in errors] == (["OPERATION_BLOCKED"] if refused else [])
    if refused:
        assert errors[0].evidence["reason"] == "by the owner"


def test_without_tools_the_forced_shutdown_is_what_is_needed() -> None:
    """A clean one is not even asked for."""
    vm = {"tools": False, "blocked_operations": {"clean_shutdown": "no"}}
    assert look(vm).errors == []
    assert [error.code for error in look(vm | {"blocked_operations": {"hard_shutdown": "no"}}).errors] == [
        "OPERATION_BLOCKED"
    ]


def test_a_source_that_another_migration_moved_is_refused() -> None:
    """Halted with our block on its start."""
    vm = {"power_state": PowerState.HALTED, "blocked_operations": {"start": "xo_warmig migration x: moved to VM y"}}
    (error,) = look(vm).errors
    assert isinstance(error, IncorrectState)
    assert error.code == "ALREADY_MIGRATED"


@pytest.mark.parametrize(
    ("vm", "request_", "code"),
    [
        ({"snapshots": ["snap"]}, {"delete_source_vm": True}, "SOURCE_WILL_BE_KEPT"),
        ({"tools": False}, {}, "NO_GUEST_TOOLS"),
        ({"cd_drives": [CdDrive(device="3", inserted_vdi="iso")]}, {}, "CD_STAYS"),
        ({"blocked_operations": {"migrate_send": "no"}}, {}, "OPERATION_BLOCKED_BY_USER"),
    ],
)
def test_warnings(vm: dict[str, Any], request_: dict[str, Any], code: str) -> None:
    """Told, and the plan stands."""
    found = look(vm, **request_)
    assert [warning.code for warning in found.warnings] == [code]
    assert found.plan is not None
    assert found.plan.warnings == found.warnings


def test_disks_go_where_they_are_mapped() -> None:
    """And the rest to the one SR."""
    other = msgspec.structs.replace(SR, uuid="sr-2", reads_as_zero=False)
    found = look(map_vdis_srs={"disk-1": "sr-2"}, more_srs=(other,))
    assert found.plan is not None
    assert found.plan.srs == {"disk-0": "sr-target", "disk-1": "sr-2"}
    assert found.plan.zeroed_srs == ["sr-target"]


def test_errors_of_a_mapped_sr_name_the_map() -> None:
    """The path leads to where it stands in the request."""
    iso = msgspec.structs.replace(SR, uuid="sr-2", content_type="iso")
    (error,) = look(map_vdis_srs={"disk-1": "sr-2"}, more_srs=(iso,)).errors
    assert error.evidence["instancePath"] == "/mapVdisSrs/disk-1"


def test_maps_of_unknown_things_are_refused() -> None:
    """A disk, an SR of another pool, an interface, a network."""
    assert [error.code for error in look(map_vdis_srs={"nothing": "sr-target"}).errors] == ["UNKNOWN_DISK"]
    assert [error.code for error in look(map_vdis_srs={"disk-0": "elsewhere"}).errors] == ["SR_IN_OTHER_POOL"]
    assert [error.code for error in look(map_vifs_networks={"nothing": "net-other"}).errors] == ["UNKNOWN_VIF"]
    (unknown,) = look(map_vifs_networks={"vif-1": "nowhere"}).errors
    assert isinstance(unknown, NoSuchObject)
    assert (unknown.evidence["id"], unknown.evidence["type"]) == ("nowhere", "network")


def test_all_errors_are_found_and_the_most_basic_comes_first() -> None:
    """A request may be wrong in many ways."""
    codes = [error.code for error in look({"is_a_template": True} | disks(sharable=True), sr={"plugged": False}).errors]
    assert codes == ["NOT_A_VM", "SR_NOT_WRITABLE", "DISK_SHARABLE"]
