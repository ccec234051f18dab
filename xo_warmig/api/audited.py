"""Which methods are recorded in the audit, and which of their values go there.

Every method is in one of the two: a test says so when one is new. A parameter is named here only when it is the id of an object:
tokens, names, addresses and free text may hold secrets.
"""

from types import MappingProxyType
from typing import Final, NamedTuple


class Recorded(NamedTuple):
    """``parameters`` are the ids of objects; ``makes``: the result is one too."""

    parameters: tuple[str, ...] = ()
    makes: bool = False
    signs_in: bool = False


_SIGNS_IN = Recorded(signs_in=True)
_MIGRATES = Recorded(("vm", "sr"), makes=True)
_BY_ID = Recorded(("id",))

RECORDED: Final = MappingProxyType(
    {
        "session.signIn": _SIGNS_IN,
        "session.signInWithPassword": _SIGNS_IN,
        "session.signInWithToken": _SIGNS_IN,
        "server.add": Recorded(makes=True),
        "server.set": _BY_ID,
        "server.remove": _BY_ID,
        "server.enable": _BY_ID,
        "server.disable": _BY_ID,
        "sr.scan": _BY_ID,
        "sr.set": _BY_ID,
        "task.cancel": _BY_ID,
        "task.destroy": _BY_ID,
        "token.create": Recorded(),
        "token.set": Recorded(),
        "token.delete": Recorded(),
        "token.deleteOwn": Recorded(),
        "user.create": Recorded(makes=True),
        "user.set": _BY_ID,
        "user.delete": _BY_ID,
        "user.changePassword": Recorded(),
        "vm.start": _BY_ID,
        "vm.stop": _BY_ID,
        "vm.restart": _BY_ID,
        "vm.pause": _BY_ID,
        "vm.unpause": _BY_ID,
        "vm.suspend": _BY_ID,
        "vm.resume": _BY_ID,
        "vm.snapshot": Recorded(("id",), makes=True),
        "vm.delete": _BY_ID,
        "vm.set": _BY_ID,
        "vm.warmMigration": _MIGRATES,
        "warmMigration.start": _MIGRATES,
        "warmMigration.cutover": _BY_ID,
        "warmMigration.pause": _BY_ID,
        "warmMigration.resume": _BY_ID,
        "warmMigration.cancel": _BY_ID,
        "warmMigration.rollback": _BY_ID,
        "warmMigration.commit": _BY_ID,
        "warmMigration.sweep": Recorded(),
    }
)

CHANGES_NOTHING: Final = frozenset(
    {
        "api.getConnections",
        "server.getAll",
        "session.getUser",
        "session.signOut",
        "system.getMethodsInfo",
        "system.getServerTimezone",
        "system.getServerVersion",
        "system.getVersion",
        "system.listMethods",
        "system.methodSignature",
        "user.getAll",
        "user.getAuthenticationTokens",
        "vm.getHaValues",
        "warmMigration.events",
        "warmMigration.get",
        "warmMigration.list",
        "warmMigration.plan",
        "xo.getAllObjects",
    }
)
