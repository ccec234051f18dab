"""What the licence of a pool forbids, feature by feature, and only in releases that restrict the feature."""

from collections.abc import Callable
from typing import Any

import pytest

from tests.simulator.conftest import Client
from xo_warmig.simulator import host_facts
from xo_warmig.simulator.failure import XapiFailure
from xo_warmig.simulator.pool import SimPool
from xo_warmig.simulator.site import VmConfig

NewPool = Callable[..., SimPool]


def asked(new_pool: NewPool, key: str, power_state: str, release: str = "8.3") -> tuple[Client, str]:
    """A client of a pool without that feature, and a VM there."""
    vm = VmConfig(name_label="vm", disks=[], power_state=power_state)
    pool = new_pool(release=release, restrictions={f"restrict_{key}": "true"}, vms=[vm])
    (ref,) = pool.db.find("VM", name_label="vm")
    return Client(pool), ref


@pytest.mark.parametrize(
    ("feature", "key", "power_state", "method", "args"),
    [
        ("VM_start", "vm_start", "Halted", "VM.start", [False, False]),
        ("Checkpoint", "checkpoint", "Running", "VM.checkpoint", ["now"]),
        ("Live_set_vcpus", "set_vcpus_number_live", "Running", "VM.set_VCPUs_number_live", [1]),
        ("Storage_motion", "storage_xen_motion", "Running", "VM.migrate_send", [{}, True, {}, {}, {}]),
    ],
)
def test_a_restricted_feature_is_refused(
    new_pool: NewPool, feature: str, key: str, power_state: str, method: str, args: list[Any]
) -> None:
    """With the name that xapi has for it."""
    client, vm = asked(new_pool, key, power_state)
    with pytest.raises(XapiFailure) as failure:
        client(method, vm, *args)
    assert failure.value.details == ["LICENCE_RESTRICTION", feature]
    assert client("VM.get_power_state", vm) == power_state


def test_a_vm_that_may_not_start_cannot_boot_on_any_host(new_pool: NewPool) -> None:
    """So a client may know before; a running one is not asked about."""
    client, vm = asked(new_pool, "vm_start", "Halted")
    with pytest.raises(XapiFailure) as failure:
        client("VM.assert_can_boot_here", vm, client.host)
    assert failure.value.details == ["LICENCE_RESTRICTION", "VM_start"]


def test_an_older_release_does_not_know_the_restriction(new_pool: NewPool) -> None:
    """Starts are restricted since 8.3."""
    client, vm = asked(new_pool, "vm_start", "Halted", release="8.2")
    client("VM.start", vm, False, False)
    assert client("VM.get_power_state", vm) == "Running"


@pytest.mark.parametrize(
    ("key", "first"),
    [("checkpoint", "6.5"), ("guest_ip_setting", "7.1"), ("vmss", "7.6"), ("cbt", "7.6"), ("vm_start", "8.3")],
)
def test_a_release_tells_of_the_features_it_has(key: str, first: str) -> None:
    """By the tags of xapi: a client must not count on the others."""
    releases = ["6.5", "7.1", "7.6", "8.0", "8.2", "8.3"]
    having = [release for release in releases if f"restrict_{key}" in host_facts.restrictions(release)]
    assert having == releases[releases.index(first) :]
