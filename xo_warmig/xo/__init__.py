"""Xen Orchestra's view of pools, without I/O: its objects, made from the records that XAPI sends, and its filters over them."""
