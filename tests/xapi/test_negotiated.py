"""What is read of a handshake and of the certificate in it."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.x509.oid import NameOID

from xo_warmig.xapi.negotiated import encryption_of

RSA_CIPHER, ECDHE_CIPHER = "AES128-SHA", "ECDHE-RSA-AES128-GCM-SHA256"


def certificate(key: Any, algorithm: Any) -> bytes:
    """Self-signed, as DER."""
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "host")])
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    now = datetime.now(UTC)
    builder = builder.serial_number(7).not_valid_before(now).not_valid_after(now + timedelta(days=1))
    return builder.sign(key, algorithm).public_bytes(serialization.Encoding.DER)


@pytest.mark.parametrize(
    ("make", "algorithm", "expected"),
    [
        (lambda: rsa.generate_private_key(65537, 1024), hashes.SHA256(), ("RSA", 1024, "sha256")),
        (lambda: ec.generate_private_key(ec.SECP256R1()), hashes.SHA384(), ("EC", 256, "sha384")),
        (ed25519.Ed25519PrivateKey.generate, None, ("", None, "")),
    ],
    ids=["rsa", "ec", "ed25519"],
)
def test_key_and_signature_are_read(make: Callable[[], Any], algorithm: Any, expected: tuple[Any, ...]) -> None:
    """Of a key whose bits say nothing of its strength, none is told."""
    found = encryption_of("TLSv1.2", ECDHE_CIPHER, certificate(make(), algorithm))
    assert (found.key_type, found.key_bits, found.signature_hash) == expected


@pytest.mark.parametrize(
    ("cipher", "expected"),
    [
        (RSA_CIPHER, False),
        ("AES256-GCM-SHA384", False),
        (ECDHE_CIPHER, True),
        ("DHE-RSA-AES256-SHA", True),
        ("TLS_AES_256_GCM_SHA384", True),
    ],
)
def test_forward_secrecy_follows_from_the_key_exchange(cipher: str, expected: bool) -> None:
    """By OpenSSL's names."""
    assert encryption_of("TLSv1.2", cipher, b"").forward_secrecy is expected


def test_what_is_no_certificate_is_not_judged() -> None:
    """It was believed for its fingerprint, whatever it is."""
    found = encryption_of("TLSv1", RSA_CIPHER, b"\x30\x03no")
    assert (found.protocol, found.cipher, found.key_bits) == ("TLSv1", RSA_CIPHER, None)
