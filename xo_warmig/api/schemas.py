"""The published form of the API: JSON Schemas of every method's parameters and result and of every notification, and an OpenRPC document.

Made from the types; ``python -m xo_warmig.api.schemas --write`` puts them into ``schemas/``, ``--check`` compares.
"""

import argparse
import inspect
import json
import sys
from pathlib import Path
from typing import Any, Final, Literal

import msgspec

import xo_warmig
from xo_warmig.api.method import Method, Permission
from xo_warmig.api.methods import METHODS
from xo_warmig.api.tasks import Task
from xo_warmig.model.events import Event
from xo_warmig.model.reports import MigrationReport

DIRECTORY: Final = Path(__file__).parents[2] / "schemas"
_DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"
_REF: Final = "#/components/schemas/{name}"
Json = dict[str, Any]


class AllParams(msgspec.Struct, frozen=True, kw_only=True):
    """XO's notification of objects that appeared or changed (whole), or that are gone (0)."""

    type: Literal["enter", "exit"]
    items: dict[str, Task | Literal[0]]


class WarmMigrationParams(msgspec.Struct, frozen=True, kw_only=True):
    """A migration as it is now, and the durable fact that caused this; null for mere progress."""

    report: MigrationReport
    event: Event | None


NOTIFICATIONS: Final[dict[str, Any]] = {"all": AllParams, "warmMigration": WarmMigrationParams}


def documents() -> dict[str, Json]:
    """Every file by its name in ``schemas/``."""
    files: dict[str, Json] = {"openrpc.json": open_rpc()}
    for method in METHODS.values():
        files[f"methods/{method.name}.params.json"] = _file(f"{method.name} parameters", _params(method))
        files[f"methods/{method.name}.result.json"] = _file(f"{method.name} result", method.result)
    for name, kind in NOTIFICATIONS.items():
        files[f"notifications/{name}.json"] = _file(f"{name} notification", kind)
    return {name: _dedented(document) for name, document in files.items()}


def _dedented(node: Any) -> Any:
    """Docstrings without their indentation, which Python keeps up to 3.12 and drops from 3.13 on."""
    match node:
        case dict():
            return {
                key: inspect.cleandoc(value) if key == "description" and isinstance(value, str) else _dedented(value)
                for key, value in node.items()
            }
        case list():
            return [_dedented(each) for each in node]
        case _:
            return node


def open_rpc() -> Json:
    """One document of all methods (https://spec.open-rpc.org)."""
    kinds = [kind for method in METHODS.values() for kind in (_params(method), method.result)]
    shapes, components = msgspec.json.schema_components(
        [*kinds, *NOTIFICATIONS.values()], schema_hook=_anything, ref_template=_REF
    )
    pairs = zip(shapes[0 : len(kinds) : 2], shapes[1 : len(kinds) : 2], strict=True)
    methods = [_open_rpc_method(m, *pair, components) for m, pair in zip(METHODS.values(), pairs, strict=True)]
    notifications = zip(NOTIFICATIONS, shapes[len(kinds) :], strict=True)
    return {
        "openrpc": "1.3.2",
        "info": {
            "title": "xo_warmig",
            "version": xo_warmig.__version__,
            "description": "JSON-RPC 2.0 over a websocket at /api/, in Xen Orchestra's dialect.",
        },
        "methods": methods,
        "x-notifications": [{"name": name, "params": shape} for name, shape in notifications],
        "components": {"schemas": components},
    }


def _open_rpc_method(method: Method, params: Json, result: Json, components: Json) -> Json:
    shape = components[params["$ref"].rsplit("/", 1)[1]] if "$ref" in params else params
    required = shape.get("required", [])
    described = [
        {"name": name, "required": name in required, "schema": schema}
        for name, schema in shape.get("properties", {}).items()
    ]
    return {
        "name": method.name,
        "summary": method.description,
        "paramStructure": "by-name",
        "params": described,
        "result": {"name": "result", "schema": result},
        "x-permission": str(method.permission),
        "x-sign-in": method.permission is not Permission.PUBLIC,
    }


def _params(method: Method) -> Any:
    return dict[str, Any] if method.params is None else method.params


def _file(title: str, kind: Any) -> Json:
    return {"$schema": _DIALECT, "title": title} | msgspec.json.schema(kind, schema_hook=_anything)


def _anything(kind: type) -> Json:
    """``object`` stands for any JSON value."""
    if kind is object:
        return {"description": "any JSON value"}
    raise NotImplementedError(f"no JSON Schema for {kind}")


def differences(directory: Path) -> list[str]:
    """The names of files that are missing, that differ, or that should not be there."""
    wanted = {name: _text(document) for name, document in documents().items()}
    there = {str(path.relative_to(directory)): path.read_text() for path in directory.rglob("*.json")}
    return sorted(name for name in wanted.keys() | there.keys() if wanted.get(name) != there.get(name))


def write(directory: Path) -> None:
    for path in directory.rglob("*.json"):
        path.unlink()
    for name, document in documents().items():
        path = directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(_text(document))


def _text(document: Json) -> str:
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    action = parser.add_mutually_exclusive_group(required=True)
    action.add_argument("--write", action="store_true", help="write schemas/ anew")
    action.add_argument("--check", action="store_true", help="exit 1 when schemas/ is not what the types say")
    parser.add_argument("--dir", type=Path, default=DIRECTORY)
    given = parser.parse_args(arguments)
    if given.write:
        write(given.dir)
        return 0
    stale = differences(given.dir)
    for name in stale:
        print(f"stale: {given.dir.name}/{name} (python -m xo_warmig.api.schemas --write)", file=sys.stderr)
    return 1 if stale else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
