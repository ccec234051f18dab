"""One connection from its first byte to its last: who asks, for which disk, the VBD for as long as it lasts, and what the trace says."""

import logging
import ssl
import time
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlsplit

from xo_warmig.errors import WarmigError
from xo_warmig.simulator.attach import attached
from xo_warmig.simulator.failure import XapiFailure
from xo_warmig.simulator.nbd import wire
from xo_warmig.simulator.nbd.negotiation import Channel, Dropped, negotiate
from xo_warmig.simulator.nbd.reading import answer_all
from xo_warmig.simulator.nbd.requests import Requests
from xo_warmig.simulator.transfer.wire import Outlet, cut_off

if TYPE_CHECKING:
    from xo_warmig.simulator.pool import SimPool

NAME = "nbd_read"
"""By which faults and the trace know these transfers."""

_log = logging.getLogger(__name__)


def serve(pool: "SimPool", host: str, channel: Channel, context: ssl.SSLContext | None) -> None:
    """Everything that a client gets to hear. Afterwards the connection has ended, and the disk was let go before that."""
    try:
        _Export(pool, host, channel).serve(negotiate(channel, context))
    except (Dropped, EOFError, OSError):
        return
    finally:
        channel.close()


class _Export:
    """The part after the client has said what it wants."""

    def __init__(self, pool: "SimPool", host: str, channel: Channel) -> None:
        self._pool = pool
        self._host = host
        self._channel = channel
        self._uuid = ""
        self._outlet: Outlet | None = None

    def serve(self, name: str) -> None:
        """Whatever is wrong, the connection just ends."""
        started, error = time.time(), None
        try:
            error = self._attach_and_read(name)
        except XapiFailure as failure:
            error = failure.code
        except (OSError, WarmigError, wire.BadMagic) as broken:
            error = "CUT" if isinstance(broken, ConnectionError) else type(broken).__name__
            _log.info("NBD of %s: %r", self._uuid, broken)
        self._note(started, error)

    def _attach_and_read(self, name: str) -> str | None:
        pool, vdi = self._pool, self._vdi(name)
        linger = pool.delays.seconds("linger")
        with (
            attached(pool, vdi, self._host, "RO", linger_seconds=linger),
            pool.storage.open(self._uuid) as disk,
        ):
            connection = self._channel.connection
            faults = pool.faults.for_transfer(NAME, [self._uuid])
            outlet = self._outlet = Outlet(connection, pool.bandwidth, faults, lambda sent: None)
            try:
                outlet.strike()
                self._channel.answer(wire.export_answer(disk.size_bytes))
                return answer_all(Requests(connection, self._channel.latency_seconds), disk, outlet)
            except ConnectionError:
                cut_off(connection)
                raise

    def _vdi(self, name: str) -> str:
        """The disk that ``/<uuid>?session_id=<ref>`` names, which must be within reach of this host."""
        pool, db = self._pool, self._pool.db
        try:
            url = urlsplit(name)
        except ValueError:
            raise XapiFailure("UUID_INVALID", "VDI", name) from None
        pool.sessions.require(parse_qs(url.query).get("session_id", [""])[0])
        vdi = db.by_uuid("VDI", url.path[1:])
        self._uuid = url.path[1:]
        sr = db.row("VDI", vdi)["SR"]
        if not db.find("PBD", SR=sr, host=self._host, currently_attached=True):
            raise XapiFailure("VM_REQUIRES_SR", pool.dom0(self._host), sr)
        return vdi

    def _note(self, started: float, error: str | None) -> None:
        self._pool.trace.transfer(
            name=NAME,
            vdi=self._uuid,
            base=None,
            format="nbd",
            host=str(self._pool.db.field("host", self._host, "uuid")),
            task="",
            started=started,
            ended=time.time(),
            bytes=0 if self._outlet is None else self._outlet.sent_bytes,
            written=0,
            changed=False,
            error=error,
        )
