"""What the licence of the target's pool does not allow of the VM: XAPI refuses it when the target is made, or worse, when it is started."""

from collections.abc import Iterator

from xo_warmig.errors import InvalidRequest
from xo_warmig.model.pools import PoolFacts
from xo_warmig.model.vm import Vm

# The toolstack's version from which the device is nobody's business (ocaml/xapi/xapi_vm.ml of xapi).
_FREE_VENDOR_DEVICE = (24, 14)


def of_licences(vm: Vm, target: PoolFacts) -> Iterator[InvalidRequest]:
    """By the restrictions that the pool names."""
    if _restricts(target, "vif_locking"):
        yield from _locked_interfaces(vm)
    free = target.xapi_version is not None and target.xapi_version >= _FREE_VENDOR_DEVICE
    if vm.build.vendor_device and not free and _restricts(target, "pci_device_for_auto_update"):
        yield InvalidRequest(
            "the VM has the device by which Windows Update finds its drivers, which the licence of the target's pool does not allow",
            code="VENDOR_DEVICE_RESTRICTED",
            evidence={"instancePath": "/vm", "feature": "PCI_device_for_auto_update"},
            remedy="change the licence, or shut the VM down, set its has_vendor_device to false and migrate it so; its drivers are then "
            "updated by hand",
        )
    if vm.build.nested_virt and _restricts(target, "nested_virt"):
        yield InvalidRequest(
            "the VM runs VMs of its own (platform:nested-virt), which the licence of the target's pool does not allow: it would not start",
            code="NESTED_VIRT_RESTRICTED",
            evidence={"instancePath": "/vm", "feature": "Nested_virt"},
            remedy="change the licence, or take nested-virt out of the VM's platform if nothing in the guest needs it",
        )


def _restricts(target: PoolFacts, feature: str) -> bool:
    return target.restrictions.get(f"restrict_{feature}") == "true"


def _locked_interfaces(vm: Vm) -> Iterator[InvalidRequest]:
    for vif in vm.vifs:
        if vif.is_locked:
            yield InvalidRequest(
                f"interface {vif.device} is locked to addresses, which the licence of the target's pool does not allow",
                code="VIF_LOCKING_RESTRICTED",
                evidence={"instancePath": "/vm", "vif": vif.uuid, "locking_mode": vif.locking_mode},
                remedy="set the interface's locking mode to network_default without allowed addresses, or change the licence",
            )
