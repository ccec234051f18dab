"""Another pool as this one sees it during a migration: a host, asked over XML-RPC with the session that it gave out."""

import ssl
import xmlrpc.client
from typing import Any
from urllib.parse import urlsplit

from xo_warmig.simulator.failure import XapiFailure


class RemoteHost:
    """The destination that ``host.migrate_receive`` of another pool described."""

    def __init__(self, dest: dict[str, str]) -> None:
        self.ref = dest.get("host", "")
        self._session = dest.get("session_id", "")
        self._url = dest.get("master", "")

    def enabled(self) -> bool:
        return bool(self._ask("host.get_enabled"))

    def cpu_info(self) -> dict[str, str]:
        return dict(self._ask("host.get_cpu_info"))

    def _ask(self, method: str) -> Any:
        """What the host says of itself. A pool's own certificate is nobody's business here, as between real pools."""
        if urlsplit(self._url).scheme not in ("http", "https"):
            raise XapiFailure("VM_MIGRATE_CONTACT_REMOTE_SERVICE_FAILED")
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        try:
            with xmlrpc.client.ServerProxy(self._url, context=context) as proxy:
                answer: Any = getattr(proxy, method)(self._session, self.ref)
        except (OSError, xmlrpc.client.Error) as error:
            raise XapiFailure("VM_MIGRATE_CONTACT_REMOTE_SERVICE_FAILED") from error
        if answer["Status"] != "Success":
            code, *params = answer["ErrorDescription"]
            raise XapiFailure(code, *params)
        return answer["Value"]
