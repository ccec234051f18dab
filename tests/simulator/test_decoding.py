"""Arguments: what is taken, and how the rest is refused."""

import xmlrpc.client
from typing import Any

import pytest

from xo_warmig.simulator.datatype import parse
from xo_warmig.simulator.decoding import constructor_record, decode
from xo_warmig.simulator.failure import XapiFailure

VBD: dict[str, Any] = {
    "VM": "OpaqueRef:1",
    "VDI": "OpaqueRef:2",
    "userdevice": "0",
    "bootable": True,
    "mode": "RW",
    "type": "Disk",
    "empty": False,
    "other_config": {},
    "qos_algorithm_type": "",
    "qos_algorithm_params": {},
}


@pytest.mark.parametrize(
    ("kind", "raw", "value"),
    [
        ("int", "12", 12),
        ("int", -3, -3),
        ("float", 1, 1.0),
        ("float", "0.5", 0.5),
        ("datetime", xmlrpc.client.DateTime("20261123T02:42:36Z"), "20261123T02:42:36Z"),
        ("datetime", "2026-11-23T02:42:36.5Z", "20261123T02:42:36Z"),
        ("(VDI ref -> SR ref) map", {"OpaqueRef:1": "OpaqueRef:2"}, {"OpaqueRef:1": "OpaqueRef:2"}),
        ("(int -> int) map", {"1": "2"}, {1: 2}),
        ("enum vbd_mode", "RO", "RO"),
    ],
)
def test_values_are_read(kind: str, raw: Any, value: Any) -> None:
    """Integers and dates come in several forms."""
    assert decode(parse(kind), raw) == value


@pytest.mark.parametrize(
    ("kind", "raw"),
    [
        ("int", True),
        ("int", "1x"),
        ("int", "9223372036854775808"),
        ("bool", "1"),
        ("bool", 1),
        ("string", 5),
        ("VM ref", None),
        ("string set", "a"),
        ("(string -> string) map", []),
        ("float", True),
        ("VM record", "x"),
    ],
)
def test_a_wrong_type_is_an_internal_error(kind: str, raw: Any) -> None:
    """Nothing is guessed."""
    with pytest.raises(XapiFailure) as refused:
        decode(parse(kind), raw)
    assert refused.value.code == "INTERNAL_ERROR"


@pytest.mark.parametrize(("kind", "raw"), [("enum vbd_mode", "ro"), ("datetime", "yesterday")])
def test_a_bad_enum_or_date_is_an_invalid_value(kind: str, raw: str) -> None:
    """Case counts."""
    with pytest.raises(XapiFailure) as refused:
        decode(parse(kind), raw)
    assert refused.value.code == "INVALID_VALUE"


def test_a_constructor_fills_what_is_optional_and_ignores_the_rest() -> None:
    """Runtime fields and members that nobody knows count for nothing."""
    record = constructor_record("VBD", VBD | {"uuid": "x", "nonsense": 1, "status_code": "5"})
    assert record["unpluggable"] is True
    assert not {"uuid", "nonsense", "status_code"} & set(record)


def test_a_missing_member_is_named() -> None:
    """As Dispatcher_FieldNotFound."""
    with pytest.raises(XapiFailure) as refused:
        constructor_record("VBD", {name: value for name, value in VBD.items() if name != "mode"})
    assert refused.value.details[0] == "INTERNAL_ERROR"
    assert 'Dispatcher_FieldNotFound("mode")' in refused.value.details[1]
