"""Where facts are kept: the interface, a store in memory, and one in a database (``database``, ``durable``)."""

from xo_warmig.engine.store.memory import MemoryStore
from xo_warmig.engine.store.ports import Store

__all__ = ["MemoryStore", "Store"]
