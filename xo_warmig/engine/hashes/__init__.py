"""Where the tables of passes are kept while they are of use: in memory, and in files that survive (``files``)."""

from xo_warmig.engine.hashes.memory import MemoryTables
from xo_warmig.engine.hashes.ports import Tables

__all__ = ["MemoryTables", "Tables"]
