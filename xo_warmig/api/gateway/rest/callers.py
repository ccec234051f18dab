"""Who asks over HTTP, as upstream knows them: it is asked with the caller's own credentials, and the answer is good for seconds only.

``GET /rest/v0/users/me`` redirects to the user's own record (@xen-orchestra/rest-api, users/user.middleware). Before there was that
route nobody is known, and nothing of ours is shown over REST.
"""

import hashlib
import re
import time
from collections.abc import AsyncIterator, Iterable
from typing import Final

import msgspec

from xo_warmig.api.gateway.connections import Connections
from xo_warmig.api.gateway.fetching import fetched
from xo_warmig.api.gateway.headers import Header, values
from xo_warmig.api.gateway.upstream import UpstreamGone
from xo_warmig.api.users import User

GOOD_SECONDS: Final = 5.0
MOST_KNOWN: Final = 1000
_ME: Final = b"/rest/v0/users/me"
_RECORD: Final = re.compile(rb"/rest/v0/users/[^/?#]+")
_CREDENTIALS: Final = (b"cookie", b"authorization")


class _Record(msgspec.Struct):
    id: str
    email: str = ""
    permission: str = "none"


class Callers:
    """Credentials are kept as hashes only, and not for long."""

    def __init__(self, connections: Connections) -> None:
        self._connections = connections
        self._known: dict[bytes, tuple[float, User | None]] = {}

    async def of(self, headers: Iterable[Header]) -> User | None:
        """The user behind a request's cookies or Authorization; None: nobody, or upstream does not say.

        Raises:
            UpstreamGone.
        """
        given = [header for header in headers if header[0].lower() in _CREDENTIALS]
        if not given:
            return None
        key, now = _key(given), time.monotonic()
        until, user = self._known.get(key, (0.0, None))
        if until <= now:
            user = await self._asked(given)
            self._known = {key: kept for key, kept in self._known.items() if kept[0] > now}
            if len(self._known) < MOST_KNOWN:
                self._known[key] = now + GOOD_SECONDS, user
        return user

    async def is_admin(self, headers: Iterable[Header]) -> bool:
        """Whether that is an administrator. Raises UpstreamGone."""
        user = await self.of(headers)
        return user is not None and user.is_admin

    async def while_admin(self, headers: Iterable[Header], pieces: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        """``pieces`` of what only administrators see, until that is none any more."""
        async for piece in pieces:
            if not await self.is_admin(headers):
                return
            yield piece

    async def _asked(self, credentials: list[Header]) -> User | None:
        answer = await fetched(self._connections, _ME, credentials)
        where = values(answer.headers, b"location")
        if answer.status in (302, 303, 307, 308) and where and _RECORD.fullmatch(where[0]):
            answer = await fetched(self._connections, where[0], credentials)
        if answer.status != 200:
            return None
        try:
            record = msgspec.json.decode(answer.body, type=_Record)
        except msgspec.DecodeError as error:
            raise UpstreamGone(f"a user's record cannot be read: {error}") from error
        return User(id=record.id, email=record.email or record.id, permission=record.permission)


def _key(given: list[Header]) -> bytes:
    digest = hashlib.blake2b()
    for name, value in given:
        digest.update(b"%d:%b=%d:%b" % (len(name), name, len(value), value))
    return digest.digest()
