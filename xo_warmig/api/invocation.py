"""One call of one method: Xen Orchestra's checks in its order (packages/xo-server/src/xo-mixins/api.mjs), then the body.

User record, the reserved ``_log``, permission, aliases, parameters marked with ``?``, schema. The method's name was resolved before.
"""

from functools import partial
from typing import Any, NamedTuple

import msgspec

from xo_warmig.api import xo_errors
from xo_warmig.api.dialect import Schema, property_map
from xo_warmig.api.error_mapping import naming_objects, to_xo_error
from xo_warmig.api.method import Call, Method, Permission, Services
from xo_warmig.api.session import Session
from xo_warmig.api.users import User
from xo_warmig.api.validation import validate
from xo_warmig.api.xo_errors import XoError

Params = dict[str, Any]


class Context(NamedTuple):
    """On behalf of which connection a method is called."""

    services: Services
    session: Session


async def invoke(method: Method, context: Context, params: Params | list[Any]) -> Any:
    """The method's result; ``True`` for one that returns nothing. Raises XoError and nothing else."""
    given = _by_name(params)
    call = partial(_invoke, method, context, given)
    return await context.services.audit.recorded(method.name, context.session, given, call)


async def _invoke(method: Method, context: Context, given: Params) -> Any:
    is_admin = False
    try:
        user = _current_user(context)
        is_admin = user is not None and user.is_admin
        if given.pop("_log", None) is not None and not is_admin:
            raise xo_errors.unauthorized("admin")
        _check_permission(method, user)
        result = await method.body(Call(context.services, context.session, user), arguments(method, given))
    except Exception as error:
        known = to_xo_error(error, method=method.name, is_admin=is_admin)
        raise naming_objects(known, context.services.collection.id_of) from error
    return True if result is None else result


def _current_user(context: Context) -> User | None:
    """The record as it is now: a user who was deleted meanwhile is refused with code 1."""
    if context.session.visitor is not None:
        return context.session.visitor
    user_id = context.session.user_id
    return None if user_id is None else context.services.accounts.users.get(user_id)


def _by_name(params: Params | list[Any]) -> Params:
    """JavaScript spreads an array into an object by position."""
    return dict(params) if isinstance(params, dict) else {str(index): value for index, value in enumerate(params)}


def _check_permission(method: Method, user: User | None) -> None:
    match method.permission:
        case Permission.PUBLIC:
            return
        case Permission.USER if user is None:
            raise xo_errors.unauthorized(None)
        case Permission.ADMIN if user is None or not user.is_admin:
            raise xo_errors.unauthorized("admin")


def arguments(method: Method, params: Params) -> msgspec.Struct | None:
    """The parameters as the body takes them. Raises XoError 10."""
    properties = property_map(method.params)
    _rename_to_id(method, properties, params)
    _settle_optional(properties, params)
    checked, errors = validate(properties, params)
    if errors:
        raise xo_errors.invalid_parameters(errors)
    if method.params is None:
        return None
    try:
        return msgspec.convert(checked, method.params)
    except msgspec.ValidationError as error:
        raise xo_errors.invalid_parameters([_beyond_schema(str(error))]) from error


def _rename_to_id(method: Method, properties: dict[str, Schema], params: Params) -> None:
    """``server.remove server=X`` works like ``id=X``."""
    namespace = method.name.split(".", 1)[0]
    if "id" in params or "id" not in properties or namespace in properties:
        return
    if isinstance(params.get(namespace), str):
        params["id"] = params.pop(namespace)


def _settle_optional(properties: dict[str, Schema], params: Params) -> None:
    """``foo?`` is ``foo`` where the method knows it, and is dropped where it does not."""
    for name in [name for name in params if name.endswith("?")]:
        value, plain = params.pop(name), name[:-1]
        if plain in params:
            raise XoError(10, f"invalid parameters: {plain} is given twice, as {plain} and as {name}", {"errors": []})
        if not properties or plain in properties:
            params[plain] = value


def _beyond_schema(text: str) -> dict[str, Any]:
    """What the types refuse though the schema allows it; msgspec writes the place as ``... - at `$.a.b```."""
    message, _, place = text.partition(" - at `$")
    path = place.rstrip("`").replace(".", "/").replace("[", "/").replace("]", "")
    return {"instancePath": path, "schemaPath": "#", "keyword": "type", "params": {}, "message": message}
