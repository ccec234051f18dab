"""What a pool's licence and a session's account allow. After ocaml/xapi/pool_features.ml and ocaml/xapi/rbac.ml of xapi."""

from typing import TYPE_CHECKING, Final

from xo_warmig.simulator.failure import XapiFailure
from xo_warmig.simulator.host_facts import restrictions

if TYPE_CHECKING:
    from xo_warmig.simulator.dispatch import Call
    from xo_warmig.simulator.pool import SimPool

_RESTRICTIONS: Final = {
    "CBT": "restrict_cbt",
    "Checkpoint": "restrict_checkpoint",
    "Guest_ip_setting": "restrict_guest_ip_setting",
    "Live_set_vcpus": "restrict_set_vcpus_number_live",
    "Nested_virt": "restrict_nested_virt",
    "PCI_device_for_auto_update": "restrict_pci_device_for_auto_update",
    "Storage_motion": "restrict_storage_xen_motion",
    "VIF_locking": "restrict_vif_locking",
    "VM_start": "restrict_vm_start",
    "Xen_motion": "restrict_xen_motion",
}


def assert_enabled(pool: "SimPool", feature: str) -> None:
    """LICENCE_RESTRICTION with the feature's name, where the pool's restrictions say that it is not for this pool.

    Nothing in a release that does not restrict it yet; in one that does, the pool has to say that it is not restricted.
    """
    key = _RESTRICTIONS[feature]
    said = pool.db.row("pool", pool.pool_ref)["restrictions"]
    if key in restrictions(pool.release) and said.get(key) != "false":
        raise XapiFailure("LICENCE_RESTRICTION", feature)


def assert_local_root(call: "Call", permission: str) -> None:
    """What no role is enough for: RBAC_PERMISSION_DENIED but for root of the hosts."""
    if not call.pool.db.row("session", call.session)["is_local_superuser"]:
        raise XapiFailure("RBAC_PERMISSION_DENIED", permission, "No permission in user session")
