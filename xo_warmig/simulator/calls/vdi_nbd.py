"""VDI.get_nbd_info: where the disk can be read by NBD (ocaml/xapi/xapi_vdi.ml). The server itself is in ``nbd``."""

from typing import TYPE_CHECKING, Any

from xo_warmig.simulator import tls
from xo_warmig.simulator.addresses import NBD_PORT
from xo_warmig.simulator.failure import XapiFailure

if TYPE_CHECKING:
    from xo_warmig.simulator.database import Database
    from xo_warmig.simulator.dispatch import Call

PURPOSES = frozenset({"nbd", "insecure_nbd"})


def get_nbd_info(call: "Call", vdi: str) -> list[dict[str, Any]]:
    """A record for each address of each host that reaches the SR, on networks with such a purpose."""
    pool, db = call.pool, call.pool.db
    row = db.row("VDI", vdi)
    if row["type"] == "cbt_metadata":
        raise XapiFailure("VDI_INCOMPATIBLE_TYPE", vdi, "cbt_metadata")
    found = []
    for pbd in db.find("PBD", SR=row["SR"], currently_attached=True):
        host = db.row("PBD", pbd)["host"]
        common = {
            "exportname": f"/{row['uuid']}?session_id={call.session}",
            "port": pool.nbd_ports.get(host, NBD_PORT),
            "cert": tls.certificate_text(tls.certificate_file(pool.directory, db.row("host", host)["address"])),
            "subject": db.row("host", host)["hostname"],  # no certificate here names anything but an address
        }
        found += [common | {"address": address} for address in _addresses(db, host)]
    return found


def _addresses(db: "Database", host: str) -> list[str]:
    addresses = []
    for pif in db.find("PIF", host=host, currently_attached=True):
        row = db.row("PIF", pif)
        if PURPOSES.intersection(db.row("network", row["network"])["purpose"]):
            addresses += [address for address in (row["IP"], *row["IPv6"]) if address]
    return addresses


CALLS = {"VDI.get_nbd_info": get_nbd_info}
