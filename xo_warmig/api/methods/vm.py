"""``vm.*``: Xen Orchestra's own call for a warm migration."""

from xo_warmig.api.method import Call, Method, Permission
from xo_warmig.model.requests import WarmMigrationRequest


async def warm_migration(call: Call, request: WarmMigrationRequest) -> str:
    """One long request. Whatever becomes of it, the migration goes on."""
    engine = call.services.engine
    started = await engine.start(request, user=call.caller.email)
    return await engine.outcome(started.id)


METHODS = (
    Method(
        "vm.warmMigration",
        warm_migration,
        Permission.ADMIN,
        "move a VM to a storage repository of any pool with a short downtime; returns the new VM's uuid when it has booted",
        WarmMigrationRequest,
        str,
    ),
)
