"""The websocket's side of the ASGI application."""

from typing import Final

from starlette.datastructures import Headers
from starlette.types import Receive, Scope, Send

from xo_warmig.api.accounts import Accounts
from xo_warmig.api.admission import Admission, refuse
from xo_warmig.api.collection import Collection
from xo_warmig.api.connection import Calls, Connection
from xo_warmig.api.dispatch import Dispatcher
from xo_warmig.api.hub import Hub
from xo_warmig.api.large_answers import Turns
from xo_warmig.api.settings import ApiSettings

OWN_AGENT: Final = "xo_warmig/"


class Endpoint:
    """Every websocket upgrade comes here, so that each gets an answer."""

    def __init__(
        self,
        dispatcher: Dispatcher,
        hub: Hub,
        calls: Calls,
        settings: ApiSettings,
        accounts: Accounts,
        collection: Collection,
        admission: Admission,
    ) -> None:
        self._dispatcher = dispatcher
        self._hub = hub
        self._calls = calls
        self._settings = settings
        self._accounts = accounts
        self._collection = collection
        self._turns = Turns(settings.most_large_answers, settings.most_large_answers_per_user)
        self.admission = admission

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        refusal = self.admission.refusal(scope)
        if refusal is not None:
            await refuse(refusal, receive, send)
            return
        address = self.admission.address(scope)
        with self.admission.counted(address):
            await self.connection(address, follows_pools=not is_own_client(scope)).run(receive, send)

    def connection(self, address: str, *, follows_pools: bool) -> Connection:
        """A new one, from a client at that address."""
        return Connection(
            self._dispatcher,
            self._hub,
            self._calls,
            self._settings,
            self._accounts.now_ms,
            address,
            self._turns,
            wake=self._collection.wake if follows_pools else None,
        )


def is_own_client(scope: Scope) -> bool:
    """Our own client asks for what it wants, so that a migration from the command line has no pool read whole."""
    return Headers(scope=scope).get("user-agent", "").startswith(OWN_AGENT)
