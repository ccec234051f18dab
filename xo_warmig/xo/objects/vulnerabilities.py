"""XSA-468: drivers of Windows guests that let any of its users take the guest over."""

from typing import Any, Final

from xo_warmig.xo.objects.records import Record
from xo_warmig.xo.objects.releases import version_of

_WINDOWS: Final = "0002"  # platform.device_id
_PARTS: Final = ("major", "minor", "micro", "build")

# The last version that is open to it, by vendor and driver, from the advisory; the vendors as the drivers write themselves.
_LAST_OPEN: Final = {
    ("Xen_Project", "xencons"): (9, 1, 0, 2),
    ("Xen_Project", "xeniface"): (9, 1, 0, 0),
    ("Xen_Project", "xenbus"): (9, 1, 0, 1),
    ("Amazon_Inc_", "xeniface"): (8, 3, 0),
    ("XenServer", "xeniface"): (9, 1, 12, 93),
    ("XenServer", "xenbus"): (9, 1, 11, 114),
    ("Citrix", "xeniface"): (9, 1, 1, 11),
    ("Citrix", "xenbus"): (9, 1, 2, 14),
    ("XCP_ng", "xencons"): (9, 0, 9048, 9047),
    ("XCP_ng", "xeniface"): (9, 0, 9048, 9047),
    ("XCP_ng", "xenbus"): (9, 0, 9048, 9047),
}


def xsa_468(vm: Record, guest: Record | None) -> Any:
    """False, or an object with the ``reason`` and, where one is known, the ``driver`` and its ``version``."""
    windows = (vm.get("platform") or {}).get("device_id") == _WINDOWS
    if not windows or guest is None or not guest.get("PV_drivers_detected"):
        return False
    known = False
    for driver, text in guest["PV_drivers_version"].items():
        vendor, _, rest = text.partition(" ")
        words = rest.split(" ")
        version, last_open = version_of(words[0]), _LAST_OPEN.get((vendor, driver))
        if driver in _PARTS or version is None or last_open is None:
            continue
        known = True
        if version <= last_open:
            return {"reason": "pv-driver-version-vulnerable", "driver": driver, "version": words[0]}
    return False if known else {"reason": "no-pv-drivers-detected"}
