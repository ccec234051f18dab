"""What a pool's licence allows. After ocaml/xapi/pool_features.ml of xapi."""

from typing import TYPE_CHECKING, Final

from xo_warmig.simulator.failure import XapiFailure
from xo_warmig.simulator.host_facts import restrictions

if TYPE_CHECKING:
    from xo_warmig.simulator.pool import SimPool

_RESTRICTIONS: Final = {
    "CBT": "restrict_cbt",
    "Checkpoint": "restrict_checkpoint",
    "Live_set_vcpus": "restrict_set_vcpus_number_live",
    "Storage_motion": "restrict_storage_xen_motion",
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
