"""Times that rule a migration and that no caller sets."""

import msgspec

from xo_warmig.replication.limits import CopyLimits


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """All in seconds."""

    # An import may stand open before its first byte, but a shutdown that drags on would hold the target's disk for nothing.
    held_import_seconds: float = 600.0
    # Halted disks whose final pass takes longer are read from snapshots, so that no control domain keeps the source from starting again.
    direct_read_seconds: float = 10.0
    # R7: a guest may act on a shutdown long after the asking was given up.
    late_halt_seconds: float = 3600.0
    late_halt_poll_seconds: float = 5.0
    # After a cancel in the middle of a shutdown, the guest is usually on its way down.
    halting_seconds: float = 120.0
    boot_seconds: float = 600.0
    boot_poll_seconds: float = 0.5
    # Tools tell that they can set addresses a moment after they tell that they are there.
    address_seconds: float = 30.0
    address_poll_seconds: float = 1.0
    # VBDs of a VM seen Halted, or of a transfer just ended, take a moment to go.
    detach_seconds: float = 20.0
    detach_poll_seconds: float = 0.1
    # What a control domain holds for longer than this was left behind by a restarted toolstack, mostly: it is asked to let go.
    left_behind_seconds: float = 3.0
    # Before the cutover, operations of others on the VM are waited for.
    operations_seconds: float = 60.0
    operations_poll_seconds: float = 2.0
    # R19: before a snapshot, storage that is behind with coalescing is waited for. It may never come to it (``gc=false``, no space).
    coalesce_seconds: float = 600.0
    coalesce_poll_seconds: float = 5.0
    progress_seconds: float = 0.3
    # How often the tasks that show a migration on its pools are looked at, in a downtime too, and how long its end stands there.
    pool_task_seconds: float = 5.0
    pool_task_downtime_seconds: float = 30.0
    pool_task_linger_seconds: float = 10.0
    copy_limits: CopyLimits = CopyLimits()
    # While it holds: how often it looks, and shows the prediction.
    hold_look_seconds: float = 5.0
    # What is tried again: how often and how far apart; a pool that is away is asked again at the second interval.
    tries: int = 4
    retry_seconds: float = 2.0
    pool_poll_seconds: float = 3.0
    # While the source runs a pool that is away costs nothing but time; in the downtime it costs downtime.
    pool_patience_seconds: float = 3600.0
    downtime_patience_seconds: float = 60.0
    operator_look_seconds: float = 3600.0
    # While another server has the door, how often it is looked at.
    door_poll_seconds: float = 15.0
    # How long what was copied is kept for the next attempt (R6).
    retention_seconds: float = 7 * 86400.0
    expiry_seconds: float = 3600.0  # how often that is looked at
    # What clean-up may wait for a pool that is away before it gives the object up as left behind.
    cleanup_seconds: float = 15.0
    # Without an earlier migration to learn from.
    shutdown_seconds: float = 1.0
    start_seconds: float = 0.5
