"""Turning VMs on and off."""

import time
from typing import Any

import pytest

from xo_warmig.simulator import attach
from xo_warmig.simulator.calls import vm_power

NULL = "OpaqueRef:NULL"
GIB = 1 << 30


def test_a_started_vm_is_somewhere(make: Any) -> None:
    """It has a domain, a host, attached devices and processor flags; its disk says who has it."""
    vdi, host = make.vdi(), make.pool.master
    vm = make.vm(vdi)
    vif = make.vif(vm)
    make.client("VM.start", vm, False, False)
    row, vbd = make.pool.db.row("VM", vm), make.pool.db.row("VBD", make.field("VM", vm, "VBDs")[0])
    assert (row["power_state"], row["resident_on"]) == ("Running", host)
    assert row["domid"] > 0
    assert row["last_boot_CPU_flags"]["vendor"] == "GenuineIntel"
    assert row["bios_strings"]["bios-vendor"] == "Xen"
    assert row["generation_id"] != "0:0"
    assert (vbd["currently_attached"], vbd["device"]) == (True, "xvda")
    assert make.field("VIF", vif, "currently_attached")
    assert make.field("VDI", vdi, "sm_config") == {f"host_{host}": "RW"}
    assert make.field("VDI", vdi, "allowed_operations") == ["snapshot", "clone"]


def test_a_halted_vm_is_nowhere(make: Any) -> None:
    """Everything that starting set is unset."""
    vdi = make.vdi()
    vm = make.running(vdi)
    make.client("VM.clean_shutdown", vm)
    row = make.pool.db.row("VM", vm)
    assert (row["power_state"], row["resident_on"], row["domid"]) == ("Halted", NULL, -1)
    assert not make.field("VBD", row["VBDs"][0], "currently_attached")
    assert make.field("VDI", vdi, "sm_config") == {}
    assert make.field("host", make.pool.master, "resident_VMs") == [make.pool.dom0(make.pool.master)]


def test_the_guest_runs_while_the_vm_does(make: Any) -> None:
    """Started, paused and cut off with it."""
    vm = make.running()
    assert make.pool.guests.report(vm)["running"]
    make.client("VM.hard_shutdown", vm)
    assert not make.pool.guests.report(vm)["running"]


def test_two_vms_cannot_run_on_one_disk(make: Any, client: Any, refused: Any) -> None:
    """The second is told which disk it is."""
    vdi = make.vdi()
    make.running(vdi)
    other = make.vm(vdi)
    assert refused(client, "VM.start", other, False, False) == ["VDI_IN_USE", vdi]
    assert make.field("VM", other, "power_state") == "Halted"


def test_a_disk_that_dom0_reads_cannot_be_started_from(make: Any, client: Any, refused: Any) -> None:
    """On the same host that is an illegal transition, and the VM stays as it was."""
    vdi = make.vdi()
    vm = make.vm(vdi)
    with attach.attached(make.pool, vdi, make.pool.master, "RO"):
        code, text = refused(client, "VM.start", vm, False, False)
    assert code == "INTERNAL_ERROR"
    assert "Illegal_transition" in text
    row = make.pool.db.row("VM", vm)
    assert (row["power_state"], row["current_operations"], row["scheduled_to_be_resident_on"]) == ("Halted", {}, NULL)
    client("VM.start", vm, False, False)


def test_a_disk_that_dom0_writes_can_be_started_from(make: Any, client: Any) -> None:
    """On the same host: xapi does not count the control domain's VBDs, and a writer is there already. Who imports has to look."""
    vdi = make.vdi()
    vm = make.vm(vdi)
    with attach.attached(make.pool, vdi, make.pool.master, "RW"):
        client("VM.start", vm, False, False)
        assert make.field("VM", vm, "power_state") == "Running"


def test_memory_must_be_there(make: Any, client: Any, refused: Any) -> None:
    """Needed and available bytes are told."""
    vm = make.vm(
        **{f"memory_{name}": str(512 * GIB) for name in ("static_max", "dynamic_max", "dynamic_min", "static_min")}
    )
    code, needed, available = refused(client, "VM.start", vm, False, False)
    assert code == "HOST_NOT_ENOUGH_FREE_MEMORY"
    assert int(needed) > 512 * GIB > int(available)


def test_a_disabled_host_takes_no_vm(make: Any, client: Any, refused: Any) -> None:
    """Until it is enabled again."""
    vm = make.vm()
    client("host.disable", make.pool.master)
    assert refused(client, "VM.start", vm, False, False) == ["HOST_DISABLED", make.pool.master]
    client("host.enable", make.pool.master)
    client("VM.start", vm, False, False)


def test_an_unreachable_sr_is_named(make: Any, client: Any, refused: Any) -> None:
    """A host without a plugged PBD cannot run the VM."""
    vdi = make.vdi()
    vm = make.vm(vdi)
    for pbd in make.field("SR", make.sr, "PBDs"):
        client("PBD.unplug", pbd)
    assert refused(client, "VM.start", vm, False, False) == ["VM_REQUIRES_SR", vm, make.sr]


def test_cores_must_fit_into_sockets(make: Any, client: Any, refused: Any) -> None:
    """Seen only at the start."""
    vm = make.vm(platform={"cores-per-socket": "3"})
    assert refused(client, "VM.start", vm, False, False) == ["VCPU_MAX_NOT_CORES_PER_SOCKET_MULTIPLE", "2", "3"]


@pytest.mark.parametrize(
    ("release", "details"),
    [
        ("6.5", None),
        ("7.1", ["INVALID_VALUE", "platform:cores-per-socket", "VCPUs_max must be a multiple of this field"]),
        ("8.2", ["INVALID_VALUE", "platform:cores-per-socket", "VCPUs_max must be a multiple of this field"]),
        ("8.3", ["VCPU_MAX_NOT_CORES_PER_SOCKET_MULTIPLE", "2", "3"]),
    ],
)
def test_cores_must_fit_by_release(
    new_pool: Any, make_on: Any, refused: Any, release: str, details: list[str] | None
) -> None:
    """6.5 does not look, and nobody does of a paravirtual guest."""
    make = make_on(new_pool("older", release=release))
    vm = make.vm(platform={"cores-per-socket": "3"})
    if details is None:
        make.client("VM.start", vm, False, False)
    else:
        assert refused(make.client, "VM.start", vm, False, False) == details
    pv = make.vm(platform={"cores-per-socket": "3"}, HVM_boot_policy="", HVM_boot_params={})
    make.client("VM.start", pv, False, False)


@pytest.mark.parametrize(("firmware", "model"), [("uefi", "qemu-trad"), ("bios", "qemu-upstream-uefi")])
def test_a_device_model_must_fit_the_firmware(make: Any, client: Any, refused: Any, firmware: str, model: str) -> None:
    """Seen only at the start."""
    vm = make.vm(platform={"device-model": model}, HVM_boot_params={"firmware": firmware})
    assert refused(client, "VM.start", vm, False, False)[:2] == ["INVALID_VALUE", "platform:device-model"]


def test_a_guest_that_ignores_the_request_is_shut_down_by_force(make: Any, client: Any, refused: Any) -> None:
    """``clean_shutdown`` fails, ``shutdown`` goes on to the hard one."""
    vm = make.running(other_config={"sim:guest": '{"kind": "none", "tools": true, "ignores_shutdown": true}'})
    assert refused(client, "VM.clean_shutdown", vm) == ["VM_FAILED_SHUTDOWN_ACKNOWLEDGMENT", vm]
    assert make.field("VM", vm, "power_state") == "Running"
    client("VM.shutdown", vm)
    assert make.field("VM", vm, "power_state") == "Halted"


def test_force_overtakes_a_clean_shutdown(new_pool: Any, make_on: Any) -> None:
    """Whose caller is told that it was cancelled."""
    pool = new_pool(delays={"guest_shutdown": 1.0})
    make = make_on(pool)
    vm = make.running()
    task = make.client("Async.VM.clean_shutdown", vm)
    _until(lambda: "clean_shutdown" in make.field("VM", vm, "current_operations").values())
    make.client("VM.hard_shutdown", vm)
    assert make.field("VM", vm, "power_state") == "Halted"
    _until(lambda: make.field("task", task, "status") not in ("pending", "cancelling"))
    assert make.field("task", task, "status") == "cancelled"


def test_pause_and_unpause(make: Any, client: Any) -> None:
    """A paused VM keeps its domain and its disks."""
    vm = make.running(make.vdi())
    client("VM.pause", vm)
    assert make.field("VM", vm, "power_state") == "Paused"
    assert make.field("VBD", make.field("VM", vm, "VBDs")[0], "currently_attached")
    client("VM.unpause", vm)
    assert make.field("VM", vm, "power_state") == "Running"


def test_a_reboot_is_a_new_domain(make: Any, client: Any) -> None:
    """On the same host."""
    vm = make.running(make.vdi())
    before = make.field("VM", vm, "domid")
    for method in ("VM.clean_reboot", "VM.hard_reboot"):
        client(method, vm)
        row = make.pool.db.row("VM", vm)
        assert (row["power_state"], row["domid"] > before) == ("Running", True)
        before = row["domid"]


def test_a_guest_that_halts_by_itself_halts_its_vm(make: Any) -> None:
    """Or restarts it, as its actions say; a VM that is halted already is left alone."""
    vm, again = make.running(make.vdi()), make.running(actions_after_shutdown="restart")
    before = make.field("VM", again, "domid")
    vm_power.guest_halted(make.pool, vm)
    vm_power.guest_halted(make.pool, vm)
    vm_power.guest_halted(make.pool, again)
    assert make.field("VM", vm, "power_state") == "Halted"
    assert (make.field("VM", again, "power_state"), make.field("VM", again, "domid") > before) == ("Running", True)


def test_a_live_vm_cannot_be_declared_dead(make: Any, client: Any, refused: Any) -> None:
    """Its host would know better."""
    vm = make.running()
    assert refused(client, "VM.power_state_reset", vm) == ["DOMAIN_EXISTS", vm]


def test_tools_are_seen_after_a_while(make: Any) -> None:
    """Not at once when the guest takes its time, and never for a run that is over."""
    vm = make.running(other_config={"sim:guest": '{"tools": true, "tools_seconds": 0.05}'})
    assert make.field("VM", vm, "guest_metrics") == NULL
    _until(lambda: make.field("VM", vm, "guest_metrics") != NULL)
    guest = make.pool.db.row("VM_guest_metrics", make.field("VM", vm, "guest_metrics"))
    assert guest["PV_drivers_detected"]
    assert guest["other"]["feature-shutdown"] == "1"


def test_start_on_a_host_that_is_none(client: Any, make: Any, refused: Any) -> None:
    """HANDLE_INVALID, and nothing in progress."""
    vm = make.vm()
    assert refused(client, "VM.start_on", vm, "OpaqueRef:nope", False, False) == [
        "HANDLE_INVALID",
        "host",
        "OpaqueRef:nope",
    ]


def _until(condition: Any, seconds: float = 10.0) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.01)
