"""simulate: its options become a site."""

import pytest
from click.testing import CliRunner

from xo_warmig.cli import main
from xo_warmig.cli.simulate import site_config
from xo_warmig.cli.vm_spec import parse_vm
from xo_warmig.simulator.site import DiskConfig, GuestConfig

MIB = 1 << 20
GIB = 1 << 30


def test_a_vm_in_a_line() -> None:
    """Every key has its member."""
    vm = parse_vm(
        "name=db,memory=2G,vcpus=4,vifs=2,disk=20G:2G,disk=8G,power=halted,firmware=uefi,tools=no,"
        "guest=blocks,rate=20M,cluster=128K,span=1G,disks=0+1,seed=7"
    )
    assert (vm.name_label, vm.memory_bytes, vm.vcpus, vm.vifs) == ("db", 2 * GIB, 4, 2)
    assert (vm.power_state, vm.firmware, vm.tools) == ("Halted", "uefi", False)
    assert vm.disks == [DiskConfig(size_bytes=20 * GIB, allocated_bytes=2 * GIB), DiskConfig(size_bytes=8 * GIB)]
    assert vm.guest == GuestConfig(kind="blocks", rate=20 * MIB, cluster=128 << 10, span=GIB, disks=[0, 1], seed=7)


@pytest.mark.parametrize(
    "text", ["db", "colour=red", "power=on", "disk=x", "vcpus=two", "image=/no/such/file", "tools=maybe"]
)
def test_a_wrong_vm_names_the_key(text: str) -> None:
    """So that it can be found in a long line."""
    with pytest.raises(ValueError, match=text.split("=")[0]):
        parse_vm(text)


@pytest.mark.parametrize(("prefer", "formats"), [(False, ["vhd", "qcow2"]), (True, ["qcow2", "vhd"])])
def test_pools_are_intel_and_amd_in_turn(prefer: bool, formats: list[str]) -> None:
    """So that no running VM can move between neighbours. An old release has no qcow2."""
    site = site_config(
        pools=3,
        hosts=1,
        directory=None,
        seed=5,
        https=True,
        bandwidth=7,
        latency=20.0,
        nbd="insecure_nbd",
        delays={"attach": 0.4},
        releases=("6.5", "8.3"),
        sr_type="nfs",
        sr_size=GIB,
        qcow2=True,
        prefer_qcow2=prefer,
        vms=(parse_vm("name=db"),),
    )
    assert [pool.cpu_vendor for pool in site.pools] == ["GenuineIntel", "AuthenticAMD", "GenuineIntel"]
    assert [[vm.name_label for vm in pool.vms] for pool in site.pools] == [["db"], [], []]
    assert [pool.release for pool in site.pools] == ["6.5", "8.3", "8.3"]
    assert {pool.sr_type for pool in site.pools} == {"nfs"}
    assert len({pool.seed for pool in site.pools}) == 3
    assert all((pool.https, pool.bandwidth, pool.sr_size_bytes) == (True, 7, GIB) for pool in site.pools)
    assert [pool.image_formats for pool in site.pools] == [["vhd"], formats, formats]
    assert all((pool.latency_seconds, pool.nbd_purpose) == (0.02, "insecure_nbd") for pool in site.pools)


@pytest.mark.parametrize(
    "option",
    [
        "--delays=attch=1",
        "--bandwidth=fast",
        "--vm=colour=red",
        "--release=5.0",
        "--pools=0",
        "--latency=-1",
        "--nbd=tls",
    ],
)
def test_a_wrong_option_is_a_usage_error(option: str) -> None:
    """Exit code 2, naming the option; nothing is started."""
    result = CliRunner().invoke(main, ["simulate", option])
    assert result.exit_code == 2
    assert option.split("=")[0] in result.stderr


@pytest.mark.parametrize(("disk", "options", "told"), [("3000G", [], "--qcow2"), ("17T", ["--qcow2"], "16384 GiB")])
def test_a_disk_that_no_storage_makes_is_refused_in_words(disk: str, options: list[str], told: str) -> None:
    """Before a pool is begun, whose end would be a traceback."""
    result = CliRunner().invoke(main, ["simulate", "--for", "0", "--vm", f"name=db,disk={disk}:1M", *options])
    assert result.exit_code == 2
    assert told in result.output
