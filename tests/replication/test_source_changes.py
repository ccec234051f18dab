"""What became of a source's interfaces, drives and rules of start since its plan."""

from typing import Any

import msgspec
import pytest

from tests.replication.test_preflight import NETWORKS, REQUEST, VIF, VM, look
from xo_warmig.errors import WarmigError
from xo_warmig.model.plans import MigrationPlan, SourceChange
from xo_warmig.model.vm import CdDrive, Network, Vif, Vm
from xo_warmig.replication.source_changes import change_of, differs, steps_of, told, with_change

DMZ = {"net-dmz": Network(uuid="net-dmz", name_label="dmz", vlan=9)}
SECOND = msgspec.structs.replace(VIF, uuid="vif-2", device="1", mac="00:16:3e:00:00:02", network="net-dmz")


def plan(**request: Any) -> MigrationPlan:
    """Of the plain VM."""
    found = look(**request).plan
    assert found is not None
    return found


def now(*vifs: Vif, **changes: Any) -> Vm:
    """The VM with these interfaces, on a pool that has a second network."""
    return msgspec.structs.replace(VM, vifs=list(vifs), networks=VM.networks | DMZ, **changes)


def changed(vm: Vm, planned: MigrationPlan, **request: Any) -> tuple[SourceChange, list[WarmigError]]:
    return change_of(planned, vm, NETWORKS, msgspec.structs.replace(REQUEST, **request))


def vif(**changes: Any) -> Vif:
    return msgspec.structs.replace(VIF, **changes)


@pytest.mark.parametrize(
    ("vm", "is_change"),
    [
        (now(VIF), False),
        (now(vif(uuid="vif-9")), False),  # as good as the same
        (now(VIF, name_label="other", other_config={"a": "b"}), False),  # carried elsewhere
        (now(vif(network="net-dmz")), True),
        (now(vif(locking_mode="locked", ipv4_allowed=["192.0.2.1"])), True),
        (now(VIF, SECOND), True),
        (now(), True),
        (now(VIF, cd_drives=[CdDrive(device="3")]), True),
        (now(VIF, ha_restart_priority="restart"), True),
        (now(VIF, auto_poweron=True), True),
    ],
)
def test_what_is_a_change(vm: Vm, is_change: bool) -> None:
    """What the target has to follow."""
    assert differs(plan(), vm) is is_change


def test_a_medium_in_a_drive_is_none() -> None:
    """It does not travel."""
    planned = plan(vm={"cd_drives": [CdDrive(device="3")]})
    assert not differs(planned, now(VIF, cd_drives=[CdDrive(device="3", inserted_vdi="iso")]))


def test_what_is_added_goes_to_the_matching_network() -> None:
    """By the same name and VLAN; all else stays as it is on the target."""
    planned = plan()
    change, errors = changed(now(VIF, SECOND, cd_drives=[CdDrive(device="3")]), planned)
    assert errors == []
    steps = steps_of(planned, change)
    assert (steps.vifs_gone, steps.vifs, [drive.device for drive in steps.drives]) == (
        [],
        [(SECOND, "net-other")],
        ["3"],
    )
    after = with_change(planned, change)
    assert after.networks == {"vif-1": "net-target", "vif-2": "net-other"}
    assert not differs(after, now(VIF, SECOND, cd_drives=[CdDrive(device="3")]))
    assert len(list(told(planned, change))) == 2


def test_what_is_moved_or_locked_is_made_anew() -> None:
    """A moved one on its new network, a locked one on the one that it has."""
    for after, network in ((vif(network="net-dmz"), "net-other"), (vif(locking_mode="locked"), "net-target")):
        planned = plan()
        change, errors = changed(now(after), planned)
        assert errors == []
        steps = steps_of(planned, change)
        assert (steps.vifs_gone, steps.vifs) == (["0"], [(after, network)])


def test_what_is_removed_goes() -> None:
    """Interface and drive."""
    planned = plan(vm={"cd_drives": [CdDrive(device="3")]})
    change, _ = changed(now(), planned)
    assert steps_of(planned, change) == (["0"], ["3"], [], [])
    assert with_change(planned, change).networks == {}


def test_a_network_is_never_guessed() -> None:
    """No match, or a map that was made for where it was before (R12)."""
    nowhere = Network(uuid="net-new", name_label="new", vlan=None)
    vm = msgspec.structs.replace(now(vif(network="net-new")), networks={"net-new": nowhere})
    _, (error,) = changed(vm, plan())
    assert error.code == "NO_NETWORK_MATCH"
    mapped = {"map_vifs_networks": {"vif-1": "net-target"}}
    _, (error,) = changed(now(vif(network="net-dmz")), plan(**mapped), **mapped)
    assert "mapVifsNetworks" in error.message
    change, errors = changed(now(vif(mtu=9000)), plan(**mapped), **mapped)
    assert (change.networks, errors) == ({"vif-1": "net-target"}, [])


def test_addresses_are_as_asked() -> None:
    """A chosen one stays with its interface; where new ones were asked for, an added interface gets one, too."""
    chosen = {"mac_addresses": {"vif-1": "02:16:3e:00:00:09"}}
    change, _ = changed(now(vif(mtu=9000), SECOND), plan(**chosen), **chosen)
    assert change.addresses == {"vif-1": "02:16:3e:00:00:09", "vif-2": SECOND.mac}
    change, _ = changed(now(VIF, SECOND), plan(mac_addresses="new"), mac_addresses="new")
    assert change.addresses == {"vif-1": "", "vif-2": ""}


def test_rules_of_start_are_those_of_now() -> None:
    """As they will be set on the target once it runs (R13)."""
    planned = plan()
    change, _ = changed(now(VIF, ha_restart_priority="restart", auto_poweron=True), planned)
    vm = with_change(planned, change).vm
    assert (vm.ha_restart_priority, vm.auto_poweron, vm.other_config) == ("restart", True, {"auto_poweron": "true"})
    assert len(list(told(planned, change))) == 2
    back, _ = changed(now(VIF), with_change(planned, change))
    assert with_change(planned, back).vm.other_config == {}
