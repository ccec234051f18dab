"""What is seen of a frame, without changing it."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from xo_warmig.api.gateway.messages.frame import Frame, Odd, look


def seen(text: str | bytes) -> Frame:
    frame = look(text)
    assert isinstance(frame, Frame)
    return frame


def test_a_request_shows_its_method_and_id() -> None:
    """And is no answer."""
    frame = seen('{"id":-9007199254740991,"jsonrpc":"2.0","method":"vm.start","params":{"id":"x"}}')
    assert (frame.method, frame.key, frame.is_answer) == ("vm.start", -9007199254740991.0, False)


@pytest.mark.parametrize(
    ("sent", "answered"),
    [
        ("-9007199254740991", "-9007199254740991"),
        ("5", "5.0"),
        ("1.50", "1.5"),
        ("1e2", "100"),
        ('"a\\u00e9"', '"aé"'),
        ("12345678901234567890123", "1.2345678901234568e+22"),
    ],
)
def test_an_id_is_found_again_as_javascript_writes_it(sent: str, answered: str) -> None:
    """The answer's text of it may differ from the request's."""
    assert seen(f'{{"id":{sent},"method":"m"}}').key == seen(f'{{"id":{answered},"result":1}}').key


@pytest.mark.parametrize("id", ["null", "true", "[1]", "{}"])
def test_what_is_no_id_is_none(id: str) -> None:
    """The frame is read all the same."""
    assert seen(f'{{"id":{id},"method":"m"}}').key is None


def test_the_last_of_two_members_counts() -> None:
    """As for JSON.parse; also when it is written with escapes."""
    frame = seen('{"method":"vm.start","id":1,"m\\u0065thod":"vm.stop","id":2}')
    assert (frame.method, frame.key) == ("vm.stop", 2.0)


@pytest.mark.parametrize(
    ("text", "what"),
    [
        (" [1]", Odd.BATCH),
        ("[]", Odd.BATCH),
        ("{", Odd.UNREADABLE),
        ("", Odd.UNREADABLE),
        ("5", Odd.UNREADABLE),
        ('{"id":1}x', Odd.UNREADABLE),
        ('{"id":1,"params":' + "[" * 50_000 + "]" * 50_000 + "}", Odd.TOO_DEEP),
        (b'{"id":"\xff"}', Odd.UNREADABLE),
    ],
)
def test_what_is_no_message_is_told_apart(text: str | bytes, what: Odd) -> None:
    """Nothing raises."""
    assert look(text) is what


@pytest.mark.parametrize("as_bytes", [False, True])
def test_half_a_surrogate_pair_hides_nothing(as_bytes: bool) -> None:
    """JavaScript writes and reads such names; the result's text keeps it."""
    text = '{"id":1,"jsonrpc":"2.0","result":{"name":"\\ud83d é","other":"\\ud83d\\udc18"}}'
    frame = seen(text.encode() if as_bytes else text)
    assert (frame.key, frame.is_answer) == (1.0, True)
    assert frame.result_text() == '{"name":"\\ud83d é","other":"\\ud83d\\udc18"}'
    assert seen('{"id":1,"method":"vm.warmMigration","params":{"vm":"\\ud83d"}}').method == "vm.warmMigration"


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)


@settings(max_examples=50)
@given(result=JSON, id=st.integers(-(2**53), 2**53) | st.text(), ascii=st.booleans())
def test_a_result_is_the_text_that_was_sent(result: object, id: int | str, ascii: bool) -> None:
    """Whatever is in it, and whichever way it is escaped."""
    written = json.dumps(result, ensure_ascii=ascii)
    text = f'{{"id":{json.dumps(id)},"jsonrpc":"2.0","result":{written}}}'
    try:
        text.encode()
    except UnicodeEncodeError:  # no websocket carries half a pair but escaped
        return
    frame = seen(text)
    assert frame.result_text() == written
    assert frame.key == (float(id) if isinstance(id, int) else id)
