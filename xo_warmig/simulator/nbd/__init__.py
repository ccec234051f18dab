"""Disks over NBD as xapi-nbd serves them (ocaml/nbd of xen-api, and the library nbd): for reading, a VBD for each connection.

Nothing of it is shared with what reads over NBD elsewhere in this project, so that each side is tested against something else than
itself.
"""

from xo_warmig.simulator.nbd.server import NbdServer

__all__ = ["NbdServer"]
