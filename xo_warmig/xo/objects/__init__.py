"""Records of a pool, as XAPI sends them, made into Xen Orchestra's objects (xo-server's ``xapi-object-to-xo``).

``objects_of`` makes all of a pool's; after a change of one record, ``object_of`` makes its object anew, and ``dependants`` names the
others that are made from that record too.
"""

from xo_warmig.xo.objects.dependants import dependants
from xo_warmig.xo.objects.making import CONVERTED, READ, object_of, objects_of
from xo_warmig.xo.objects.records import PoolRecords, Record
from xo_warmig.xo.objects.subject import XoObject

__all__ = ["CONVERTED", "READ", "PoolRecords", "Record", "XoObject", "dependants", "object_of", "objects_of"]
