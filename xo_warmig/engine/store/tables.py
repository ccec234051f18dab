"""The tables. What they held before is changed by the scripts in ``schema/versions``, and a test compares the two.

``events`` is the truth about migrations. The rows of ``migrations``, ``disks`` and ``passes`` follow from the facts and are written
with them (``projections``), for people and queries; nothing is decided by them. What a running pass must not lose stands in
``disks.pending`` and ``marks``.

Times of migrations are seconds since the epoch, those that XO's API shows are milliseconds (``_ms``). JSON that this program alone
reads is text.
"""

from typing import Final

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    Double,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
)

REVISION: Final = "0002"  # of the newest script, with which the tables below stand

METADATA: Final = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
        "pk": "pk_%(table_name)s",
    }
)


def _of_migration() -> Column[str]:
    return Column("migration", Text, ForeignKey("migrations.id"), primary_key=True)


migrations: Final = Table(
    "migrations",
    METADATA,
    Column("position", Integer, primary_key=True),  # in the order in which they became known
    Column("id", Text, nullable=False, unique=True),
    Column("vm", Text, nullable=False),
    Column("vm_name", Text, nullable=False),
    Column("source_pool", Text, nullable=False),
    Column("target_pool", Text, nullable=False),
    Column("sr", Text, nullable=False),
    Column("target_vm", Text),
    Column("user", Text, nullable=False),
    Column("phase", Text, nullable=False),
    Column("error", Text),  # its code
    Column("created", Double, nullable=False),
    Column("finished", Double),
    Index(None, "vm"),
)

events: Final = Table(
    "events",
    METADATA,
    _of_migration(),
    Column("number", Integer, primary_key=True, autoincrement=False),  # from 1; the key keeps a second writer out
    Column("time", Double, nullable=False),
    Column("type", Text, nullable=False),
    Column("body", Text, nullable=False),
)

disks: Final = Table(
    "disks",
    METADATA,
    _of_migration(),
    Column("disk", Text, primary_key=True),  # the source VDI
    Column("name_label", Text),
    Column("virtual_size_bytes", BigInteger),
    Column("sr", Text),
    Column("target_vdi", Text),
    Column("reading", Text),  # what the pass that runs reads
    Column("base", Text),  # what was read by the last pass that was complete
    Column("pending", LargeBinary),
)

passes: Final = Table(
    "passes",
    METADATA,
    _of_migration(),
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("kind", Text, nullable=False),
    Column("verdict", Text),  # none while it runs
    Column("started", Double, nullable=False),
    Column("seconds", Double),
    Column("bytes", BigInteger),
    Column("written_bytes", BigInteger),
)

marks: Final = Table(
    "marks",
    METADATA,
    _of_migration(),
    Column("disk", Text, primary_key=True),
    Column("pass_number", Integer, nullable=False),
    Column("mark", Text, nullable=False),
)

pools: Final = Table(
    "pools",
    METADATA,
    Column("position", Integer, primary_key=True),  # in the order in which they were added
    Column("id", Text, nullable=False, unique=True),
    Column("host", Text, nullable=False),
    Column("username", Text, nullable=False),
    Column("sealed_password", Text, nullable=False),
    Column("label", Text, nullable=False),
    Column("allow_unauthorized", Boolean, nullable=False),
    Column("read_only", Boolean, nullable=False),
    Column("enabled", Boolean, nullable=False),
    Column("fingerprint", Text),
    Column("pins", JSON, nullable=False, server_default="{}"),  # fingerprints of its other hosts, by host:port
)

pool_sessions: Final = Table(
    "pool_sessions",
    METADATA,
    Column("pool", Text, primary_key=True),  # a session may be opened before its pool is stored
    Column("key", Text, primary_key=True),  # the keyed hash of the reference
    Column("sealed_session", Text, nullable=False),
    Column("process", Text, nullable=False),  # who opened it
    Column("opened", Double, nullable=False),
)

users: Final = Table(
    "users",
    METADATA,
    Column("position", Integer, primary_key=True),
    Column("id", Text, nullable=False, unique=True),
    Column("email", Text, nullable=False),
    Column("folded_email", Text, nullable=False, unique=True),  # names are compared without regard to case
    Column("password_hash", Text, nullable=False),
    Column("permission", Text, nullable=False),
    Column("groups", JSON, nullable=False),
    Column("preferences", JSON, nullable=False),
)

tokens: Final = Table(
    "tokens",
    METADATA,
    Column("position", Integer, primary_key=True),
    Column("key", Text, nullable=False, unique=True),  # the keyed hash of the token
    Column("sealed_token", Text, nullable=False),
    Column("user_id", Text, nullable=False),  # a token may outlive its user, and opens nothing then
    Column("expiration_ms", BigInteger, nullable=False),
    Column("created_ms", BigInteger, nullable=False),
    Column("description", Text),
    Column("client", Text),
    Column("last_uses", JSON, nullable=False),  # milliseconds since the epoch, by address
    Index(None, "user_id"),
)

audit: Final = Table(
    "audit",
    METADATA,
    Column("position", Integer, primary_key=True),
    Column("time", Double, nullable=False),
    Column("user", Text),  # none: not signed in
    Column("address", Text, nullable=False),
    Column("method", Text, nullable=False),
    Column("objects", JSON, nullable=False),  # ids
    Column("outcome", Integer),  # 0, or the error's number; none: it had not ended when the server did
    Column("error", Text),  # our own code, where the error has one
    Index(None, "time"),
)
