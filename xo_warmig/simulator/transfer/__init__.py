"""Disks over HTTP: ``GET /export_raw_vdi`` and ``PUT /import_raw_vdi`` as xapi serves them, from the request's head to the last byte.

What is on the disks and how they are attached is elsewhere.
"""

from xo_warmig.simulator.transfer.export import serve_export
from xo_warmig.simulator.transfer.intake import serve_import

__all__ = ["serve_export", "serve_import"]
