"""The process of one pool: ``python -m xo_warmig.simulator.process DIRECTORY``, started by ``launch``.

It reads ``pool.json`` there, prints one line of JSON when every host answers, and ends at SIGTERM, at SIGINT and when its standard
input ends, which is when the process that started it has gone.
"""

import logging
import os
import signal
import sys
import threading
from pathlib import Path
from types import FrameType
from typing import Any

import msgspec

from xo_warmig.simulator.assembly import close_pool, open_pool
from xo_warmig.simulator.nbd import NbdServer
from xo_warmig.simulator.pool import SimPool
from xo_warmig.simulator.server import PoolServer
from xo_warmig.simulator.site import PoolConfig

CONFIG_FILE = "pool.json"


def main(directory: Path) -> None:
    """Serves the pool of a directory until told to stop."""
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(name)s: %(message)s")
    told = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _setter(told))
    config = msgspec.json.decode((directory / CONFIG_FILE).read_bytes(), type=PoolConfig)
    pool = open_pool(config, directory)
    servers: list[PoolServer | NbdServer] = [PoolServer(pool), NbdServer(pool)]
    for server in servers:
        server.start()
    sys.stdout.write(msgspec.json.encode(describe(pool)).decode() + "\n")
    sys.stdout.flush()
    threading.Thread(target=_await_end_of_input, args=(told,), name="parent", daemon=True).start()
    told.wait()
    close_pool(pool)
    for server in servers:
        server.stop()


def describe(pool: SimPool) -> dict[str, Any]:
    """What a client of the simulation is told when the pool is ready. The first SR is the default one; no templates, no dom0."""
    db, config = pool.db, pool.config
    default = db.row("pool", pool.pool_ref)["default_SR"]
    srs = sorted(db.rows("SR").items(), key=lambda item: (item[0] != default, item[1]["content_type"] == "iso"))
    hidden = ("is_a_template", "is_a_snapshot", "is_control_domain")
    vms = [vm for vm in db.rows("VM").values() if not any(vm[name] for name in hidden)]
    return {
        "name": config.name,
        "url": config.url,
        "nbd": _nbd(pool),
        "username": config.username,
        "password": config.password,
        "release": config.release,
        "pid": os.getpid(),
        "vms": [{name: vm[name] for name in ("uuid", "name_label", "power_state")} for vm in vms],
        "srs": [{name: sr[name] for name in ("uuid", "name_label")} for _, sr in srs],
        "networks": [{name: row[name] for name in ("uuid", "name_label")} for row in db.rows("network").values()],
        "hosts": [{name: row[name] for name in ("uuid", "name_label", "address")} for row in db.rows("host").values()],
    }


def _nbd(pool: SimPool) -> str:
    """Where the master serves NBD; nothing in a release that has none."""
    port = pool.nbd_ports.get(pool.master)
    return "" if port is None else f"{pool.db.row('host', pool.master)['address']}:{port}"


def _setter(event: threading.Event) -> Any:
    def handle(_number: int, _frame: FrameType | None) -> None:
        event.set()

    return handle


def _await_end_of_input(told: threading.Event) -> None:
    """The starter holds the other end of standard input and never writes."""
    while os.read(sys.stdin.fileno(), 1 << 10):
        pass
    told.set()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
