"""In which format a pool keeps a disk, and what that allows: ``sm_config["image-format"]``, which SM writes since it has qcow2."""

from xo_warmig.xapi import objects
from xo_warmig.xapi.connection import Calls

_KEY = "image-format"
QCOW2 = "qcow2"


async def against_qcow2(calls: Calls, vdi: str) -> str:
    """Why a qcow2 export is no quick way to learn what the disk stores, in words; "" when it is one. Raises NoSuchObject.

    Of any other image xapi's tool reads every byte before it sends the first one (ocaml/xapi/qcow_tool_wrapper.ml).
    """
    record = await calls.call("VDI.get_record", await objects.ref_of(calls, "VDI", vdi))
    kept_as = record["sm_config"].get(_KEY, "")
    if not kept_as and objects.exists(record["snapshot_of"]):
        # SM does not always write it on snapshots; all images of a chain are of one format.
        kept_as = (await calls.call("VDI.get_sm_config", record["snapshot_of"])).get(_KEY, "")
    if kept_as == QCOW2:
        return ""
    return (
        f"its pool keeps it as {kept_as or 'an image of an unknown format'}, whose export does not say what is stored"
    )
