"""Who did what, from where, and what came of it: a row for every call that changes something, and for every sign-in that fails.

A call of somebody who is signed in has its row before anything that it causes is stored, and the outcome when it ends; without one it
had not ended when the server did. A stranger's call, and a sign-in, has its row at its end. No answer waits for a row. Rows are kept
for a year. What cannot be recorded is told in the log and stops nobody: an administrator must get in when the disk is full.
"""

import logging
import time
from collections.abc import Awaitable, Callable, Mapping
from concurrent.futures import Future
from functools import partial
from typing import Any, Final

from sqlalchemy import Connection, delete, insert, update

from xo_warmig.api.audited import RECORDED, Recorded
from xo_warmig.api.session import Session
from xo_warmig.api.users import UserStore
from xo_warmig.api.xo_errors import XoError
from xo_warmig.engine.store.database import Database
from xo_warmig.engine.store.tables import audit
from xo_warmig.errors import WarmigError

log = logging.getLogger(__name__)

Params = Mapping[str, Any]
Entry = dict[str, Any]  # a row

KEPT_SECONDS: Final = 366 * 86_400
MOST_STRANGERS: Final = 600  # rows in a minute for callers who are not signed in: they must not fill the disk
_LONGEST_ID: Final = 100  # characters of what the caller says is an id


class Audit:
    """Forgets what is too old when it is made."""

    def __init__(self, database: Database, users: UserStore, *, clock: Callable[[], float] = time.time) -> None:
        self._database = database
        self._users = users
        self._clock = clock
        self._strangers = _Ration(MOST_STRANGERS, clock)
        oldest = clock() - KEPT_SECONDS
        database.write(lambda connection: connection.execute(delete(audit).where(audit.c.time < oldest)))

    async def recorded(self, method: str, session: Session, params: Params, call: Callable[[], Awaitable[Any]]) -> Any:
        """What ``call`` returns or raises, which is recorded if the method is one that is."""
        what = RECORDED.get(method)
        if what is None:
            return await call()
        entry = self._entry(method, session, params, what)
        begun = None if entry["user"] is None or what.signs_in else self._begin(entry)
        try:
            result = await call()
        except XoError as error:
            self._end(begun, entry | {"objects": _ids(params, what)} | _outcome(error))
            raise
        made = [str(result)] if what.makes else []
        entry = entry | {"objects": _ids(params, what) + made, "outcome": 0}
        self._end(begun, entry | ({"user": self._name(session)} if what.signs_in else {}))
        return result

    def _entry(self, method: str, session: Session, params: Params, what: Recorded) -> Entry:
        return {
            "time": self._clock(),
            "user": self._attempted(params) if what.signs_in else self._name(session),
            "address": session.address,
            "method": method,
            "objects": _ids(params, what),
        }

    def _begin(self, entry: Entry) -> Future[int]:
        return self._database.submit(lambda connection: _insert(connection, entry))

    def _name(self, session: Session) -> str | None:
        if session.visitor is not None:
            return f"{session.visitor.email} (upstream)"
        user_id = session.user_id
        try:
            return None if user_id is None else self._users.get(user_id).email
        except WarmigError:  # gone meanwhile, or not to be read
            return None

    def _attempted(self, params: Params) -> str | None:
        """Whose account it is. Other names are not recorded: people type passwords into the wrong field."""
        given = next((params[key] for key in ("email", "username") if isinstance(params.get(key), str)), None)
        try:
            user = None if given is None else self._users.find(given)
        except WarmigError:
            return None
        return None if user is None else user.email

    def _end(self, begun: Future[int] | None, entry: Entry) -> None:
        if begun is None and entry["outcome"] != 0 and not self._strangers.take():
            return

        def complete(connection: Connection) -> None:
            if begun is None:
                _insert(connection, entry)
            else:
                _complete(connection, begun.result(), entry)  # written before, by the same thread

        self._database.submit(complete).add_done_callback(partial(_tell, entry))


class _Ration:
    """So many in a minute; the log says when they are used up."""

    def __init__(self, most: int, clock: Callable[[], float]) -> None:
        self._most = most
        self._clock = clock
        self._minute = 0
        self._taken = 0

    def take(self) -> bool:
        minute = int(self._clock() // 60)
        if minute != self._minute:
            self._minute, self._taken = minute, 0
        self._taken += 1
        if self._taken == self._most + 1:
            log.warning("more than %s calls in a minute were refused; the rest of them is not recorded", self._most)
        return self._taken <= self._most


def _ids(params: Params, what: Recorded) -> list[str]:
    """Read at the end too: a parameter may have come under another name, which the call put right."""
    given = (params.get(name) for name in what.parameters)
    return [each[:_LONGEST_ID] for each in given if isinstance(each, str)]


def _outcome(error: XoError) -> dict[str, Any]:
    """The error's number, and our own code where it has one."""
    code = error.data.get("code") if isinstance(error.data, dict) else None
    return {"outcome": error.code, "error": code if isinstance(code, str) else None}


def _tell(entry: Entry, written: Future[None]) -> None:
    error = written.exception()
    if error is not None:
        log.error("%s by %s was not recorded: %s", entry["method"], entry["user"], error)


def _insert(connection: Connection, entry: Entry) -> int:
    position: int = connection.execute(insert(audit).values(**entry).returning(audit.c.position)).scalar_one()
    return position


def _complete(connection: Connection, position: int, entry: Entry) -> None:
    values = {key: entry.get(key) for key in ("objects", "outcome", "error")}
    connection.execute(update(audit).where(audit.c.position == position).values(**values))
