"""Live migration, which stops where the processors differ."""

from typing import Any

INTEL, AMD = "GenuineIntel", "AuthenticAMD"


def test_another_makers_processor_refuses_a_running_vm(
    pool: Any, client: Any, server: Any, new_pool: Any, make_on: Any, refused: Any
) -> None:
    """The destination is asked over its own API; the error names VM, host and reason."""
    make = make_on(new_pool("amd", name="amd", cpu_vendor=AMD))
    vdi = make.vdi()
    vm = make.running(vdi)
    vif = make.vif(vm)
    network = next(ref for ref, row in pool.db.rows("network").items() if row["PIFs"])
    dest = client("host.migrate_receive", pool.master, network, {})
    maps: tuple[dict[str, str], ...] = ({vdi: pool.db.row("pool", pool.pool_ref)["default_SR"]}, {vif: network}, {})
    expected = ["VM_INCOMPATIBLE_WITH_THIS_HOST", vm, pool.master]
    for method in ("VM.assert_can_migrate", "VM.migrate_send"):
        details = refused(make.client, method, vm, dest, True, *maps)
        assert details[:3] == expected
        assert "different vendor" in details[3]
    assert (make.field("VM", vm, "power_state"), make.field("VM", vm, "current_operations")) == ("Running", {})


def test_every_disk_and_interface_needs_a_place(
    pool: Any, client: Any, server: Any, new_pool: Any, make_on: Any, refused: Any
) -> None:
    """VIFs first, then disks; a VM that passes all checks meets the end of what is simulated."""
    make = make_on(new_pool("intel", name="intel", cpu_vendor=INTEL))
    vdi = make.vdi()
    vm = make.running(vdi)
    vif = make.vif(vm)
    network = next(ref for ref, row in pool.db.rows("network").items() if row["PIFs"])
    dest = client("host.migrate_receive", pool.master, network, {})
    assert refused(make.client, "VM.migrate_send", vm, dest, True, {}, {}, {}) == ["VIF_NOT_IN_MAP", vif]
    assert refused(make.client, "VM.migrate_send", vm, dest, True, {}, {vif: network}, {}) == ["VDI_NOT_IN_MAP", vdi]
    maps: tuple[dict[str, str], ...] = ({vdi: "OpaqueRef:sr"}, {vif: network}, {})
    assert make.client("VM.assert_can_migrate", vm, dest, True, *maps) is None
    assert refused(make.client, "VM.migrate_send", vm, dest, True, *maps)[0] == "NOT_IMPLEMENTED"


def test_a_destination_that_does_not_answer(make: Any, client: Any, refused: Any) -> None:
    """Is said to be out of contact."""
    dest = {"host": "OpaqueRef:there", "session_id": "OpaqueRef:s", "master": "http://127.0.0.1:9/"}
    details = refused(client, "VM.migrate_send", make.running(), dest, True, {}, {}, {})
    assert details == ["VM_MIGRATE_CONTACT_REMOTE_SERVICE_FAILED"]


def test_moving_within_the_pool(new_pool: Any, make_on: Any) -> None:
    """The VM and its disks are on the other host then."""
    pool = new_pool("two", hosts=2, sr_type="nfs", addresses=["127.0.0.1", "127.0.0.2"])
    make = make_on(pool)
    vdi = make.vdi()
    first, second = pool.db.refs("host")
    vm = make.vm(vdi, tools=True)
    make.client("VM.start_on", vm, first, False, False)
    make.client("VM.pool_migrate", vm, second, {})
    assert make.field("VM", vm, "resident_on") == second
    assert make.field("VDI", vdi, "sm_config") == {f"host_{second}": "RW"}
