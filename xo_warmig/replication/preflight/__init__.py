"""Whether a migration is possible, decided from what was read: nothing is called and nothing is touched here. A module for each subject."""

from xo_warmig.replication.preflight.judging import preflight
from xo_warmig.replication.preflight.marks import DOOR, MOST_CHAIN_DEPTH, OUR_MARK
from xo_warmig.replication.preflight.space import lack_of_space, reserve_bytes, snapshot_bytes
from xo_warmig.replication.preflight.surroundings import Preflight, Surroundings

__all__ = [
    "DOOR",
    "MOST_CHAIN_DEPTH",
    "OUR_MARK",
    "Preflight",
    "Surroundings",
    "lack_of_space",
    "preflight",
    "reserve_bytes",
    "snapshot_bytes",
]
