"""``system.*``: what this server is and which methods it has."""

import os
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import msgspec

from xo_warmig.api import xo_errors
from xo_warmig.api.dialect import property_map
from xo_warmig.api.method import Call, Method, Permission
from xo_warmig.model.requests import NonEmpty

API_VERSION = "0.1"  # what xo-server has always answered


class MethodSignature(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """``system.methodSignature``."""

    method: NonEmpty


async def get_methods_info(call: Call, params: None) -> dict[str, dict[str, Any]]:
    return {name: describe(method) for name, method in call.services.methods.items()}


async def list_methods(call: Call, params: None) -> list[str]:
    return list(call.services.methods)


async def method_signature(call: Call, params: MethodSignature) -> list[dict[str, Any]]:
    method = call.services.methods.get(params.method)
    if method is None:
        raise xo_errors.no_such_object(params.method)
    return [{"name": method.name, **describe(method)}]


async def get_server_version(call: Call, params: None) -> str:
    return call.services.version


async def get_version(call: Call, params: None) -> str:
    return API_VERSION


async def get_server_timezone(call: Call, params: None) -> str:
    return local_zone()


def describe(method: Method) -> dict[str, Any]:
    """A method as XO lists it: ``permission`` is null for public ones and absent for those of any user."""
    described: dict[str, Any] = {"description": method.description, "params": property_map(method.params)}
    match method.permission:
        case Permission.PUBLIC:
            described["permission"] = None
        case Permission.ADMIN:
            described["permission"] = "admin"
        case Permission.USER:
            pass
    return described


def local_zone(timezone_file: Path = Path("/etc/timezone"), link: Path = Path("/etc/localtime")) -> str:
    """The IANA name of this machine's time zone; UTC where nothing names one."""
    named = [os.environ.get("TZ", "").lstrip(":")]
    if timezone_file.is_file():
        named.append(timezone_file.read_text().strip())
    if link.is_symlink():
        named.append(str(link.resolve()).partition("zoneinfo/")[2])
    return next((name for name in named if name and _is_zone(name)), "UTC")


def _is_zone(name: str) -> bool:
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return False
    return True


METHODS = (
    Method(
        "system.getMethodsInfo",
        get_methods_info,
        Permission.PUBLIC,
        "return the signatures of all methods",
        None,
        dict[str, dict[str, Any]],
    ),
    Method("system.listMethods", list_methods, Permission.PUBLIC, "return the names of all methods", None, list[str]),
    Method(
        "system.methodSignature",
        method_signature,
        Permission.PUBLIC,
        "return the signature of a method",
        MethodSignature,
        list[dict[str, Any]],
    ),
    Method("system.getServerVersion", get_server_version, Permission.PUBLIC, "return this server's version", None, str),
    Method("system.getVersion", get_version, Permission.PUBLIC, "return the API's version", None, str),
    Method("system.getServerTimezone", get_server_timezone, Permission.USER, "return the time zone", None, str),
)
