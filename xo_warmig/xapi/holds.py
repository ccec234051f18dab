"""What migrations hold: VMs that may not be deleted, and blocks on them that may not be taken away. Pure; of a VM's record."""

from collections.abc import Mapping
from typing import Any, Final

from xo_warmig.errors import ForbiddenOperation
from xo_warmig.xapi import failures, objects
from xo_warmig.xapi.door import DOOR, is_copied
from xo_warmig.xapi.vm_spec import TARGET_ROLE

OUR_MARK: Final = "xo_warmig"  # replication.preflight: our reasons begin with it
_REMEDY: Final = "cancel the migration, or roll it back"


def see_guest(record: Mapping[str, Any]) -> None:
    """Raises NoSuchObject for a control domain: its power is its host's."""
    if record["is_control_domain"]:
        raise failures.no_such_object("VM", record["uuid"])


def see_blocks_free(record: Mapping[str, Any], after: Mapping[str, str]) -> None:
    """R1: raises ForbiddenOperation when what is to be blocked afterwards leaves out what a live migration blocks."""
    now = record["blocked_operations"]
    ours = [each for each, text in now.items() if text.startswith(OUR_MARK) and after.get(each) != text]
    if ours and (_is_copy(record) or DOOR in record["other_config"]):
        state = "a copy that is not whole" if _is_copy(record) else "being migrated"
        raise ForbiddenOperation(
            f"the VM {record['name_label']} is {state}, so {ours[0]} stays blocked",
            code="BEING_MIGRATED",
            evidence={"rule": "R1", "operation": ours[0], "reason": now[ours[0]], "objectId": record["uuid"]},
            remedy=_REMEDY,
        )


def see_free(record: Mapping[str, Any], operation: str) -> None:
    """R2, R8: raises ForbiddenOperation for the source of a live migration, and for a copy that is not whole."""
    door = record["other_config"].get(DOOR)
    if door is not None and not is_copied(door, record["uuid"]):
        raise being_migrated(record, operation, "it is the source of a migration", rule="R2")
    if _is_copy(record) and any(text.startswith(OUR_MARK) for text in record["blocked_operations"].values()):
        raise being_migrated(record, operation, "it is a copy that is not whole", rule="R8")


def being_migrated(record: Mapping[str, Any], operation: str, why: str, *, rule: str) -> ForbiddenOperation:
    """To be raised."""
    return ForbiddenOperation(
        f"{operation} of the VM {record['name_label']} is refused: {why}",
        code="BEING_MIGRATED",
        evidence={"rule": rule, "operation": operation, "reason": why, "objectId": record["uuid"]},
        remedy=_REMEDY,
    )


def _is_copy(record: Mapping[str, Any]) -> bool:
    return objects.is_ours(record["other_config"], record["uuid"], role=TARGET_ROLE)
