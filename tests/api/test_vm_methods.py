"""``vm.*``: what XO's clients do to a VM by hand."""

from typing import Any

import pytest

from xo_warmig.errors import ForbiddenOperation, PoolError
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
    assert vms.orders == [("start", "v", "h", False), ("start", "v", None, True), ("stop", "v", False)]


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
