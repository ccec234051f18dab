"""``user.*``: users and their tokens, as in XO (packages/xo-server/src/api/user.mjs)."""

from typing import Any, Literal

import msgspec
from msgspec import UNSET, UnsetType

from xo_warmig.api import xo_errors
from xo_warmig.api.method import Call, Method, Permission
from xo_warmig.api.tokens import Token
from xo_warmig.api.users import User
from xo_warmig.errors import InvalidRequest, WarmigError
from xo_warmig.model.requests import NonEmpty

Level = Literal["none", "read", "write", "admin"]


class CreateUser(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """``user.create``."""

    email: NonEmpty
    password: NonEmpty
    permission: Level = "none"


class SetUser(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """``user.set``. ``preferences`` are merged into those there are; null removes one."""

    id: NonEmpty
    email: NonEmpty | UnsetType = UNSET
    password: NonEmpty | UnsetType = UNSET
    permission: Level | UnsetType = UNSET
    preferences: dict[str, Any] | UnsetType = UNSET


class UserId(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A user by its id."""

    id: NonEmpty


class ChangePassword(msgspec.Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """``user.changePassword``, of the caller."""

    old_password: NonEmpty
    new_password: NonEmpty


async def get_all(call: Call, params: None) -> list[User]:
    return call.services.accounts.users.all()


async def get_authentication_tokens(call: Call, params: None) -> list[Token]:
    accounts = call.services.accounts
    return accounts.tokens.of_user(call.caller.id, accounts.now_ms())


async def create(call: Call, params: CreateUser) -> str:
    accounts = call.services.accounts
    try:
        made = await accounts.add_user(params.email, params.password, permission=params.permission)
    except InvalidRequest as error:
        raise _exists(error) from error
    return made.id


async def set_(call: Call, params: SetUser) -> None:
    """A caller who is no administrator may change their own preferences; nobody takes away their own permission."""
    reserved = {name for name in ("email", "password", "permission") if getattr(params, name) is not UNSET}
    own = params.id == call.caller.id
    if not call.caller.is_admin and (reserved or not own):
        raise xo_errors.unauthorized("admin")
    if own and "permission" in reserved and params.permission != call.caller.permission:
        raise _refused("permission", "a user cannot change its own permission")
    changes = msgspec.structs.asdict(params)
    given = {name: changes[name] for name in (*reserved, "preferences") if changes[name] is not UNSET}
    try:
        await call.services.accounts.change_user(params.id, **given)
    except InvalidRequest as error:
        raise _exists(error) from error
    if "permission" in reserved:
        call.services.hub.changed(params.id, is_admin=params.permission == "admin")


async def delete(call: Call, params: UserId) -> None:
    if params.id == call.caller.id:
        raise _refused("id", "a user cannot delete itself")
    call.services.accounts.users.remove(params.id)
    call.services.hub.changed(params.id, is_admin=None)


async def change_password(call: Call, params: ChangePassword) -> None:
    accounts = call.services.accounts
    await accounts.sign_in_with_password(call.caller.email, params.old_password)
    await accounts.change_user(call.caller.id, password=params.new_password)


def _exists(error: WarmigError) -> xo_errors.XoError:
    return xo_errors.object_already_exists(error.evidence["email"], "user")


def _refused(parameter: str, why: str) -> InvalidRequest:
    return InvalidRequest(why, code="NOT_YOURSELF", evidence={"instancePath": f"/{parameter}"})


METHODS = (
    Method("user.getAll", get_all, Permission.ADMIN, "return all users", None, list[User]),
    Method("user.create", create, Permission.ADMIN, "make a user; returns the id", CreateUser, str),
    Method("user.set", set_, Permission.USER, "change a user", SetUser),
    Method("user.delete", delete, Permission.ADMIN, "delete a user and all of its tokens", UserId),
    Method("user.changePassword", change_password, Permission.USER, "change one's own password", ChangePassword),
    Method(
        "user.getAuthenticationTokens",
        get_authentication_tokens,
        Permission.USER,
        "return one's own tokens",
        None,
        list[Token],
    ),
)
