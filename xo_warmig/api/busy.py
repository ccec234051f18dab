"""What this server's migrations make of the objects of pools: their VMs are busy, and the pools' own tasks for them are left out.

XO's pages show a VM as busy, with a link to the task, where its ``current_operations`` has an entry (packages/xo-web/src/xo-app/vm). The
entry is in what is told only; the pool's record is not touched. One task is on show for each migration, the server's own: unlike a
pool's, it can be cancelled from XO's pages.
"""

from typing import Final

from xo_warmig.api.ports import MigrationEngine
from xo_warmig.errors import NoSuchObject
from xo_warmig.model.phases import Phase, is_end
from xo_warmig.model.pool_tasks import migration_of
from xo_warmig.model.reports import MigrationReport
from xo_warmig.xo.objects import XoObject

# Words of XAPI's ``vm_operations``; with the first XO's pages show that a migration is under way.
SOURCE_OPERATION: Final = "migrate_send"
TARGET_OPERATION: Final = "import"
_TARGET_IS_FREE: Final = frozenset({Phase.CHECKING, Phase.AWAITING_COMMIT, Phase.COMMITTING})


class Busy:
    """Of one event loop."""

    def __init__(self, engine: MigrationEngine) -> None:
        self._engine = engine
        self._vms: dict[str, dict[str, str]] = {}  # by migration: operations by the uuids of its VMs

    def follow(self, report: MigrationReport) -> set[str]:
        """The uuids of VMs that are to be told anew, as a migration is here now."""
        before, now = self._vms.pop(report.id, {}), operations_of(report)
        if now:
            self._vms[report.id] = now
        return {vm for vm, _ in before.items() ^ now.items()}

    def view(self, seen: XoObject) -> XoObject | None:
        """An object as it is told; None for one that is not."""
        if seen["type"] == "task":
            return None if self._is_shown(seen) else seen
        if seen["type"] not in ("VM", "VM-template"):
            return seen
        ours = {id: vms[seen["uuid"]] for id, vms in self._vms.items() if seen["uuid"] in vms}
        return {**seen, "current_operations": {**seen["current_operations"], **ours}} if ours else seen

    def _is_shown(self, task: XoObject) -> bool:
        migration = migration_of(str(task.get("name_description", "")))
        if migration is None:
            return False
        try:
            self._engine.report(migration)
        except NoSuchObject:
            return False  # another server's
        return True


def operations_of(report: MigrationReport) -> dict[str, str]:
    """What a migration does to its VMs at this time."""
    if is_end(report.phase):
        return {}
    filled = report.target_vm is not None and report.phase not in _TARGET_IS_FREE
    target = {str(report.target_vm): TARGET_OPERATION} if filled else {}
    return {report.vm: SOURCE_OPERATION, **target}
