"""One simulated pool: everything that a call handler may need, put together. What the parts do is in their own modules."""

import threading
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from xo_warmig.simulator.bandwidth import Bandwidth
from xo_warmig.simulator.database import Database
from xo_warmig.simulator.delays import Delays
from xo_warmig.simulator.events import Events
from xo_warmig.simulator.faults import Faults
from xo_warmig.simulator.guests import Guests
from xo_warmig.simulator.journal import Journal
from xo_warmig.simulator.metrics import Recorder
from xo_warmig.simulator.sessions import Sessions
from xo_warmig.simulator.site import PoolConfig
from xo_warmig.simulator.storage import ChainStore, Collector, Space
from xo_warmig.simulator.tasks import Tasks
from xo_warmig.simulator.trace import Trace
from xo_warmig.simulator.tracking import Tracking

if TYPE_CHECKING:
    from xo_warmig.simulator.listener import Listener


@dataclass(kw_only=True)
class SimPool:
    """The parts of a pool, and the few facts about it that everybody asks for."""

    config: PoolConfig
    directory: Path
    db: Database
    tasks: Tasks
    sessions: Sessions
    events: Events
    storage: ChainStore
    space: Space
    tracking: Tracking
    collector: Collector
    guests: Guests
    metrics: Recorder
    delays: Delays
    faults: Faults
    trace: Trace
    bandwidth: Bandwidth
    journal: Journal | None = None
    # VBDs of control domains whose devices a transfer has open: they cannot be detached.
    open_vbds: set[str] = field(default_factory=set)
    # Hosts without power. The master may not have missed them yet, so ``host_metrics.live`` does not tell.
    down: set[str] = field(default_factory=set)
    # What listens for clients, and the ports of hosts that serve NBD.
    listeners: "list[Listener]" = field(default_factory=list)
    nbd_ports: dict[str, int] = field(default_factory=dict)
    stopping: threading.Event = field(default_factory=threading.Event)

    @property
    def seed(self) -> int:
        return self.config.seed

    @property
    def release(self) -> str:
        """See ``release.names``."""
        return self.config.release

    @property
    def pool_ref(self) -> str:
        return self.db.refs("pool")[0]

    @property
    def master(self) -> str:
        """Reference of the host that is master."""
        return str(self.db.row("pool", self.pool_ref)["master"])

    def dom0(self, host_ref: str) -> str:
        """The control domain of a host."""
        return str(self.db.row("host", host_ref)["control_domain"])

    def round_trip(self) -> None:
        """Let the time pass that a message to a client and the answer to it take."""
        if self.config.latency_seconds:
            self.stopping.wait(self.config.latency_seconds)

    def host_url(self, host_ref: str) -> str:
        """Where a host answers: scheme, address and port. Real hosts are on 80 and 443; those of a simulated pool share a port."""
        return f"{self.config.scheme}://{self.db.row('host', host_ref)['address']}:{self.config.port}"
