"""A client of a simulated pool that shares no code with ours: what every yardstick signs in, names disks and sees its imports end with."""

import http.client
import ssl
import threading
import urllib.parse
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import XenAPI

from xo_warmig.formats.vhd import layout_reader, stream_length
from xo_warmig.simulator.launch import Pool


def unverified() -> ssl.SSLContext:
    """Simulated pools sign their own certificates."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


class Side:
    """One pool, signed in to."""

    def __init__(self, pool: Pool) -> None:
        self.pool = pool
        self.session = XenAPI.Session(pool.url, ignore_ssl=pool.config.https)
        self.session.xenapi.login_with_password(pool.username, pool.password, "1.0", "bench")
        self._calling = threading.Lock()  # the session has one connection

    def call(self, method: str, *arguments: Any) -> Any:
        """A call of XAPI's; from any thread."""
        with self._calling:
            return self.session.xenapi_request(method, arguments)

    def ref(self, vdi: str) -> str:
        return str(self.call("VDI.get_by_uuid", vdi))

    def export_url(self, vdi: str, base: str | None = None) -> str:
        """Of the disk's VHD stream, or of what differs from ``base``."""
        against = {} if base is None else {"base": self.ref(base)}
        return self._url("/export_raw_vdi", vdi=self.ref(vdi), format="vhd", **against)

    @contextmanager
    def importing(self, vdi: str, form: str) -> Iterator[str]:
        """The URL to send the disk to. In the end the pool's task must have succeeded, which comes before the end of its answer."""
        task = self.call("task.create", "bench", "")
        yield self._url("/import_raw_vdi", vdi=self.ref(vdi), format=form, task_id=task)
        record = self.call("task.get_record", task)
        self.call("task.destroy", task)
        if record["status"] != "success":
            raise RuntimeError(f"the import ended as {record['status']}: {record['error_info']}")

    def vhd_length(self, vdi: str, base: str | None = None) -> int:
        """The bytes of the disk's VHD export, from its own table: without it the import cannot find the last footer."""
        parts = urllib.parse.urlsplit(self.export_url(vdi, base))
        assert parts.hostname is not None
        connection = (
            http.client.HTTPSConnection(parts.hostname, parts.port, context=unverified())
            if parts.scheme == "https"
            else http.client.HTTPConnection(parts.hostname, parts.port)
        )
        try:
            connection.request("GET", f"{parts.path}?{parts.query}")
            response = connection.getresponse()
            reader = layout_reader()
            while not reader.done:
                reader.feed(response.read(reader.wanted))
            return stream_length(reader.result)
        finally:
            connection.close()

    def log_out(self) -> None:
        with self._calling:
            self.session.xenapi.session.logout()

    def _url(self, path: str, **query: str) -> str:
        everything = {"session_id": self.session.handle} | query
        return f"{self.pool.url}{path}?{urllib.parse.urlencode(everything)}"
