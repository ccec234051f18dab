"""The yardstick of the copy benchmark: ``curl export | curl import`` of the same VHD, as a careful person would type it."""

import http.client
import subprocess
import urllib.parse

import XenAPI

from xo_warmig.formats.vhd import layout_reader, stream_length
from xo_warmig.simulator.launch import Pool


class CurlSide:
    """One pool, signed in to by a client of its own."""

    def __init__(self, pool: Pool) -> None:
        self.pool = pool
        self.session = XenAPI.Session(pool.url)
        self.session.xenapi.login_with_password(pool.username, pool.password, "1.0", "bench")

    def ref(self, vdi: str) -> str:
        return str(self.session.xenapi.VDI.get_by_uuid(vdi))

    def url(self, path: str, **query: str) -> str:
        everything = {"session_id": self.session.handle} | query
        return f"{self.pool.url}{path}?{urllib.parse.urlencode(everything)}"

    def log_out(self) -> None:
        self.session.xenapi.session.logout()


def exact_length(side: CurlSide, vdi: str) -> int:
    """The bytes of the disk's VHD export, from its own table: without it the import cannot find the last footer."""
    parts = urllib.parse.urlsplit(side.url("/export_raw_vdi", vdi=side.ref(vdi), format="vhd"))
    assert parts.hostname is not None
    connection = http.client.HTTPConnection(parts.hostname, parts.port)
    try:
        connection.request("GET", f"{parts.path}?{parts.query}")
        response = connection.getresponse()
        reader = layout_reader()
        while not reader.done:
            reader.feed(response.read(reader.wanted))
        return stream_length(reader.result)
    finally:
        connection.close()


def pipe(source: CurlSide, source_vdi: str, target: CurlSide, target_vdi: str, length: int) -> None:
    """Run it to its end; raises unless the target's task succeeded."""
    task = target.session.xenapi.task.create("bench", "")
    export_url = source.url("/export_raw_vdi", vdi=source.ref(source_vdi), format="vhd")
    import_url = target.url("/import_raw_vdi", vdi=target.ref(target_vdi), format="vhd", task_id=task)
    headers = ["-H", "Transfer-Encoding:", "-H", "Expect:", "-H", f"Content-Length: {length}"]
    with (
        subprocess.Popen(["curl", "-s", export_url], stdout=subprocess.PIPE) as reader,
        subprocess.Popen(["curl", "-sT", "-", *headers, import_url], stdin=reader.stdout) as writer,
    ):
        assert reader.stdout is not None
        reader.stdout.close()
        writer.wait()
    record = target.session.xenapi.task.get_record(task)
    target.session.xenapi.task.destroy(task)
    if record["status"] != "success":
        raise RuntimeError(f"curl's import ended as {record['status']}: {record['error_info']}")
