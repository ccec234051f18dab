"""All tasks that have ended are forgotten at once: ours with upstream's."""

import logging

from starlette.types import ASGIApp, Receive, Scope, Send

from xo_warmig.api.gateway.rest.mounts import unmounted
from xo_warmig.api.gateway.rest.own import answered

log = logging.getLogger(__name__)


class Clearing:
    """An ASGI application for ``DELETE /rest/v0/tasks`` by administrators. Ours go first, so that who lists tasks after it sees none."""

    def __init__(self, own: ASGIApp, passing: ASGIApp) -> None:
        self._own = own
        self._passing = passing

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async with answered(self._own, unmounted(scope)) as ours:
            if ours.status != 204:
                log.info("upstream's tasks are forgotten without ours: %s", ours.status)
        await self._passing(scope, receive, send)
