"""What the drivers of storage repositories can do (SM features), from the pool's SM records. No storage is touched here."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from xo_warmig.simulator.calls.names import names
from xo_warmig.simulator.failure import XapiFailure

if TYPE_CHECKING:
    from xo_warmig.simulator.database import Database, Row

_FILES = frozenset(
    names(
        """SR_PROBE SR_UPDATE THIN_PROVISIONING VDI_ACTIVATE VDI_ATTACH VDI_CLONE VDI_CREATE VDI_DEACTIVATE VDI_DELETE VDI_DETACH
    VDI_CONFIG_CBT VDI_GENERATE_CONFIG VDI_MIRROR VDI_RESIZE VDI_SNAPSHOT"""
    )
)
_IMAGES = frozenset({"SR_ATTACH", "SR_DETACH", "SR_SCAN", "VDI_ATTACH", "VDI_CREATE", "VDI_DELETE", "VDI_DETACH"})
_CHANGING = frozenset({"VDI_UPDATE", "VDI_READ_CACHING", "VDI_RESET_ON_BOOT", "SR_CACHING"})

DRIVERS: Mapping[str, frozenset[str]] = {
    "file": _FILES,
    "ext": _FILES | _CHANGING,
    "nfs": _FILES | _CHANGING,
    "smb": _FILES | _CHANGING,
    "iso": _IMAGES,
    "udev": frozenset({"VDI_ATTACH", "VDI_DETACH", "VDI_INTRODUCE", "VDI_UPDATE"}),
}
"""For a pool whose SM records do not say: features by SR type."""


def features_of(db: "Database", sr: "Row") -> frozenset[str]:
    """The features of the driver that serves this SR."""
    for driver in db.rows("SM").values():
        if driver["type"] == sr["type"]:
            return frozenset(driver["features"]) or frozenset(driver["capabilities"])
    return DRIVERS.get(sr["type"], frozenset())


def assert_known_driver(db: "Database", kind: str) -> None:
    """SR_UNKNOWN_DRIVER when nothing serves SRs of this type."""
    if kind not in supported_types(db):
        raise XapiFailure("SR_UNKNOWN_DRIVER", kind)


def supported_types(db: "Database") -> list[str]:
    return sorted({driver["type"] for driver in db.rows("SM").values()} or DRIVERS)


def assert_plugged(db: "Database", sr: str) -> None:
    """SR_HAS_NO_PBDS when no host could reach the SR, whether or not it does now; SR_NOT_ATTACHED when none does."""
    pbds = [db.row("PBD", pbd) for pbd in db.row("SR", sr)["PBDs"]]
    if not pbds:
        raise XapiFailure("SR_HAS_NO_PBDS", sr)
    if not any(pbd["currently_attached"] for pbd in pbds):
        raise XapiFailure("SR_NOT_ATTACHED", sr)
