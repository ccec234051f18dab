"""What the licence of a pool allows: ``LICENCE_RESTRICTION`` where a feature is restricted (ocaml/xapi/pool_features.ml)."""

from typing import TYPE_CHECKING

from xo_warmig.simulator.failure import XapiFailure
from xo_warmig.simulator.host_facts import restrictions

if TYPE_CHECKING:
    from xo_warmig.simulator.pool import SimPool


def require(pool: "SimPool", feature: str) -> None:
    """``feature`` as xapi's own list of them spells it: ``VM_start``. Nothing in a release that does not restrict it yet."""
    key = f"restrict_{_KEYS.get(feature, feature.lower())}"
    if key not in restrictions(pool.release):
        return
    if pool.db.row("pool", pool.pool_ref)["restrictions"].get(key) != "false":
        raise XapiFailure("LICENCE_RESTRICTION", feature)


_KEYS = {"Live_set_vcpus": "set_vcpus_number_live", "Storage_motion": "storage_xen_motion"}
