"""Simulated pools as tests start them, what they ask of them from outside (``/_sim/``, XAPI sessions of their own), and VMs of little."""

import json
import ssl
import urllib.request
import warnings
from contextlib import AbstractContextManager
from typing import Any

from tests import forked
from xo_warmig.model.units import MIB
from xo_warmig.simulator import launch
from xo_warmig.simulator.launch import Pool, Site
from xo_warmig.simulator.site import DiskConfig, GuestConfig, SiteConfig, VmConfig


def _unverified() -> ssl.SSLContext:
    """Any certificate, and the TLS of any release."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.set_ciphers("DEFAULT:AES128-SHA256:AES256-SHA:AES128-SHA:@SECLEVEL=0")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        context.minimum_version = ssl.TLSVersion.TLSv1
    return context


UNVERIFIED = _unverified()


def start_site(config: SiteConfig) -> AbstractContextManager[Site]:
    """``launch.start_site``, with pools that are forked."""
    return launch.start_site(config, forked.pool)


def control(pool: Pool, page: str, /, **order: Any) -> Any:
    """Ask the pool's ``/_sim/``: a GET without an order, a POST with one."""
    body = json.dumps(order).encode() if order else None
    request = urllib.request.Request(f"{pool.url}/_sim/{page}", data=body)
    with urllib.request.urlopen(request, timeout=60, context=UNVERIFIED) as response:
        return json.load(response)


class XapiSession:
    """A session of the test's own, over JSON-RPC. What it asks no migration asks, so no fault strikes it."""

    def __init__(self, pool: Pool, address: str = "") -> None:
        """At the pool's first host, or the one with the address."""
        url = f"{pool.config.scheme}://{address}:{pool.config.port}" if address else pool.url
        self._url = f"{url}/jsonrpc"
        self.reference = self._send("session.login_with_password", pool.username, pool.password, "1.0", "eyes")

    def call(self, method: str, *arguments: Any) -> Any:
        """The result. LookupError with XAPI's code and parameters when it refuses."""
        return self._send(method, self.reference, *arguments)

    def _send(self, method: str, *params: Any) -> Any:
        body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": params}).encode()
        request = urllib.request.Request(self._url, data=body)
        with urllib.request.urlopen(request, timeout=60, context=UNVERIFIED) as response:
            answer = json.load(response)
        error = answer.get("error")
        if isinstance(error, list):  # of a release that knows version 1 only
            raise LookupError(*error)
        if error is not None:
            raise LookupError(error["message"], *error.get("data", []))
        return answer["result"]


def tiny_vm(name: str, *, memory_bytes: int = 256 * MIB, **changes: Any) -> VmConfig:
    """Two disks of little, and a guest that writes on both once it is told to."""
    guest = GuestConfig(kind="blocks", rate=0, span=2 * MIB, disks=[0, 1])
    disks = [DiskConfig(size_bytes=8 * MIB, allocated_bytes=2 * MIB), DiskConfig(size_bytes=6 * MIB)]
    fields: dict[str, Any] = {"name_label": name, "disks": disks, "guest": guest, "memory_bytes": memory_bytes}
    return VmConfig(**(fields | changes))
