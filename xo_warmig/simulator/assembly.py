"""A pool put together in a directory: made new, or gone on with as after a restart of its toolstack."""

import dataclasses
import random
from pathlib import Path

from xo_warmig.simulator import world
from xo_warmig.simulator.bandwidth import Bandwidth
from xo_warmig.simulator.calls import guest_tools, operations, outage
from xo_warmig.simulator.database import Database
from xo_warmig.simulator.delays import Delays
from xo_warmig.simulator.events import Events
from xo_warmig.simulator.faults import Faults
from xo_warmig.simulator.guests import Guests
from xo_warmig.simulator.journal import Journal
from xo_warmig.simulator.metrics import Recorder
from xo_warmig.simulator.pool import SimPool
from xo_warmig.simulator.power import follow_power
from xo_warmig.simulator.sessions import Sessions
from xo_warmig.simulator.site import PoolConfig
from xo_warmig.simulator.storage import ChainStore, Collector, Space
from xo_warmig.simulator.tasks import Tasks
from xo_warmig.simulator.trace import Trace
from xo_warmig.simulator.trace_file import TraceFile
from xo_warmig.simulator.tracking import Tracking

LOGIN_FAILED_SECONDS = 0.1
"""How long a wrong password takes unless the configuration says otherwise; a real pool takes 5 s."""


def open_pool(config: PoolConfig, directory: Path) -> SimPool:
    """The pool that lives in a directory; a new one when there is none yet. ``close_pool`` ends it."""
    directory.mkdir(parents=True, exist_ok=True)
    journal = Journal(directory / "database.jsonl")
    pool = _compose(config, directory)
    if journal.exists:
        journal.replay(pool.db)
        _follow(pool)
        _resume(pool)
    else:
        _follow(pool)
        # What a pool is made of follows from its seed; what happens in it later does not.
        pool.db.randomness = random.Random(f"{config.seed}/{config.name}")
        world.build(dataclasses.replace(pool, delays=Delays()))
        pool.db.randomness = random.SystemRandom()
    journal.start(pool.db)
    pool.journal = journal
    pool.collector.start()
    pool.metrics.start()
    return pool


def close_pool(pool: SimPool) -> None:
    """Ends everything that runs in a pool. What it had is on disk."""
    pool.stopping.set()
    pool.faults.stop()
    pool.delays.stop()
    pool.metrics.stop()
    pool.guests.stop_all()
    pool.collector.stop()
    with pool.db.changed:
        pool.db.changed.notify_all()
        pool.db.journal = None
    if pool.journal is not None:
        pool.journal.close()
    pool.trace.close()


def _compose(config: PoolConfig, directory: Path) -> SimPool:
    db = Database()
    storage = ChainStore(directory / "disks")
    space = Space(db, storage)
    delays = Delays({"login_failed": LOGIN_FAILED_SECONDS} | config.delays)
    guests = Guests(db, storage, delays, directory)
    sessions = Sessions(
        db, config.username, config.password, config.session_timeout_seconds, superuser=config.superuser
    )
    pool = SimPool(
        config=config,
        directory=directory,
        db=db,
        tasks=Tasks(db),
        sessions=sessions,
        events=Events(db, sessions),
        storage=storage,
        space=space,
        tracking=Tracking(db, storage.logs),
        collector=Collector(db, storage, space, delay_seconds=config.gc_delay_seconds),
        guests=guests,
        metrics=Recorder(db, guests, step_seconds=config.metrics_step_seconds),
        delays=delays,
        faults=Faults(),
        trace=Trace(TraceFile(directory / "trace.jsonl")),
        bandwidth=Bandwidth(config.bandwidth or None),
    )
    pool.events.stopping = pool.stopping
    return pool


def _follow(pool: SimPool) -> None:
    """What is noted of every change from now on."""
    follow_power(pool.db, pool.trace)
    pool.tracking.follow()


def _resume(pool: SimPool) -> None:
    """What a toolstack finds when it starts: VMs run on, nothing is in progress, and hosts are where they are now."""
    db = pool.db
    pool.tasks.host = pool.master
    for host, address in zip(db.refs("host"), pool.config.addresses, strict=True):
        db.set("host", host, address=address)
    outage.comes_back(pool)
    operations.forget_all(db)
    for ref, vm in db.rows("VM").items():
        if vm["power_state"] in ("Running", "Paused") and not vm["is_control_domain"]:
            pool.guests.start(ref)
            if vm["power_state"] == "Paused":
                pool.guests.pause(ref)
            if not db.exists("VM_guest_metrics", vm["guest_metrics"]):
                guest_tools.expect(pool, ref)  # its tools had no toolstack to report to
