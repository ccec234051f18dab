"""``warmMigration.*``: migrations that are planned, started, looked at and steered by id, and what they left."""

from collections.abc import Sequence
from typing import Any

import msgspec
from msgspec import UNSET, UnsetType

from xo_warmig.api.method import Body, Call, Method, Permission
from xo_warmig.model.events import RecordedEvent
from xo_warmig.model.findings import PlanReport, SweepReport
from xo_warmig.model.reports import MigrationReport
from xo_warmig.model.requests import NonEmpty, WarmMigrationRequest


class MigrationId(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A migration by its id."""

    id: NonEmpty


class CancelMigration(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """``drop``: what was copied goes (true) or stays for the next attempt (false); without it, as ``onFailure`` said."""

    id: NonEmpty
    drop: bool | UnsetType = UNSET


class RollBackMigration(msgspec.Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """``discard_target_changes``: what the target wrote since its start may be lost."""

    id: NonEmpty
    discard_target_changes: bool = False


class Sweep(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """``remove``: do not only list what is found."""

    remove: bool = False


async def plan(call: Call, request: WarmMigrationRequest) -> PlanReport:
    return await call.services.engine.plan(request)


async def start(call: Call, request: WarmMigrationRequest) -> str:
    started = await call.services.engine.start(request, user=call.caller.email)
    return started.id


async def get(call: Call, params: MigrationId) -> MigrationReport:
    return call.services.engine.report(params.id)


async def list_(call: Call, params: None) -> Sequence[MigrationReport]:
    return call.services.engine.reports()


async def cutover(call: Call, params: MigrationId) -> None:
    await call.services.engine.cutover(params.id)


async def pause(call: Call, params: MigrationId) -> None:
    await call.services.engine.pause(params.id)


async def resume(call: Call, params: MigrationId) -> None:
    await call.services.engine.resume(params.id)


async def cancel(call: Call, params: CancelMigration) -> None:
    await call.services.engine.cancel(params.id, drop=None if params.drop is UNSET else params.drop)


async def roll_back(call: Call, params: RollBackMigration) -> None:
    await call.services.engine.rollback(params.id, discard_target_changes=params.discard_target_changes)


async def commit(call: Call, params: MigrationId) -> None:
    await call.services.engine.commit(params.id)


async def events(call: Call, params: MigrationId) -> Sequence[object]:
    return call.services.engine.events(params.id)


async def sweep(call: Call, params: Sweep) -> SweepReport:
    return await call.services.engine.sweep(remove=params.remove)


def _admin(name: str, body: Body, description: str, params: type[msgspec.Struct] | None, result: Any = bool) -> Method:
    return Method(f"warmMigration.{name}", body, Permission.ADMIN, description, params, result)


METHODS = (
    _admin(
        "plan",
        plan,
        "tell what vm.warmMigration would do with the same parameters, and what stands in its way; changes nothing",
        WarmMigrationRequest,
        PlanReport,
    ),
    _admin("start", start, "like vm.warmMigration, but returns the migration's id at once", WarmMigrationRequest, str),
    _admin("get", get, "return a migration as it is now", MigrationId, MigrationReport),
    _admin("list", list_, "return all migrations as they are now", None, list[MigrationReport]),
    _admin(
        "cutover",
        cutover,
        "cut a migration over as soon as it pays, without waiting for a word or a time any more; returns at once",
        MigrationId,
    ),
    _admin("pause", pause, "pause a migration and keep what it copied; returns when its disks are free", MigrationId),
    _admin("resume", resume, "go on with a paused migration; returns at once", MigrationId),
    _admin(
        "cancel",
        cancel,
        "stop a migration before the start of its target; returns when it has stopped and its disks are free",
        CancelMigration,
    ),
    _admin(
        "rollback",
        roll_back,
        "give the source back as it was found; once the target was started only with discardTargetChanges",
        RollBackMigration,
    ),
    _admin(
        "commit",
        commit,
        "accept the target: end a migration that waits for this, and delete its source where that was asked for",
        MigrationId,
    ),
    _admin(
        "events", events, "return everything that happened to a migration, in order", MigrationId, list[RecordedEvent]
    ),
    _admin(
        "sweep",
        sweep,
        "list the objects on all pools that no migration owns any more though one made them, and remove them if asked",
        Sweep,
        SweepReport,
    ),
)
