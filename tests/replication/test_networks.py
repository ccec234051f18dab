"""Which network an interface goes to. Never a guess."""

import pytest

from xo_warmig.model.vm import Network, PowerState, Vif, Vm
from xo_warmig.replication.networks import choose_networks

LAN = Network(uuid="net-source", name_label="lan", vlan=7)


def a_vm(network: str = "net-source", known: Network | None = LAN) -> Vm:
    """A VM with one interface."""
    return Vm(
        uuid="vm-1", pool="p", pool_name="p", name_label="web", power_state=PowerState.RUNNING, is_a_template=False,
        is_a_snapshot=False, is_control_domain=False, current_operations=[], blocked_operations={}, tools=True,
        ha_restart_priority="", auto_poweron=False, memory_static_max_bytes=1, other_config={}, disks=[], cd_drives=[],
        vifs=[Vif(uuid="vif-1", device="0", mac="00:16:3e:00:00:01", mtu=1500, network=network)],
        networks={} if known is None else {network: known}, snapshots=[],
    )  # fmt: skip


def net(uuid: str, name: str = "lan", vlan: int | None = 7) -> Network:
    """A network of the target pool."""
    return Network(uuid=uuid, name_label=name, vlan=vlan)


@pytest.mark.parametrize(
    ("networks", "chosen"),
    [
        ([net("a"), net("b", "dmz", 9)], "a"),
        ([net("a"), net("net-source", "renamed", 99)], "net-source"),  # the same uuid comes first
        ([net("a", vlan=8)], None),  # another VLAN
        ([net("a", name="LAN")], None),  # another name
        ([net("a"), net("b")], None),  # two alike: which?
        ([], None),
    ],
)
def test_the_choice(networks: list[Network], chosen: str | None) -> None:
    """Same uuid, else the only one of the same name and VLAN, else refused."""
    found, errors = choose_networks(a_vm(), networks, {})
    assert found == ({} if chosen is None else {"vif-1": chosen})
    assert [error.code for error in errors] == ([] if chosen else ["NO_NETWORK_MATCH"])


def test_no_match_lists_the_choices() -> None:
    """In the evidence and for people, with the interface that needs one."""
    _, (error,) = choose_networks(a_vm(), [net("b", "dmz", 9)], {})
    assert error.evidence["choices"] == [{"uuid": "b", "name_label": "dmz", "vlan": 9}]
    assert error.evidence["vif"] == "vif-1"
    assert error.evidence["instancePath"] == "/mapVifsNetworks"
    assert "'dmz' (b)" in error.message
    assert "mapVifsNetworks" in error.remedy


def test_what_was_asked_for_is_done() -> None:
    """Even where another network would match."""
    found, errors = choose_networks(a_vm(), [net("a"), net("b", "dmz", 9)], {"vif-1": "b"})
    assert found == {"vif-1": "b"}
    assert errors == []


def test_a_network_that_could_not_be_read_matches_by_uuid_only() -> None:
    """There is nothing else to compare."""
    assert choose_networks(a_vm(known=None), [net("net-source")], {})[0] == {"vif-1": "net-source"}
    assert choose_networks(a_vm(known=None), [net("a")], {})[1][0].code == "NO_NETWORK_MATCH"
