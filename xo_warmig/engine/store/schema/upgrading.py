"""Brings a database's tables to the form that the code knows, with the scripts that are shipped beside this module."""

from pathlib import Path

from sqlalchemy import Connection, column, inspect, select, table

from xo_warmig.engine.store.tables import REVISION
from xo_warmig.errors import WarmigError

_SCRIPTS = Path(__file__).parent
_VERSION_TABLE = "alembic_version"


def upgrade(connection: Connection) -> None:
    """All or nothing within the connection's transaction.

    Raises:
        WarmigError: code STATE_TOO_NEW, a later release wrote the database.
    """
    revision = revision_of(connection)
    if revision == REVISION:
        return
    # Imported when there is something to do: it costs a start several tenths of a second.
    from alembic import command
    from alembic.config import Config
    from alembic.script import ScriptDirectory

    config = Config()
    config.set_main_option("script_location", str(_SCRIPTS).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    config.attributes["connection"] = connection
    known = [script.revision for script in ScriptDirectory.from_config(config).walk_revisions()]
    if revision is not None and revision not in known:
        raise WarmigError(
            f"the database is of revision {revision}, which a later release of xo-warmig made",
            code="STATE_TOO_NEW",
            evidence={"revision": revision, "newest_known": REVISION},
            remedy="Run that release again, or put back the database that was saved before it was installed.",
        )
    command.upgrade(config, REVISION)


def revision_of(connection: Connection) -> str | None:
    """The revision that the database says it has; None for an empty one."""
    if not inspect(connection).has_table(_VERSION_TABLE):
        return None
    return connection.execute(select(column("version_num")).select_from(table(_VERSION_TABLE))).scalar()
