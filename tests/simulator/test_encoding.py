"""Values on the XML-RPC wire, letter for letter as a real pool sent them."""

import xmlrpc.client
from typing import Any

import pytest

from xo_warmig.simulator.database import Database
from xo_warmig.simulator.datatype import parse
from xo_warmig.simulator.dispatcher import Answer
from xo_warmig.simulator.encoding import escape, xml
from xo_warmig.simulator.envelopes import failure_xml, success_xml


def read(body: bytes) -> Any:
    """The value of a successful answer, as Python's own client reads it."""
    params: Any = xmlrpc.client.loads(body.decode())[0]
    return params[0]["Value"]


@pytest.mark.parametrize(
    ("kind", "value", "text"),
    [
        ("string", "OpaqueRef:1", "OpaqueRef:1"),
        ("int", 8589934592, "8589934592"),
        ("bool", True, "<boolean>1</boolean>"),
        ("float", 0.0, "<double>0</double>"),
        ("float", 0.1 + 0.2, "<double>0.3</double>"),
        ("datetime", "19700101T00:00:00Z", "<dateTime.iso8601>19700101T00:00:00Z</dateTime.iso8601>"),
        ("void", None, ""),
        ("VM ref set", [], "<array><data></data></array>"),
        ("string set", ["a<b"], "<array><data><value>a&lt;b</value></data></array>"),
        (
            "(string -> string) map",
            {"acpi": "1"},
            "<struct><member><name>acpi</name><value>1</value></member></struct>",
        ),
        (
            "(int -> float) map",
            {0: 1.5},
            "<struct><member><name>0</name><value><double>1.5</double></value></member></struct>",
        ),
    ],
)
def test_values_are_written_as_xapi_writes_them(kind: str, value: Any, text: str) -> None:
    """Strings and integers have no tag of their own."""
    assert xml(parse(kind), value) == f"<value>{text}</value>"


def test_control_characters_are_dropped() -> None:
    """Tab and line ends stay."""
    assert escape("a\x00\x1fb\tc\nd") == "ab\tc\nd"


def test_a_success_is_a_struct() -> None:
    """The head is that of a capture from a real pool."""
    assert success_xml(Answer(parse("bool"), True)) == (
        b'<?xml version="1.0"?><methodResponse><params><param><value><struct><member><name>Status</name><value>Success</value>'
        b"</member><member><name>Value</name><value><boolean>1</boolean></value></member></struct></value></param></params>"
        b"</methodResponse>"
    )


def test_a_failure_is_no_fault() -> None:
    """A struct of Status and ErrorDescription."""
    assert failure_xml(["HANDLE_INVALID", "VM", "OpaqueRef:nope"]) == (
        b'<?xml version="1.0"?><methodResponse><params><param><value><struct><member><name>Status</name><value>Failure</value>'
        b"</member><member><name>ErrorDescription</name><value><array><data><value>HANDLE_INVALID</value><value>VM</value>"
        b"<value>OpaqueRef:nope</value></data></array></value></member></struct></value></param></params></methodResponse>"
    )


def test_a_record_has_all_its_fields_when_read_by_an_independent_client(database: Database) -> None:
    """Integers arrive as text, dates as dates."""
    vdi = database.create("VDI", name_label='a "<&>" ü', virtual_size=5)
    record = read(success_xml(Answer(parse("VDI record"), database.row("VDI", vdi))))
    assert record["name_label"] == 'a "<&>" ü'
    assert record["virtual_size"] == "5"
    assert record["sharable"] is False
    assert str(record["snapshot_time"]) == "19700101T00:00:00Z"
    assert set(record) == set(database.row("VDI", vdi))


def test_an_event_batch_counts_in_real_integers() -> None:
    """The only ones on XAPI's wire; a deletion has no snapshot."""
    event = {"id": "7", "timestamp": "0.0", "class": "vm", "operation": "del", "ref": "OpaqueRef:1"}
    batch = {"events": [event], "valid_ref_counts": {"vm": 3}, "token": "t"}
    assert read(success_xml(Answer(parse("an event batch"), batch))) == batch
