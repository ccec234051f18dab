"""When a VM lets operations happen."""

from typing import Any

import pytest

from xo_warmig.simulator.calls import lifecycle


@pytest.mark.parametrize(
    ("op", "running", "allowed"),
    [
        ("clone", ["copy", "export"], True),
        ("snapshot", ["checkpoint"], True),
        ("clone", ["snapshot"], False),
        ("hard_shutdown", ["clean_shutdown"], True),
        ("hard_shutdown", ["hard_shutdown"], False),
        ("clean_shutdown", ["migrate_send"], True),
        ("clean_shutdown", ["clean_shutdown"], False),
        ("hard_reboot", ["hard_shutdown"], False),
        ("start", ["snapshot"], False),
    ],
)
def test_what_may_run_side_by_side(op: str, running: list[str], allowed: bool) -> None:
    """Long copies go together, snapshots too, and force goes over everything but itself."""
    assert lifecycle.may_run_beside(op, running) is allowed


@pytest.mark.parametrize(
    ("op", "expected"),
    [("start", "halted"), ("destroy", "halted, suspended"), ("clean_shutdown", "running"), ("unpause", "paused")],
)
def test_wrong_power_state_names_the_right_ones(client: Any, make: Any, refused: Any, op: str, expected: str) -> None:
    """Expected states are lower case and joined by comma and space."""
    vm = make.vm()
    make.pool.db.set("VM", vm, power_state="Running" if expected != "running" else "Paused")
    if op == "unpause":
        make.pool.db.set("VM", vm, power_state="Halted")
    details = refused(client, "VM.assert_operation_valid", vm, op)
    assert details == ["VM_BAD_POWER_STATE", vm, expected, make.field("VM", vm, "power_state").lower()]


def test_a_blocked_operation_is_reported_before_the_power_state(client: Any, make: Any, refused: Any) -> None:
    """Blocked operations are looked at first."""
    vm = make.running()
    client("VM.add_to_blocked_operations", vm, "start", "because")
    assert refused(client, "VM.start", vm, False, False) == ["OPERATION_BLOCKED", vm, "because"]


def test_power_state_is_reported_before_what_is_in_progress(client: Any, make: Any, refused: Any) -> None:
    """Waiting would not help a VM in the wrong state."""
    vm = make.running()
    make.pool.db.set("VM", vm, current_operations={"OpaqueRef:other": "snapshot"})
    assert refused(client, "VM.start", vm, False, False)[0] == "VM_BAD_POWER_STATE"


def test_templates_start_nothing(client: Any, make: Any, refused: Any) -> None:
    """A template is only good for making others of it."""
    vm = make.vm(is_a_template=True)
    assert refused(client, "VM.start", vm, False, False) == ["VM_IS_TEMPLATE", vm, "start"]
    assert {"clone", "copy", "provision", "destroy"} <= set(make.field("VM", vm, "allowed_operations"))


def test_snapshots_allow_little(client: Any, make: Any, refused: Any) -> None:
    """Of a snapshot one can make VMs, go back to it, or remove it."""
    snapshot = client("VM.snapshot", make.vm(make.vdi()), "s")
    assert refused(client, "VM.start", snapshot, False, False) == ["VM_IS_SNAPSHOT", snapshot, "start"]
    allowed = set(make.field("VM", snapshot, "allowed_operations"))
    assert allowed == {"revert", "clone", "copy", "export", "destroy", "metadata_export"}


def test_a_guest_without_tools_cannot_be_asked(client: Any, make: Any, refused: Any) -> None:
    """What needs the guest's help is refused without drivers, and is not listed."""
    vm = make.running(tools=False)
    assert refused(client, "VM.clean_shutdown", vm) == ["VM_LACKS_FEATURE", vm]
    assert {"clean_shutdown", "suspend", "pool_migrate"}.isdisjoint(make.field("VM", vm, "allowed_operations"))
    assert {"hard_shutdown", "snapshot", "pause"} <= set(make.field("VM", vm, "allowed_operations"))


def test_a_guest_with_tools_can_be_asked(make: Any) -> None:
    """As soon as its drivers have been seen."""
    vm = make.running()
    assert {"clean_shutdown", "suspend", "pool_migrate"} <= set(make.field("VM", vm, "allowed_operations"))


def test_the_control_domain_is_left_alone(client: Any, make: Any, refused: Any) -> None:
    """dom0 cannot be shut down through the API."""
    dom0 = make.pool.dom0(make.pool.master)
    assert refused(client, "VM.hard_shutdown", dom0)[0] == "OPERATION_NOT_ALLOWED"


def test_a_disk_that_resets_on_boot_has_no_snapshots(client: Any, make: Any, refused: Any) -> None:
    """What is lost at the next start is not worth one."""
    vdi = make.vdi()
    vm = make.vm(vdi)
    client("VDI.set_on_boot", vdi, "reset")
    assert refused(client, "VM.snapshot", vm, "s") == ["VDI_ON_BOOT_MODE_INCOMPATIBLE_WITH_OPERATION"]


def test_only_templates_are_provisioned_and_only_snapshots_reverted(client: Any, make: Any, refused: Any) -> None:
    """A plain VM is neither."""
    vm = make.vm()
    assert refused(client, "VM.provision", vm) == ["ONLY_PROVISION_TEMPLATE"]
    assert refused(client, "VM.assert_operation_valid", vm, "revert") == ["ONLY_REVERT_SNAPSHOT"]
