"""What is told of a request in the log."""

import re
from typing import Final

from starlette.types import Scope

_DOWNLOAD: Final = re.compile(r"^((?:/v5)?/api/)[^/]+$")


def shown(scope: Scope) -> str:
    """Its method and path, as the client wrote it; the secret of a download is left out, and so is every query."""
    path = _DOWNLOAD.sub(r"\1...", scope["raw_path"].decode("latin-1"))
    return f"{scope.get('method', 'websocket')} {path}"
