"""``vm.*``: what XO's clients do to a VM by hand."""

from typing import Any

import pytest
from msgspec import UNSET

from xo_warmig.errors import ForbiddenOperation, PoolError
from xo_warmig.model.phases import Phase
from xo_warmig.model.vm import VmChanges


@pytest.fixture
def vms(site: Any) -> Any:
    site.vms.orders.clear()
    site.vms.refusal = None
    return site.vms


def test_orders_are_passed_on(client: Any, vms: Any) -> None:
    """And answered with true."""
    assert client.call("vm.start", id="v", host="h", bypassMacAddressesCheck=True) is True
    assert client.call("vm.start", id="v", force=True) is True
    assert client.call("vm.stop", id="v") is True
    assert client.call("vm.stop", id="v", force=True) is True
    assert client.call("vm.stop", id="v", forceShutdownDelay=1500, bypassBlockedOperation=True) is True
    assert client.call("vm.restart", id="v") is True
    assert client.call("vm.restart", id="v", force=True, bypassBlockedOperation=False) is True
    assert vms.orders == [
        ("start", "v", "h", False),
        ("start", "v", None, True),
        ("stop", "v", False, 0.0, False),
        ("stop", "v", True, 0.0, True),
        ("stop", "v", False, 1.5, True),
        ("restart", "v", False, False),
        ("restart", "v", True, False),
    ]


@pytest.mark.parametrize("order", ["pause", "unpause", "suspend", "resume"])
def test_power_is_ordered(client: Any, vms: Any, order: str) -> None:
    """By the VM's id, or by XO's other name for it."""
    assert client.call(f"vm.{order}", id="v") is True
    assert client.call(f"vm.{order}", vm="w") is True
    assert vms.orders == [(order, "v"), (order, "w")]


def test_snapshots_and_deletions_are_passed_on(client: Any, vms: Any) -> None:
    """A snapshot's uuid is the answer; ``force`` stands for both of XO's protections, unless they are named."""
    assert client.call("vm.snapshot", id="v", name="n", saveMemory=True) == "snapshot-1"
    assert client.call("vm.delete", id="v") is True
    assert client.call("vm.delete", id="v", deleteDisks=False, force=True) is True
    assert client.call("vm.delete", id="v", force=True, forceBlockedOperation=False) is True
    assert vms.orders == [
        ("snapshot", "v", "n", None, True),
        ("delete", "v", True, False, False),
        ("delete", "v", False, True, True),
        ("delete", "v", True, False, True),
    ]


def test_r2_both_vms_of_a_migration_are_refused_until_it_ends(site: Any, client: Any, vms: Any) -> None:
    """The target that waits to be accepted too; then they are VMs like any other."""
    asked = {"vm": "source", "sr": "s", "startDestinationVm": True, "deleteSourceVm": True}
    id = client.call("warmMigration.start", **asked)
    site.do(lambda: site.engine.move(id, phase=Phase.AWAITING_COMMIT, target_vm="copy"))
    for vm, which in (("source", "source"), ("copy", "target")):
        for method in ("vm.snapshot", "vm.delete"):
            refused = client.error(method, {"id": vm})
            assert (refused["code"], refused["data"]["code"]) == (5, "BEING_MIGRATED")
            assert refused["data"]["reason"] == f"it is the {which} of migration {id}, which is awaiting_commit"
    assert vms.orders == []
    client.call("warmMigration.commit", id=id)
    assert client.call("vm.delete", id="source") is True


def test_what_is_not_given_is_not_changed(client: Any, vms: Any) -> None:
    """A migrated source is unblocked by null; true blocks as XO does."""
    blocked = {"start": None, "start_on": False, "destroy": True, "hard_reboot": "no"}
    assert client.call("vm.set", id="v", name_label="n", blockedOperations=blocked) is True
    expected = {"start": None, "start_on": None, "destroy": "true", "hard_reboot": "no"}
    assert vms.orders == [("change", "v", VmChanges(name_label="n", blocked_operations=expected))]
    assert client.error("vm.set", {"id": "v", "cpus": 2})["code"] == 10


def test_a_guest_without_tools_cannot_be_asked(client: Any, vms: Any) -> None:
    """Which is the parameter's fault, as in XO."""
    vms.refusal = PoolError("no tools", code="VM_MISSING_PV_DRIVERS", evidence={"xapi": ["VM_MISSING_PV_DRIVERS", "r"]})
    refused = client.error("vm.stop", {"id": "v"})
    assert (refused["code"], refused["data"]["errors"][0]["instancePath"]) == (10, "/force")


def test_what_a_migration_blocks_stays_blocked(client: Any, vms: Any) -> None:
    """Code 5, with the rule."""
    vms.refusal = ForbiddenOperation("x", code="BEING_MIGRATED", evidence={"rule": "R1", "operation": "start"})
    refused = client.error("vm.set", {"id": "v", "blockedOperations": {"start": None}})
    assert (refused["code"], refused["data"]["code"]) == (5, "BEING_MIGRATED")


def test_storage_is_scanned_and_renamed(site: Any, client: Any) -> None:
    """By its id, or by XO's other name for it."""
    assert client.call("sr.scan", sr="s") is True
    assert client.call("sr.set", id="s", name_description="") is True
    assert client.error("sr.set", {"id": "s", "name_label": ""})["code"] == 10
    assert site.srs.orders == [("scan", "s"), ("rename", "s", UNSET, "")]


def test_the_values_of_high_availability(client: Any) -> None:
    """As XO lists them."""
    assert client.call("vm.getHaValues") == ["best-effort", "restart", ""]


def test_who_is_connected(client: Any, new_client: Any) -> None:
    """With the user and the end of the token, once they are known."""
    new_client(None)
    by_token = new_client(None)
    by_token.call("session.signIn", token=client.call("token.create"))
    shown = client.call("api.getConnections")
    assert {"user_ip": "127.0.0.1"} in shown
    me = client.call("session.getUser")["id"]
    assert {"user_ip": "127.0.0.1", "user_id": me} in shown
    assert any(each.get("user_id") == me and each.get("expiration", 0) > 1e12 for each in shown)
