"""``warmMigration.*``: migrations that are started, looked at and stopped by id."""

from collections.abc import Sequence

import msgspec

from xo_warmig.api.method import Call, Method, Permission
from xo_warmig.model.events import RecordedEvent
from xo_warmig.model.reports import MigrationReport
from xo_warmig.model.requests import NonEmpty, WarmMigrationRequest


class MigrationId(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A migration by its id."""

    id: NonEmpty


async def start(call: Call, request: WarmMigrationRequest) -> str:
    started = await call.services.engine.start(request, user=call.caller.email)
    return started.id


async def get(call: Call, params: MigrationId) -> MigrationReport:
    return call.services.engine.report(params.id)


async def list_(call: Call, params: None) -> Sequence[MigrationReport]:
    return call.services.engine.reports()


async def cancel(call: Call, params: MigrationId) -> None:
    await call.services.engine.cancel(params.id)


async def events(call: Call, params: MigrationId) -> Sequence[object]:
    return call.services.engine.events(params.id)


METHODS = (
    Method(
        "warmMigration.start",
        start,
        Permission.ADMIN,
        "like vm.warmMigration, but returns the migration's id at once",
        WarmMigrationRequest,
        str,
    ),
    Method("warmMigration.get", get, Permission.ADMIN, "return a migration as it is now", MigrationId, MigrationReport),
    Method(
        "warmMigration.list",
        list_,
        Permission.ADMIN,
        "return all migrations as they are now",
        None,
        list[MigrationReport],
    ),
    Method(
        "warmMigration.cancel",
        cancel,
        Permission.ADMIN,
        "stop a migration; returns when it has stopped and its disks are free",
        MigrationId,
    ),
    Method(
        "warmMigration.events",
        events,
        Permission.ADMIN,
        "return everything that happened to a migration, in order",
        MigrationId,
        list[RecordedEvent],
    ),
)
