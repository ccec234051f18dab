"""The addresses that a pool has a guest's tools set for its interfaces.

``VIF.create`` takes none, and they are set through tools that say they can (``feature-static-ip-setting``), so a target has them only
once it runs: ocaml/xapi/xapi_vif.ml of xapi (configure_ipv4, assert_has_feature_static_ip_setting).
"""

from typing import Any

from xo_warmig.model.vm import Vif, Vm
from xo_warmig.xapi import objects
from xo_warmig.xapi.connection import Calls
from xo_warmig.xapi.records import vif_from

_FAMILIES = ("ipv4", "ipv6")


async def set_guest_addresses(calls: Calls, vm: str, source: Vm) -> None:
    """As on the source, where they are not so already.

    Raises NoSuchObject; PoolError: VM_LACKS_FEATURE while the tools were not seen to be able to, LICENCE_RESTRICTION.
    """
    wanted = {vif.device: vif for vif in source.vifs if vif.is_addressed}
    if not wanted:
        return
    vm_ref = await objects.ref_of(calls, "VM", vm)
    for ref in await calls.call("VM.get_VIFs", vm_ref):
        record = await calls.call("VIF.get_record", ref)
        if record["device"] in wanted:
            await _configure(calls, ref, wanted[record["device"]], vif_from(record, {}))


async def _configure(calls: Calls, ref: str, wanted: Vif, now: Vif) -> None:
    for family in _FAMILIES:
        address: Any = getattr(wanted, family)
        if address.mode != "None" and address != getattr(now, family):
            await calls.call(f"VIF.configure_{family}", ref, address.mode, address.address, address.gateway)
