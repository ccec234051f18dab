"""``token.*``: authentication tokens."""

from typing import Any

import msgspec
from msgspec import UNSET, UnsetType

from xo_warmig.api.durations import milliseconds
from xo_warmig.api.method import Call, Method, Permission
from xo_warmig.api.tokens import Token
from xo_warmig.model.requests import NonEmpty


class TokenClient(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The installation of a program; it gets the same token again."""

    id: NonEmpty


class CreateToken(msgspec.Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """``token.create``. ``expires_in``: milliseconds, or text such as ``30 days``."""

    client: TokenClient | UnsetType = UNSET
    description: NonEmpty | UnsetType = UNSET
    expires_in: float | NonEmpty | UnsetType = UNSET


class SetToken(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """``token.set``: null removes the description."""

    id: NonEmpty
    description: str | UnsetType | None = UNSET


class DeleteTokens(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """``token.delete`` and ``token.deleteOwn``: the tokens that fit the pattern; without one, these."""

    tokens: list[NonEmpty] | UnsetType = UNSET
    pattern: dict[str, Any] | UnsetType = UNSET


async def create(call: Call, params: CreateToken) -> str:
    accounts = call.services.accounts
    return accounts.tokens.create(
        call.caller.id,
        accounts.now_ms(),
        lifetime_ms=None if params.expires_in is UNSET else milliseconds(params.expires_in),
        description=None if params.description is UNSET else params.description,
        client_id=None if params.client is UNSET else params.client.id,
    )


async def set_(call: Call, params: SetToken) -> None:
    if params.description is not UNSET:
        call.services.accounts.tokens.describe(params.id, call.caller.id, params.description)


async def delete(call: Call, params: DeleteTokens) -> None:
    accounts = call.services.accounts
    await _delete(call, params, accounts.tokens.all(accounts.now_ms()))


async def delete_own(call: Call, params: DeleteTokens) -> None:
    accounts = call.services.accounts
    await _delete(call, params, accounts.tokens.of_user(call.caller.id, accounts.now_ms()))


async def _delete(call: Call, params: DeleteTokens, among: list[Token]) -> None:
    named: list[str] = [] if params.tokens is UNSET else list(params.tokens)
    pattern = {"id": {"__or": named}} if params.pattern is UNSET else params.pattern
    chosen = await call.services.chooser.chosen((msgspec.to_builtins(token) for token in among), pattern)
    call.services.accounts.tokens.delete([token["id"] for token in chosen])


METHODS = (
    Method("token.create", create, Permission.USER, "create an authentication token", CreateToken, str),
    Method("token.set", set_, Permission.USER, "change a token's description", SetToken),
    Method("token.delete", delete, Permission.ADMIN, "delete tokens of any user", DeleteTokens),
    Method("token.deleteOwn", delete_own, Permission.USER, "delete one's own tokens", DeleteTokens),
)
