"""Finding objects of a pool by uuid, and telling ours from others' by the tags that we put on them (R11)."""

from collections.abc import Mapping
from typing import Any

from xo_warmig.errors import PoolError
from xo_warmig.xapi import failures
from xo_warmig.xapi.connection import Calls
from xo_warmig.xapi.filters import records_with

NULL = "OpaqueRef:NULL"
PREFIX = "xo_warmig:"
MIGRATION = "xo_warmig:migration"
ROLE = "xo_warmig:role"
EPOCH = "xo_warmig:epoch"
SELF = "xo_warmig:self"
TAG = "xo_warmig:tag"
# Of this project and of XO's backups, which know an object again by them: `xo:base_delta` of old releases has an SR's uuid after it.
_BOOK_KEEPING = (PREFIX, "xo:backup:", "xo:base_delta", "xo:copy_of")
GONE = ("UUID_INVALID", "HANDLE_INVALID")


async def ref_of(calls: Calls, cls: str, uuid: str) -> str:
    """The reference of an object. Raises NoSuchObject."""
    ref = await ref_or_none(calls, cls, uuid)
    if ref is None:
        raise failures.no_such_object(cls, uuid, pool=getattr(calls, "pool_name", ""))
    return ref


async def ref_or_none(calls: Calls, cls: str, uuid: str) -> str | None:
    """The reference of an object, None when the pool does not have it."""
    try:
        return str(await calls.call(f"{cls}.get_by_uuid", uuid))
    except PoolError as error:
        if error.code in GONE:
            return None
        raise


async def record_of(calls: Calls, cls: str, uuid: str) -> tuple[str, dict[str, Any]]:
    """The reference of an object and its record, by one call. Raises NoSuchObject."""
    ((ref, record),) = (await records_of(calls, cls, uuid)).items()
    return ref, record


async def records_of(calls: Calls, cls: str, *uuids: str) -> dict[str, dict[str, Any]]:
    """The records of objects by their references, in the order of ``uuids``, by one call. Raises NoSuchObject."""
    found = {record["uuid"]: (ref, record) for ref, record in (await records_with(calls, cls, uuid=uuids)).items()}
    for uuid in uuids:
        if uuid not in found:
            raise failures.no_such_object(cls, uuid, pool=getattr(calls, "pool_name", ""))
    return dict(found[uuid] for uuid in uuids)


async def refs_of(calls: Calls, cls: str, *uuids: str) -> list[str]:
    """The references of objects, by one call. Raises NoSuchObject."""
    return list(await records_of(calls, cls, *uuids))


def exists(ref: str | None) -> bool:
    """Whether a field refers to anything; old releases write "" for nothing."""
    return bool(ref) and ref != NULL


def tags(*, migration: str, role: str, epoch: int, uuid: str = "", tag: str = "") -> dict[str, str]:
    """Our keys for an object's ``other_config``; ``uuid``, its own, once it is known."""
    ours = {MIGRATION: migration, ROLE: role, EPOCH: str(epoch)}
    if tag:
        ours[TAG] = tag
    if uuid:
        ours[SELF] = uuid
    return ours


def is_ours(other_config: Mapping[str, str], uuid: str, **wanted: str) -> bool:
    """Whether our tags are this very object's own, and not copied by XAPI from the object that it was made from (R11)."""
    return other_config.get(SELF) == uuid and _says(other_config, wanted)


def is_unclaimed(record: Mapping[str, Any], **wanted: str) -> bool:
    """Whether this may be an object of ours whose maker was stopped before it wrote the object's own uuid on it.

    What XAPI copied from a claimed object has that one's uuid, and a snapshot is never made with tags: neither counts.
    """
    other_config = record["other_config"]
    return SELF not in other_config and not record["is_a_snapshot"] and _says(other_config, wanted)


def without_ours(other_config: Mapping[str, str]) -> dict[str, str]:
    """A copied ``other_config`` without the tags of the object that it came from."""
    return {key: text for key, text in other_config.items() if not key.startswith(PREFIX)}


def without_book_keeping(other_config: Mapping[str, str]) -> dict[str, str]:
    """The same without the keys by which XO's backups know that object again."""
    return {key: text for key, text in other_config.items() if not key.startswith(_BOOK_KEEPING)}


def _says(other_config: Mapping[str, str], wanted: Mapping[str, str]) -> bool:
    return all(other_config.get(PREFIX + key) == text for key, text in wanted.items())
