"""The HTTP messages of the disk handlers, to the letter of xapi's (ocaml/libs/http-lib/http.ml and http_svr.ml)."""

from xo_warmig.simulator import pages

_CACHE = "Cache-Control: no-cache, no-store"
CONTENT_TYPES = {
    "raw": "application/octet-stream",
    "vhd": "application/vhd",
    "tar": "application/x-tar",
    "qcow2": "application/x-qemu-disk",
}


def export_head(task: str, format_: str, vdi_uuid: str) -> bytes:
    """Before the body of an export. There is no length: the body ends with the connection."""
    return _lines(
        "HTTP/1.1 200 OK",
        "Connection: close",
        _CACHE,
        f"task-id:{task}",
        f"content-type:{CONTENT_TYPES[format_]}",
        f'content-disposition: attachment; filename="{vdi_uuid}.{format_}"',
    )


def import_head(task: str) -> bytes:
    """What an import answers before it has read anything."""
    return _lines(
        "HTTP/1.1 200 OK", "Connection: close", _CACHE, f"task-id:{task}", "content-type:application/octet-stream"
    )


def not_found() -> bytes:
    """For a format or an encoding that is not known; without a body."""
    return _lines("HTTP/1.0 404 Not Found", "Connection: close", _CACHE)


def forbidden() -> bytes:
    """Without a body."""
    return _lines("HTTP/1.1 403 Forbidden", "Connection: close", _CACHE)


def bad_request() -> bytes:
    """Without a body."""
    return _lines("HTTP/1.1 400 Bad Request", "Connection: close", _CACHE)


def found(location: str) -> bytes:
    """Another host is the one to ask."""
    return _lines("HTTP/1.1 302 Found", "Connection: close", _CACHE, f"Location: {location}")


def unauthorised(realm: str) -> bytes:
    """No session, or none that is known."""
    return pages.unauthorised(realm)


def internal_error(text: str) -> bytes:
    """An exception that got out of a handler, printed."""
    return pages.page(500, text)


def _lines(*lines: str) -> bytes:
    return "".join(f"{line}\r\n" for line in lines).encode() + b"\r\n"
