"""SRs, PBDs, networks, hosts and the pool."""

from typing import Any

import pytest

NULL = "OpaqueRef:NULL"
MIB = 1 << 20


def new_sr(make: Any, kind: str = "ext") -> str:
    return str(make.client("SR.create", make.pool.master, {}, "0", "new", "", kind, "", False, {}))


def test_an_sr_is_made_plugged(make: Any, refused: Any) -> None:
    """And takes disks at once; a driver that nobody has is refused."""
    sr = new_sr(make)
    assert make.field("VDI", make.vdi(SR=sr), "SR") == sr
    args: tuple[Any, ...] = (make.pool.master, {}, "0", "new", "", "zfs", "", False, {})
    assert refused(make.client, "SR.create", *args) == ["SR_UNKNOWN_DRIVER", "zfs"]


def test_an_sr_is_destroyed_when_unplugged_and_empty(make: Any, client: Any, refused: Any) -> None:
    """In that order."""
    sr = new_sr(make)
    vdi = make.vdi(SR=sr)
    assert refused(client, "SR.destroy", sr) == ["SR_HAS_PBD", sr]
    pbd = make.field("SR", sr, "PBDs")[0]
    client("PBD.unplug", pbd)
    assert refused(client, "SR.destroy", sr) == ["SR_NOT_EMPTY"]
    assert refused(client, "VDI.create", _record(sr)) == ["SR_NOT_ATTACHED", sr]
    client("PBD.plug", pbd)
    client("VDI.destroy", vdi)
    client("PBD.unplug", pbd)
    client("SR.destroy", sr)
    assert not make.pool.db.exists("PBD", pbd)


def test_a_scan_corrects_sizes(make: Any, client: Any) -> None:
    """Of disks that were written to."""
    vdi = make.vdi()
    before = make.field("VDI", vdi, "physical_utilisation")
    make.write(vdi, 0, b"x")
    client("SR.scan", make.sr)
    assert make.field("VDI", vdi, "physical_utilisation") >= before + 2 * MIB


def test_an_sr_in_use_is_not_unplugged(make: Any, client: Any, refused: Any) -> None:
    """The disks that hold it are named."""
    vdi = make.vdi()
    make.running(vdi)
    assert refused(client, "PBD.unplug", make.field("SR", make.sr, "PBDs")[0]) == ["VDI_IN_USE", vdi]


def test_a_host_has_one_pbd_for_an_sr(make: Any, client: Any, refused: Any) -> None:
    """PBD_EXISTS names SR, host and PBD."""
    pbd = make.field("SR", make.sr, "PBDs")[0]
    record = {"host": make.pool.master, "SR": make.sr, "device_config": {}}
    assert refused(client, "PBD.create", record) == ["PBD_EXISTS", make.sr, make.pool.master, pbd]
    assert refused(client, "PBD.destroy", pbd)[0] == "OPERATION_NOT_ALLOWED"


def test_networks_come_and_go(make: Any, client: Any, refused: Any) -> None:
    """Not while anything is connected."""
    network = client("network.create", {"name_label": "n", "other_config": {}})
    vif = make.vif(make.vm(), network=network)
    client("network.destroy", network)
    assert not make.pool.db.exists("VIF", vif)
    assert refused(client, "network.destroy", make.network)[0] == "NETWORK_CONTAINS_PIF"
    vm = make.vm()
    attached = make.vif(vm)
    client("VM.start", vm, False, False)
    assert refused(client, "network.destroy", make.network) == ["NETWORK_CONTAINS_VIF", attached]


def test_purposes_that_do_not_go_together(make: Any, client: Any, refused: Any) -> None:
    """NBD in clear and NBD under TLS."""
    client("network.add_purpose", make.network, "nbd")
    client("network.add_purpose", make.network, "nbd")
    assert make.field("network", make.network, "purpose") == ["nbd"]
    details = refused(client, "network.add_purpose", make.network, "insecure_nbd")
    assert details == ["NETWORK_INCOMPATIBLE_PURPOSES", "insecure_nbd", "nbd"]
    client("network.remove_purpose", make.network, "nbd")
    client("network.add_purpose", make.network, "insecure_nbd")


def test_memory_of_a_host(make: Any, client: Any) -> None:
    """Running VMs take theirs, and give it back."""
    free = client("host.compute_free_memory", make.pool.master)
    vm = make.running()
    metrics = make.field("host", make.pool.master, "metrics")
    assert client("host.compute_free_memory", make.pool.master) <= free - (1 << 30)
    assert make.field("host_metrics", metrics, "memory_free") == client("host.compute_free_memory", make.pool.master)
    client("VM.hard_shutdown", vm)
    assert client("host.compute_free_memory", make.pool.master) == free


def test_a_destination_describes_itself(make: Any, client: Any, refused: Any) -> None:
    """With a session of its own; a network that the host is not on is no way to it."""
    host = make.pool.master
    dest = client("host.migrate_receive", host, make.network, {})
    assert dest["host"] == host
    assert make.pool.sessions.valid(dest["session_id"])
    other = client("network.create", {"name_label": "n", "other_config": {}})
    assert refused(client, "host.migrate_receive", host, other, {}) == ["HOST_CANNOT_ATTACH_NETWORK", host, other]


def test_small_questions(make: Any, client: Any, refused: Any) -> None:
    """That clients ask of hosts and pools."""
    host, pool = make.pool.master, make.pool.pool_ref
    assert client("host.get_servertime", host).endswith("Z")
    assert refused(client, "host.call_plugin", host, "updater.py", "f", {}) == ["XENAPI_MISSING_PLUGIN", "updater.py"]
    assert client("pool.has_extension", pool, "x") is False
    assert make.field("PIF", client("host.get_management_interface", host), "management")
    assert "ext" in client("SR.get_supported_types")
    assert refused(client, "pool.set_default_SR", pool, "OpaqueRef:no") == ["HANDLE_INVALID", "SR", "OpaqueRef:no"]


def test_a_lone_host_cannot_be_evacuated(make: Any, client: Any, refused: Any) -> None:
    """Unless nothing runs on it."""
    assert client("host.assert_can_evacuate", make.pool.master) is None
    vm = make.running()
    assert client("host.get_vms_which_prevent_evacuation", make.pool.master) == {vm: ["NO_HOSTS_AVAILABLE"]}
    assert refused(client, "host.assert_can_evacuate", make.pool.master)[0] == "CANNOT_EVACUATE_HOST"


@pytest.mark.parametrize("affinity", [0, 1])
def test_a_vm_starts_where_it_would_like_to(new_pool: Any, make_on: Any, affinity: int) -> None:
    """If it can; and nowhere when all hosts are disabled."""
    pool = new_pool("two", hosts=2, sr_type="nfs", addresses=["127.0.0.1", "127.0.0.2"])
    make = make_on(pool)
    host = pool.db.refs("host")[affinity]
    vm = make.vm(make.vdi(), affinity=host)
    make.client("VM.start", vm, False, False)
    assert make.field("VM", vm, "resident_on") == host
    make.client("VM.hard_shutdown", vm)
    make.client("host.disable", host)
    assert make.client("VM.get_possible_hosts", vm) == [other for other in pool.db.refs("host") if other != host]


def _record(sr: str) -> dict[str, Any]:
    return {"SR": sr, "virtual_size": "1", "type": "user", "sharable": False, "read_only": False, "other_config": {}}


def test_a_host_that_is_off_cannot_be_master(make: Any, client: Any, refused: Any) -> None:
    """Nor one that gives no sign of life; the master itself stays what it is."""
    db, master = make.pool.db, make.pool.master
    client("pool.designate_new_master", master)
    db.set("host_metrics", db.row("host", master)["metrics"], live=False)
    assert refused(client, "pool.designate_new_master", master) == ["HOST_NOT_LIVE"]
    db.set("host", master, enabled=False)
    assert refused(client, "pool.designate_new_master", master) == ["HOST_DISABLED", master]
    assert make.pool.master == master
