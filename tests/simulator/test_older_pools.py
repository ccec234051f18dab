"""What hosts of older releases did otherwise, on the wire: errors, devices, heads, and the order of an export's answer."""

from pathlib import Path

import pytest

from tests.pools import start_site
from xo_warmig.errors import WarmigError
from xo_warmig.simulator import older_errors
from xo_warmig.simulator.calls import devices, vm_identity
from xo_warmig.simulator.site import PoolConfig, SiteConfig, VmConfig


@pytest.mark.parametrize(
    ("cls", "older"),
    [
        ("VM", ["VM.snapshot", "ref"]),
        ("VDI", ["VDI", "ref"]),
        ("VBD", ["VBD", "ref", "snapshot"]),
        ("SR", ["SR", "ref", "snapshot"]),
    ],
)
def test_an_operation_in_the_way_was_told_without_its_task(cls: str, older: list[str]) -> None:
    """Each class in its own way, before 25.27."""
    details = ["OTHER_OPERATION_IN_PROGRESS", cls, "ref", "snapshot", "task"]
    assert older_errors.as_of("8.2", "VM.start", details) == ["OTHER_OPERATION_IN_PROGRESS", *older]
    assert older_errors.as_of("8.3", "VM.start", details) == details


def test_6_5_tells_of_missing_drivers() -> None:
    """Where later releases tell of a feature that the guest lacks."""
    details = ["VM_LACKS_FEATURE", "vm"]
    assert older_errors.as_of("6.5", "VM.clean_shutdown", details) == ["VM_MISSING_PV_DRIVERS", "vm"]
    assert older_errors.as_of("7.1", "VM.clean_shutdown", details) == details


@pytest.mark.parametrize(("release", "last"), [("6.5", 3), ("7.1", 6), ("8.2", 6), ("8.3", 15)])
def test_interfaces_of_a_release(release: str, last: int) -> None:
    """By the reference, section 4.7."""
    assert devices.last_vif(release) == last


@pytest.mark.parametrize(
    ("release", "named"), [("6.5", {}), ("7.1", {}), ("7.6", {"device-model": "qemu-upstream-compat"})]
)
def test_a_vm_s_platform_names_its_device_model_where_there_are_two(release: str, named: dict[str, str]) -> None:
    """By ocaml/xapi/vm_platform.ml at the releases' tags."""
    vm = {"domain_type": "hvm", "platform": {}, "HVM_boot_params": {"order": "cdn"}}
    assert vm_identity.device_model(vm, release) == named


def test_no_vm_of_an_old_pool_has_uefi(tmp_path: Path) -> None:
    """It came with 8.0."""
    pool = PoolConfig(name="old", release="7.6", vms=[VmConfig(name_label="new", firmware="uefi")])
    with pytest.raises(WarmigError, match="UEFI"), start_site(SiteConfig(pools=[pool], directory=tmp_path)):
        pass
