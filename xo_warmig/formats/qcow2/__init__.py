"""The head of a qcow2 file as a pool exports it: which clusters of the disk it brings. Their bytes are not read here.

``python3/libexec/qcow2-to-stdout.py`` of xapi writes header, refcount table, refcount blocks, L1 table, all L2 tables and only then the
clusters, each of these in ascending order; so the head lists what is stored before any of it comes, as that of a VHD does.
"""

from xo_warmig.formats.qcow2.layout import QcowLayout
from xo_warmig.formats.qcow2.limits import MOST_SIZE_BYTES
from xo_warmig.formats.qcow2.reader import layout_reader

__all__ = ["MOST_SIZE_BYTES", "QcowLayout", "layout_reader"]
