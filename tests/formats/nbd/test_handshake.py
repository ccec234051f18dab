"""Coming to an export: what is said in which order, and what a server may not say."""

import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from xo_warmig.errors import FormatError
from xo_warmig.formats.nbd import Export, Handshake, Stage, Step

NAME = "/e6ba5c0d?session_id=OpaqueRef:1"
FIXED, FIXED_WITHOUT_ZEROS = 1, 3
STARTTLS, EXPORT_NAME = 5, 1
ACK = 1


def greeting(flags: int = FIXED) -> bytes:
    return b"NBDMAGICIHAVEOPT" + struct.pack(">H", flags)


def reply(kind: int, words: bytes = b"", *, option: int = STARTTLS, magic: int = 0x0003E889045565A9) -> bytes:
    return struct.pack(">QIII", magic, option, kind, len(words)) + words


def export(size_bytes: int = 1 << 30, flags: int = 3, zeros: int = 124) -> bytes:
    return struct.pack(">QH", size_bytes, flags) + bytes(zeros)


def option(number: int, data: bytes = b"") -> bytes:
    return b"IHAVEOPT" + struct.pack(">II", number, len(data)) + data


def stage_of(handshake: Handshake) -> Stage:
    return handshake.stage


def test_in_clear() -> None:
    """The greeting is answered with the flags and the name at once; the export ends it."""
    handshake = Handshake(NAME, secure=False)
    assert stage_of(handshake) is Stage.GREETING
    assert handshake.feed(greeting()) == [struct.pack(">I", FIXED), option(EXPORT_NAME, NAME.encode())]
    assert stage_of(handshake) is Stage.EXPORT
    assert handshake.feed(export()) == []
    assert handshake.wanted == 0
    assert handshake.export == Export(1 << 30, read_only=True)


def test_zeros_are_left_out_only_where_the_server_offers_it() -> None:
    """And unknown offers are not taken."""
    handshake = Handshake(NAME, secure=False)
    assert handshake.feed(greeting(0xFFFF))[0] == struct.pack(">I", FIXED_WITHOUT_ZEROS)
    handshake.feed(export(flags=1, zeros=0))
    assert handshake.export == Export(1 << 30, read_only=False)


def test_tls_comes_before_the_name() -> None:
    """Which holds a session."""
    handshake = Handshake(NAME, secure=True)
    assert handshake.feed(greeting()) == [struct.pack(">I", FIXED), option(STARTTLS)]
    assert stage_of(handshake) is Stage.TLS
    assert handshake.feed(reply(ACK)) == [Step.START_TLS, option(EXPORT_NAME, NAME.encode())]
    assert stage_of(handshake) is Stage.EXPORT
    handshake.feed(export())
    assert handshake.wanted == 0


@pytest.mark.parametrize(
    ("kind", "name"), [(0x80000002, "ERR_POLICY"), (0x80000001, "ERR_UNSUP"), (0x800000FF, "0x800000ff")]
)
def test_a_server_without_tls_is_told_of_by_the_protocol_s_names(kind: int, name: str) -> None:
    """The name of the export is not sent to it."""
    handshake = Handshake(NAME, secure=True)
    handshake.feed(greeting())
    with pytest.raises(FormatError, match="refuses TLS") as refused:
        handshake.feed(reply(kind, b"not \xff here"))
    assert refused.value.code == "NBD_TLS_REFUSED"
    assert refused.value.evidence == {"reply": name, "words": "not \\xff here"}
    assert "purpose nbd" in refused.value.remedy


@pytest.mark.parametrize(
    ("answers", "why"),
    [
        ([b"HTTP/1.1 400 Bad R"], "something else than NBD's greeting"),
        ([b"NBDMAGIC" + struct.pack(">QH", 0x00420281861253, 0)], "without negotiation"),
        ([b"NBDMAGICIHAVEOPX\0\1"], "unknown kind of negotiation"),
        ([greeting(2)], "refuses no option properly"),
        ([greeting(), reply(ACK, magic=0x0003E889045565AA)], "no answer where one to STARTTLS"),
        ([greeting(), reply(ACK, option=8)], "nobody asked for"),
        ([greeting(), reply(ACK, b"x")], "does not fit STARTTLS"),
        ([greeting(), reply(3)], "does not fit STARTTLS"),
        ([greeting(), struct.pack(">QIII", 0x0003E889045565A9, 5, 0x80000002, 4097)], "too long"),
        ([greeting(), reply(ACK), export(2**63)], "impossible size"),
        ([greeting(), reply(ACK), export(flags=2)], "flags are none"),
    ],
)
def test_each_lie_is_named(answers: list[bytes], why: str) -> None:
    """By what was seen, and with what to do."""
    handshake = Handshake(NAME, secure=True)
    for answer in answers[:-1]:
        handshake.feed(answer)
    with pytest.raises(FormatError, match=why) as refused:
        handshake.feed(answers[-1])
    assert refused.value.code == "BAD_NBD"
    assert refused.value.evidence
    assert refused.value.remedy


def test_a_name_that_is_too_long_is_refused_before_anything_is_sent() -> None:
    """No server takes more than 4096 bytes."""
    Handshake("é" * 2048, secure=False)
    with pytest.raises(FormatError):
        Handshake("é" * 2048 + "x", secure=False)


@pytest.mark.parametrize("secure", [False, True])
@pytest.mark.parametrize("flags", [FIXED, FIXED_WITHOUT_ZEROS])
def test_cut_at_any_byte_there_is_no_export(secure: bool, flags: int) -> None:
    """Fed byte by byte it says the same, and just what is wanted is never too much."""
    said = greeting(flags) + (reply(ACK) if secure else b"") + export(zeros=0 if flags & 2 else 124)
    handshake = Handshake(NAME, secure=secure)
    acts = []
    for at in range(len(said)):
        with pytest.raises(FormatError) as caught:
            _ = handshake.export
        assert caught.value.code == "TRUNCATED"
        assert 0 < handshake.wanted <= len(said) - at
        acts += handshake.feed(said[at : at + 1])
    assert handshake.wanted == 0
    assert handshake.export.size_bytes == 1 << 30
    assert acts.count(Step.START_TLS) == secure
    assert acts[-1] == option(EXPORT_NAME, NAME.encode())


@given(st.booleans(), st.lists(st.tuples(st.integers(0, 171), st.integers(0, 255)), max_size=4))
@settings(deadline=None, max_examples=60)
def test_changed_bytes_are_a_format_error_or_harmless(secure: bool, changes: list[tuple[int, int]]) -> None:
    """Nothing else is ever raised."""
    said = bytearray(greeting() + (reply(ACK) if secure else b"") + export())
    for offset, value in changes:
        said[offset % len(said)] = value
    handshake = Handshake(NAME, secure=secure)
    try:
        handshake.feed(bytes(said))
        assert 0 <= handshake.export.size_bytes < 2**63
    except FormatError:
        return
