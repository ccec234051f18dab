"""What a pool's licence and a session's account allow. After ocaml/xapi/pool_features.ml and ocaml/xapi/rbac.ml of xapi."""

from typing import TYPE_CHECKING, Final

from xo_warmig.simulator.failure import XapiFailure

if TYPE_CHECKING:
    from xo_warmig.simulator.dispatch import Call
    from xo_warmig.simulator.pool import SimPool

_RESTRICTIONS: Final = {
    "VIF_locking": "restrict_vif_locking",
    "PCI_device_for_auto_update": "restrict_pci_device_for_auto_update",
    "Guest_ip_setting": "restrict_guest_ip_setting",
    "Nested_virt": "restrict_nested_virt",
}


def assert_enabled(pool: "SimPool", feature: str) -> None:
    """LICENCE_RESTRICTION with the feature's name, where the pool's restrictions say that it is not for this pool."""
    restrictions = pool.db.row("pool", pool.pool_ref)["restrictions"]
    if restrictions.get(_RESTRICTIONS[feature]) == "true":
        raise XapiFailure("LICENCE_RESTRICTION", feature)


def assert_local_root(call: "Call", permission: str) -> None:
    """What no role is enough for: RBAC_PERMISSION_DENIED but for root of the hosts."""
    if not call.pool.db.row("session", call.session)["is_local_superuser"]:
        raise XapiFailure("RBAC_PERMISSION_DENIED", permission, "No permission in user session")
