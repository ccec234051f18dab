"""Disks of a simulated pool: chains of sparse files, what they take of their repositories, and the garbage collector.

What lives here is below xapi: uuids, blocks and bytes. Attaching, operations in progress and the errors that clients see do not.
"""

from xo_warmig.simulator.storage.blocks import BLOCK, MOST_DEPTH, image_bytes
from xo_warmig.simulator.storage.chains import ChainStore
from xo_warmig.simulator.storage.change_logs import ChangeLogs
from xo_warmig.simulator.storage.collector import Collector
from xo_warmig.simulator.storage.disk import Disk
from xo_warmig.simulator.storage.space import Space

__all__ = ["BLOCK", "MOST_DEPTH", "ChainStore", "ChangeLogs", "Collector", "Disk", "Space", "image_bytes"]
