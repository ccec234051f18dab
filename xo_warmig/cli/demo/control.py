"""What the demonstration asks of simulated pools beside the migration: their ``/_sim/`` pages, and XAPI's own answer to a live migration.

Plain blocking HTTP with the standard library: the demonstration is an outsider here, and shares no code with what it proves.
"""

import http.client
import json
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from xo_warmig.errors import PoolError

TIMEOUT_SECONDS = 120.0


class SimulatedPool:
    """One pool. All methods block, and raise PoolError when the pool refuses."""

    def __init__(self, url: str, username: str, password: str) -> None:
        self.url = url
        self._username = username
        self._password = password

    def vm(self, vm: str) -> dict[str, Any]:
        """The VM's record of ``/_sim/state``."""
        return next(one for one in self._sim("GET", "state")["vms"] if one["uuid"] == vm)

    def disks(self, vm: str) -> list[str]:
        """The VM's disks in the order of their devices."""
        disks = [vbd for vbd in self.vm(vm)["vbds"] if vbd["type"] == "Disk"]
        return [vbd["vdi"] for vbd in sorted(disks, key=lambda vbd: int(vbd["userdevice"]))]

    def sha256(self, vdi: str) -> str:
        """Of every byte of the disk."""
        vdis = self._sim("GET", f"state?hash=raw&vdi={vdi}")["vdis"]
        return str(next(one["hash"] for one in vdis if one["uuid"] == vdi))

    def guest(self, vm: str) -> dict[str, Any]:
        """What the guest of the VM has written."""
        found: dict[str, Any] = self._sim("GET", f"guest?vm={vm}")
        return found

    def order_guest(self, vm: str, **order: float) -> None:
        """``rate`` bytes a second, ``write`` bytes at once."""
        self._sim("POST", "guest", {"vm": vm, **order})

    def save_image(self, vdi: str, path: Path) -> None:
        """The disk as a raw file."""
        self._sim("POST", "image", {"vdi": vdi, "path": str(path)})

    def call(self, method: str, *params: Any) -> Any:
        """A call of XAPI's, without a session where the method takes none."""
        request = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
        answer = self._http("POST", "/jsonrpc", request)
        if (error := answer.get("error")) is not None:
            details = [str(error.get("message")), *map(str, error.get("data") or [])]
            raise PoolError(" ".join(details), code=details[0], evidence={"call": method, "xapi": details})
        return answer["result"]

    def log_in(self) -> str:
        """A session's reference."""
        return str(self.call("session.login_with_password", self._username, self._password, "1.0", "xo-warmig demo"))

    def _sim(self, method: str, page: str, body: Any = None) -> Any:
        return self._http(method, f"/_sim/{page}", body)

    def _http(self, method: str, path: str, body: Any) -> Any:
        parts = urlsplit(self.url)
        connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=TIMEOUT_SECONDS)
        try:
            connection.request(method, path, None if body is None else json.dumps(body))
            response = connection.getresponse()
            text = response.read()
        finally:
            connection.close()
        if response.status != http.client.OK:
            raise PoolError(f"{method} {path} at {self.url}: {response.status} {text[:200]!r}", code="SIMULATOR_ERROR")
        return json.loads(text)


def refusal_of_live_migration(source: SimulatedPool, target: SimulatedPool, vm: str) -> PoolError | None:
    """What XAPI says to ``VM.migrate_send`` of the running VM; None when it would move it."""
    there = target.log_in()
    host = target.call("host.get_all", there)[0]
    network = target.call("PIF.get_network", there, target.call("host.get_management_interface", there, host))
    sr = target.call("pool.get_default_SR", there, target.call("pool.get_all", there)[0])
    destination = target.call("host.migrate_receive", there, host, network, {})
    here = source.log_in()
    reference = source.call("VM.get_by_uuid", here, vm)
    vifs = dict.fromkeys(source.call("VM.get_VIFs", here, reference), network)
    vdis = dict.fromkeys((source.call("VDI.get_by_uuid", here, disk) for disk in source.disks(vm)), sr)
    try:
        source.call("VM.assert_can_migrate", here, reference, destination, True, vdis, vifs, {})
    except PoolError as error:
        return error
    finally:
        source.call("session.logout", here)
        target.call("session.logout", there)
    return None
