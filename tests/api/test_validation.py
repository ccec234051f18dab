"""Parameter errors, held against what Ajv 8 really answered for Xen Orchestra's schema of vm.warmMigration."""

from typing import Any

import msgspec
import pytest
from msgspec import UNSET, UnsetType

from xo_warmig.api.dialect import property_map
from xo_warmig.api.methods import METHODS
from xo_warmig.api.validation import validate
from xo_warmig.model.requests import NonEmpty, WarmMigrationRequest

WARM = {"vm": "v", "sr": "s", "startDestinationVm": True, "deleteSourceVm": False}


def errors(values: dict[str, Any], kind: type[msgspec.Struct] = WarmMigrationRequest) -> list[dict[str, Any]]:
    return validate(property_map(kind), values)[1]


@pytest.mark.parametrize(
    ("change", "at", "schema_at", "params", "message"),
    [
        ({"vm": ""}, "/vm", "properties/vm/minLength", {"limit": 1}, "must NOT have fewer than 1 characters"),
        ({"sr": 1}, "/sr", "properties/sr/type", {"type": "string"}, "must be string"),
        (
            {"deleteSourceVm": None},
            "/deleteSourceVm",
            "properties/deleteSourceVm/type",
            {"type": "boolean"},
            "must be boolean",
        ),
        (
            {"startDestinationVm": "true"},
            "/startDestinationVm",
            "properties/startDestinationVm/type",
            {"type": "boolean"},
            "must be boolean",
        ),
        (
            {"foo": 1},
            "",
            "additionalProperties",
            {"additionalProperty": "foo"},
            "must NOT have additional properties",
        ),
        (
            {"targetDowntime": 0},
            "/targetDowntime",
            "properties/targetDowntime/exclusiveMinimum",
            {"comparison": ">", "limit": 0},
            "must be > 0",
        ),
        (
            {"maxPasses": 1},
            "/maxPasses",
            "properties/maxPasses/minimum",
            {"comparison": ">=", "limit": 2},
            "must be >= 2",
        ),
        ({"maxPasses": 2.5}, "/maxPasses", "properties/maxPasses/type", {"type": "integer"}, "must be integer"),
        ({"maxPasses": True}, "/maxPasses", "properties/maxPasses/type", {"type": "integer"}, "must be integer"),
        (
            {"maxRate": 65535},
            "/maxRate",
            "properties/maxRate/minimum",
            {"comparison": ">=", "limit": 65536},
            "must be >= 65536",
        ),
        (
            {"maxRate": "50MiB"},
            "/maxRate",
            "properties/maxRate/type",
            {"type": ["integer", "null"]},
            "must be integer,null",
        ),
        (
            {"maxRate": 1e6 + 0.5},
            "/maxRate",
            "properties/maxRate/type",
            {"type": ["integer", "null"]},
            "must be integer,null",
        ),
        (
            {"throttleFinalPass": 1},
            "/throttleFinalPass",
            "properties/throttleFinalPass/type",
            {"type": "boolean"},
            "must be boolean",
        ),
        (
            {"onFailure": "burn"},
            "/onFailure",
            "properties/onFailure/enum",
            {"allowedValues": ["keep", "drop"]},
            "must be equal to one of the allowed values",
        ),
        (
            {"shutdown": {"timeout": "1"}},
            "/shutdown/timeout",
            "properties/shutdown/properties/timeout/type",
            {"type": "integer"},
            "must be integer",
        ),
        (
            {"shutdown": {"x": 1}},
            "/shutdown",
            "properties/shutdown/additionalProperties",
            {"additionalProperty": "x"},
            "must NOT have additional properties",
        ),
        (
            {"mapVdisSrs": {"a/b~c": ""}},
            "/mapVdisSrs/a~1b~0c",
            "properties/mapVdisSrs/additionalProperties/minLength",
            {"limit": 1},
            "must NOT have fewer than 1 characters",
        ),
    ],
)
def test_one_wrong_thing(change: dict[str, Any], at: str, schema_at: str, params: dict[str, Any], message: str) -> None:
    """Place, schema place, keyword, parameters and message."""
    keyword = schema_at.rsplit("/", 1)[-1]
    assert errors(WARM | change) == [
        {"instancePath": at, "schemaPath": f"#/{schema_at}", "keyword": keyword, "params": params, "message": message}
    ]


def test_order() -> None:
    """Everything missing as declared, then everything unknown, then each property as declared."""
    found = errors({"zzz": 1, "deleteSourceVm": 1, "sr": ""})
    assert [(e["keyword"], e["instancePath"]) for e in found] == [
        ("required", ""),
        ("required", ""),
        ("additionalProperties", ""),
        ("minLength", "/sr"),
        ("type", "/deleteSourceVm"),
    ]
    assert [e["params"]["missingProperty"] for e in found[:2]] == ["vm", "startDestinationVm"]


class Everything(msgspec.Struct, forbid_unknown_fields=True):
    """One of each."""

    either: float | NonEmpty | UnsetType = UNSET
    maybe: str | UnsetType | None = UNSET
    many: list[NonEmpty] | UnsetType = UNSET
    free: dict[str, Any] | UnsetType = UNSET
    anything: Any = None


def test_a_union_takes_each_of_its_types() -> None:
    """And names them all when none fits."""
    assert errors({"either": 1, "maybe": None}, Everything) == []
    assert errors({"either": "1 day", "maybe": ""}, Everything) == []
    (error,) = errors({"either": True}, Everything)
    assert (error["params"], error["message"]) == ({"type": ["number", "string"]}, "must be number,string")
    (error,) = errors({"either": ""}, Everything)
    assert error["keyword"] == "minLength"


def test_words_beside_numbers_are_left_to_the_type() -> None:
    """An ``enum`` in the schema would refuse the numbers: a client that checks before it sends would not send them."""
    schema = property_map(WarmMigrationRequest)["commit"]
    assert schema == {"type": ["string", "integer"], "minimum": 0, "optional": True, "default": "auto"}
    assert errors(WARM | {"commit": 60}) == errors(WARM | {"commit": "manual"}) == []
    assert errors(WARM | {"commit": -1})[0]["keyword"] == "minimum"


def test_items_are_checked_one_by_one() -> None:
    """With their position."""
    found = errors({"many": ["a", "", 3]}, Everything)
    assert [(e["instancePath"], e["schemaPath"]) for e in found] == [
        ("/many/1", "#/properties/many/items/minLength"),
        ("/many/2", "#/properties/many/items/type"),
    ]


def test_free_objects_take_anything() -> None:
    """So does a member without a type."""
    assert errors({"free": {"x": [1, None]}, "anything": [{}]}, Everything) == []
    assert errors({"free": []}, Everything)[0]["message"] == "must be object"


def test_defaults_are_filled_in() -> None:
    """At every level; and a whole float is an integer, as in JavaScript."""
    values, found = validate(property_map(WarmMigrationRequest), WARM | {"maxPasses": 3.0, "shutdown": {"timeout": 5}})
    assert found == []
    request = msgspec.convert(values, WarmMigrationRequest)
    assert (request.max_passes, request.shutdown.timeout, request.target_downtime) == (3, 5, 30.0)
    assert values["shutdown"] == {"timeout": 5, "force": "ifNoTools"}


def test_without_properties_anything_goes() -> None:
    """A method that declares none is not checked."""
    assert validate({}, {"x": 1}) == ({"x": 1}, [])


# What a real xo-server 5.207 lists for the methods that we share with it, as far as we take the same parameters.
XO = {
    "server.disable": {"id": {"type": "string"}},
    "server.remove": {"id": {"type": "string"}},
    "session.getUser": {},
    "session.signIn": {},
    "session.signInWithPassword": {"email": {"type": "string"}, "password": {"type": "string"}},
    "session.signInWithToken": {"token": {"type": "string"}},
    "system.methodSignature": {"method": {"type": "string"}},
    "token.create": {
        "client": {"optional": True, "properties": {"id": {"type": "string"}}, "type": "object"},
        "description": {"optional": True, "type": "string"},
        "expiresIn": {"optional": True, "type": ["number", "string"]},
    },
    "token.delete": {
        "pattern": {"optional": True, "type": "object"},
        "tokens": {"items": {"type": "string"}, "optional": True, "type": "array"},
    },
    "token.set": {
        "description": {"minLength": 0, "optional": True, "type": ["null", "string"]},
        "id": {"type": "string"},
    },
}


@pytest.mark.parametrize("name", XO)
def test_our_types_give_xos_schemas(name: str) -> None:
    """Word for word; the order of a union's types does not matter."""
    assert _sorted(property_map(METHODS[name].params)) == _sorted(XO[name])


def _sorted(schema: Any) -> Any:
    if isinstance(schema, dict):
        return {key: sorted(v) if key == "type" and isinstance(v, list) else _sorted(v) for key, v in schema.items()}
    return schema
