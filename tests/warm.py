"""What is imported and done once for all processes that ``forked`` starts: the simulator, and the server with what it imports late."""

import gc
import threading

import alembic.runtime.environment  # noqa: F401
import dbos  # noqa: F401
import uvicorn.lifespan.on
import uvicorn.protocols.http.auto  # noqa: F401

import xo_warmig.cli.serve
import xo_warmig.simulator.process  # noqa: F401
from xo_warmig.simulator import datamodel, tls

datamodel.load()
tls.host_key(tls.KEY_BITS)
assert threading.active_count() == 1, f"forking is not safe: {threading.enumerate()}"
gc.collect()
gc.freeze()  # else a child copies all of it when its collector looks at it
