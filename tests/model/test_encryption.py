"""What is weak about a connection to a pool, and how it is told."""

from typing import Any

import pytest

from xo_warmig.model.encryption import NOT_ENCRYPTED, Encryption, described, weaknesses

GOOD: dict[str, Any] = {
    "protocol": "TLSv1.2",
    "cipher": "ECDHE-RSA-AES256-GCM-SHA384",
    "forward_secrecy": True,
    "key_type": "RSA",
    "key_bits": 2048,
    "signature_hash": "sha256",
}
OF_6_5: dict[str, Any] = {"protocol": "TLSv1", "cipher": "AES128-SHA", "forward_secrecy": False, "key_bits": 1024}


def codes(**changes: Any) -> list[str]:
    return [each.code for each in weaknesses(Encryption(**(GOOD | changes)))]


@pytest.mark.parametrize(
    "changes", [{}, {"protocol": "TLSv1.3"}, {"key_type": "EC", "key_bits": 256}, {"key_type": "", "key_bits": None}]
)
def test_nothing_is_weak_about_what_hosts_speak_today(changes: dict[str, Any]) -> None:
    """Nor is anything judged that cannot be told."""
    assert codes(**changes) == []


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"protocol": "TLSv1"}, ["OLD_TLS"]),
        ({"protocol": "TLSv1.1"}, ["OLD_TLS"]),
        ({"protocol": "SSLv3"}, ["OLD_TLS"]),
        ({"cipher": "AES128-SHA256", "forward_secrecy": False}, ["NO_FORWARD_SECRECY"]),
        ({"key_bits": 2047}, ["WEAK_HOST_KEY"]),
        ({"key_type": "EC", "key_bits": 192}, ["WEAK_HOST_KEY"]),
        ({"signature_hash": "sha1"}, ["WEAK_CERTIFICATE_SIGNATURE"]),
        ({"signature_hash": "md5"}, ["WEAK_CERTIFICATE_SIGNATURE"]),
        (OF_6_5, ["OLD_TLS", "NO_FORWARD_SECRECY", "WEAK_HOST_KEY"]),
    ],
)
def test_each_weakness_is_told(changes: dict[str, Any], expected: list[str]) -> None:
    """By its code, the worst first."""
    assert codes(**changes) == expected


def test_of_plain_http_there_is_one_thing_to_tell() -> None:
    """Which is all of it."""
    assert [each.code for each in weaknesses(NOT_ENCRYPTED)] == ["POOL_IN_CLEAR"]
    assert described(NOT_ENCRYPTED) == "plain HTTP, not encrypted"


def test_it_is_described_for_people() -> None:
    """OpenSSL's ``TLSv1`` is 1.0."""
    assert described(Encryption(**(GOOD | OF_6_5))) == "TLS 1.0 with AES128-SHA, certificate RSA 1024 bits"
    assert described(Encryption(protocol="TLSv1.3")) == "TLS 1.3"


def test_every_weakness_says_what_it_means_and_what_helps() -> None:
    """With the figures that were seen."""
    old, static, key, signature = weaknesses(Encryption(**(GOOD | OF_6_5 | {"signature_hash": "sha1"})))
    assert "TLS 1.0" in old.message
    assert "AES128-SHA" in static.message
    assert "1024 bits" in key.message
    assert "SHA-1" in signature.message
    assert all(each.remedy for each in (old, static, key, signature))
