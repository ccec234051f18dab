"""A database: opened with its tables in the form that the code knows, read from any thread, written by one.

One thread writes, so transactions happen in the order in which they were asked for, and the event loop does not wait for the disk. A
transaction that was committed is on the disk. Written for SQLite and in SQLAlchemy's common language.
"""

import asyncio
import contextlib
import os
import sqlite3
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Final, TypeVar

from sqlalchemy import URL, Connection, Engine, create_engine, event, make_url
from sqlalchemy.exc import DatabaseError, IntegrityError, OperationalError
from sqlalchemy.pool import ConnectionPoolEntry

from xo_warmig.engine.store.schema.upgrading import upgrade
from xo_warmig.errors import WarmigError

T = TypeVar("T")

FILE_NAME: Final = "xo-warmig.sqlite"
_BUSY_SECONDS: Final = 10  # an operator's own query may hold the file for a moment
_WRITES: Final = "xo_warmig_writes"


def url_in(state_dir: Path) -> URL:
    """The database of a state directory when no other was named."""
    return URL.create("sqlite", database=str(state_dir / FILE_NAME))


def file_of(url: URL | str) -> Path:
    """The file of an SQLite database."""
    return Path(make_url(url).database or "")


class Database:
    """An open database.

    ``process``: names this opening of it among all others, past and present.

    Raises:
        WarmigError: codes STATE_UNREADABLE (it is damaged, or something else), STATE_UNUSABLE (it cannot be opened or written now),
            STATE_TOO_NEW. Reading and writing raise the first two as well.
    """

    def __init__(self, url: URL | str) -> None:
        self.process = uuid.uuid4().hex
        self._url = make_url(url)
        self._engine = _engine(self._url)
        self._writer = ThreadPoolExecutor(max_workers=1, thread_name_prefix="store")
        self._written = 0
        try:
            self.write(upgrade)
        except BaseException:
            self.close()
            raise

    @property
    def file(self) -> Path:
        """Where an SQLite database is."""
        return file_of(self._url)

    @property
    def written(self) -> int:
        """How many transactions there were: what was read stays true while this is the same as it was before."""
        return self._written

    @contextlib.contextmanager
    def reading(self) -> Iterator[Connection]:
        """A connection that sees one moment of the database. Not for changing anything."""
        with self._told(), self._engine.connect() as connection:
            yield connection

    def write(self, work: Callable[[Connection], T]) -> T:
        """What ``work`` returns, once all that it did is on the disk; nothing of it is when it raises. Not from within ``work``."""
        return self.submit(work).result()

    async def write_soon(self, work: Callable[[Connection], T], *, then: Callable[[T], None] | None = None) -> T:
        """As ``write``, and the event loop goes on meanwhile. ``then`` is called between this transaction and the next."""
        return await asyncio.wrap_future(self.submit(work, then=then))

    def submit(self, work: Callable[[Connection], T], *, then: Callable[[T], None] | None = None) -> Future[T]:
        """As ``write``, without waiting."""
        return self._writer.submit(self._transact, work, then)

    def close(self) -> None:
        """What was submitted is done first."""
        self._writer.shutdown(wait=True)
        self._engine.dispose()

    def _transact(self, work: Callable[[Connection], T], then: Callable[[T], None] | None) -> T:
        with self._told(), self._engine.connect().execution_options(**{_WRITES: True}) as connection:
            with connection.begin():
                result = work(connection)
            self._written += 1
            if then is not None:
                then(result)
            return result

    @contextlib.contextmanager
    def _told(self) -> Iterator[None]:
        """Failures of the database itself as ours. What a transaction did against the tables' rules is the caller's to judge."""
        try:
            yield
        except IntegrityError:
            raise
        except (DatabaseError, sqlite3.DatabaseError) as error:
            raise _failure(self._url, error) from error


def _failure(url: URL, error: DatabaseError | sqlite3.DatabaseError) -> WarmigError:
    """What the driver says while a connection is made is not wrapped by SQLAlchemy."""
    place = url.database or url.render_as_string()
    reason = str(error.orig if isinstance(error, DatabaseError) else error)
    evidence = {"file": place, "reason": reason}
    if isinstance(error, OperationalError | sqlite3.OperationalError):
        return WarmigError(
            f"the database {place} cannot be used: {reason}",
            code="STATE_UNUSABLE",
            evidence=evidence,
            remedy="See that its disk has room and that this user may write there.",
        )
    return WarmigError(
        f"the database {place} is damaged: {reason}",
        code="STATE_UNREADABLE",
        evidence=evidence,
        remedy="Put back a copy of the file, or move it away to start without what it held.",
    )


def _engine(url: URL) -> Engine:
    is_sqlite = url.get_backend_name() == "sqlite"
    arguments = {"timeout": _BUSY_SECONDS} if is_sqlite else {}
    # Parameters hold hashes and sealed secrets, which are nothing for a log.
    engine = create_engine(url, hide_parameters=True, connect_args=arguments)
    if is_sqlite:
        _make_private(file_of(url))
        event.listen(engine, "connect", _prepare_sqlite)
        event.listen(engine, "begin", _begin_sqlite)
    return engine


def _make_private(path: Path) -> None:
    """The file, for this user only; SQLite gives those that it puts beside it the same mode.

    Raises:
        WarmigError: code STATE_UNUSABLE.
    """
    try:
        if not path.exists():  # closing a file that is open already would drop SQLite's own locks on it
            os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
        path.chmod(0o600)
    except OSError as error:
        raise WarmigError(
            f"the database {path} cannot be used: {error.strerror}",
            code="STATE_UNUSABLE",
            evidence={"file": str(path), "reason": str(error.strerror)},
            remedy="See that it is a file in a directory where this user may write.",
        ) from error


def _prepare_sqlite(connection: sqlite3.Connection, _: ConnectionPoolEntry) -> None:
    """A commit waits until the disk has it; readers and the writer do not wait for each other."""
    connection.isolation_level = (
        None  # the driver begins no transactions of its own: they would leave out changes of the schema
    )
    for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON"):
        connection.execute(f"PRAGMA {pragma}")


def _begin_sqlite(connection: Connection) -> None:
    writes = connection.get_execution_options().get(_WRITES, False)
    if writes:
        connection.exec_driver_sql("BEGIN IMMEDIATE")
