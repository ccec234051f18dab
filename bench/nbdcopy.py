"""Yardsticks of reading by NBD: libnbd's own ``nbdcopy``, to nothing, to a file, and on into ``curl`` as a raw import."""

import subprocess
import urllib.parse

from bench.curl import join, upload
from bench.side import Side


def uri(side: Side, vdi: str) -> str:
    """Where a disk is served, as ``nbdcopy`` wants to hear it; with the session that the export's name holds."""
    info = side.call("VDI.get_nbd_info", side.ref(vdi))[0]
    secure = side.pool.config.nbd_purpose == "nbd"
    scheme, options = ("nbds", "?tls-verify-peer=false") if secure else ("nbd", "")
    name = urllib.parse.quote(info["exportname"], safe="")
    return f"{scheme}://{info['address']}:{info['port']}/{name}{options}"


def pipe(source: Side, source_vdi: str, target: Side, target_vdi: str, size_bytes: int) -> None:
    """``nbdcopy --connections=1 URI - | curl`` of the whole disk; raises unless the target's task succeeded."""
    with target.importing(target_vdi, "raw") as url:
        join(["nbdcopy", "--connections=1", uri(source, source_vdi), "-"], upload(url, size_bytes))


def read(source: Side, vdi: str, into: str) -> None:
    """The whole disk; ``into`` is a file, or ``null:``."""
    subprocess.run(["nbdcopy", uri(source, vdi), into], check=True)
