"""A method of the API as a value, and what its body is called with."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, NamedTuple

import msgspec

from xo_warmig.api.accounts import Accounts
from xo_warmig.api.audit import Audit
from xo_warmig.api.choosing import Chooser
from xo_warmig.api.collection import Collection
from xo_warmig.api.downloads import Downloads
from xo_warmig.api.hub import Hub
from xo_warmig.api.ports import MigrationEngine, Orders
from xo_warmig.api.server_book import ServerBook
from xo_warmig.api.session import Session
from xo_warmig.api.users import User


class Permission(StrEnum):
    """Who may call a method."""

    PUBLIC = "public"
    USER = "user"  # anybody who signed in
    ADMIN = "admin"


@dataclass(frozen=True)
class Services:
    """What method bodies work with."""

    engine: MigrationEngine
    servers: ServerBook
    hub: Hub
    collection: Collection
    chooser: Chooser
    downloads: Downloads
    orders: Orders
    accounts: Accounts
    audit: Audit
    version: str
    methods: Mapping[str, "Method"] = field(repr=False)


class Call(NamedTuple):
    """One call: on which connection, and by whom (None: not signed in, for public methods only)."""

    services: Services
    session: Session
    user: User | None

    @property
    def caller(self) -> User:
        """The user of a method that asks for one."""
        if self.user is None:
            raise RuntimeError("a public method asked who calls")
        return self.user


Body = Callable[[Call, Any], Awaitable[Any]]


class Method(NamedTuple):
    """``params``: the type of its parameters; without one, or with one that does not forbid unknown fields, anything is accepted.

    ``result``: the type of its result, for the published schemas. A body that returns None answers ``true``.
    """

    name: str
    body: Body
    permission: Permission
    description: str
    params: type[msgspec.Struct] | None = None
    result: Any = bool
