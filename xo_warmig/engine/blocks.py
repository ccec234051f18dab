"""Which operations are blocked on which side, with what texts, and whether they still are (R1)."""

from collections.abc import Mapping

from xo_warmig.engine.state import MigrationState
from xo_warmig.errors import SafetyError
from xo_warmig.replication.preflight import OUR_MARK

# All that would make a live copy of the source or put old blocks back into it. hard_reboot of a halted VM starts it.
SOURCE_OPERATIONS = (
    "start",
    "start_on",
    "resume",
    "resume_on",
    "hard_reboot",
    "clean_reboot",
    "suspend",
    "checkpoint",
    "reverting",
    "destroy",
    "migrate_send",
    "pool_migrate",
)
# All that would make the target run, or move its disks away from under us. Destroying it harms nothing but our copy.
TARGET_OPERATIONS = ("start", "start_on", "resume", "resume_on", "hard_reboot", "migrate_send", "pool_migrate")


def source_blocks(state: MigrationState) -> dict[str, str]:
    """The texts say where the VM went, since they stay on a source that is kept."""
    text = (
        f"{OUR_MARK} migration {state.id}: moved to VM {state.target_vm} on pool {state.plan.target_pool_name}."
        " To take it back: see that VM halted, then remove these blocked operations."
    )
    return dict.fromkeys(SOURCE_OPERATIONS, text)


def target_blocks(migration: str) -> dict[str, str]:
    """The texts of a target that is not whole yet."""
    return dict.fromkeys(TARGET_OPERATIONS, f"{OUR_MARK} migration {migration}: this copy is not complete")


def demand_blocks(ours: Mapping[str, str], found: Mapping[str, str], *, side: str, vm: str) -> None:
    """Raises SafetyError when an entry of ours is gone or changed: somebody may have started the VM since."""
    missing = sorted(operation for operation, text in ours.items() if found.get(operation) != text)
    if missing:
        raise SafetyError(
            f"the blocked operations of the {side} VM were changed by somebody else ({', '.join(missing)})",
            code="BLOCKS_CHANGED",
            evidence={"rule": "R1", "side": side, "vm": vm, "operations": missing},
            remedy="find out who unblocked it, and start the migration again",
        )
