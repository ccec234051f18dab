"""The certificate of a simulated host, self-signed, and the TLS that hosts of its release speak (reference: xapi.md 1.8)."""

import ssl
import warnings
from datetime import UTC, datetime, timedelta
from functools import cache
from ipaddress import ip_address
from pathlib import Path
from typing import NamedTuple

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import NameOID

from xo_warmig.simulator.release import NEWEST

_CIPHERS = "ECDHE-RSA-AES256-GCM-SHA384:ECDHE-RSA-AES128-GCM-SHA256"
# RC4 and 3DES, which those hosts also offer, are not in the OpenSSL of today.
_STATIC_RSA_CIPHERS = "AES256-SHA:AES128-SHA"
_VALID = timedelta(days=3650)
KEY_BITS = 2048  # since 7.1


class _Tls(NamedTuple):
    """What the hosts of a release speak: versions, ciphers, and the bits of the key in their certificate."""

    least: ssl.TLSVersion
    most: ssl.TLSVersion
    ciphers: str
    key_bits: int = KEY_BITS


_OF_RELEASE = {
    "6.5": _Tls(ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1, f"{_STATIC_RSA_CIPHERS}:@SECLEVEL=0", 1024),
    "7.1": _Tls(ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_2, f"AES128-SHA256:{_STATIC_RSA_CIPHERS}:@SECLEVEL=0"),
    "7.6": _Tls(ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_2, f"AES128-SHA256:{_STATIC_RSA_CIPHERS}:@SECLEVEL=0"),
    "8.0": _Tls(
        ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_2, f"{_CIPHERS}:AES128-SHA256:{_STATIC_RSA_CIPHERS}:@SECLEVEL=0"
    ),
    "8.2": _Tls(ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_2, _CIPHERS),
    NEWEST: _Tls(ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_2, _CIPHERS),
}


def certificate_file(directory: Path, address: str, release: str = NEWEST) -> Path:
    """The PEM file with a host's key and certificate; made when it is not there yet."""
    path = directory / f"xapi-ssl-{address}.pem"
    if not path.exists():
        path.touch(mode=0o600)
        path.write_bytes(_make(address, _OF_RELEASE[release].key_bits))
    return path


def load_certificate(path: Path) -> x509.Certificate:
    """The certificate in a PEM file that holds a key, too."""
    return x509.load_pem_x509_certificate(path.read_bytes())


def certificate_text(path: Path) -> str:
    """The certificate alone, as PEM."""
    text = path.read_text()
    return text[text.index("-----BEGIN CERTIFICATE-----") :]


def server_context(path: Path, release: str = NEWEST) -> ssl.SSLContext:
    """The server side, with the certificate of one host."""
    speaks = _OF_RELEASE[release]
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.set_ciphers(speaks.ciphers)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # that TLS 1.0 is not to be used any more is the point
        context.minimum_version, context.maximum_version = speaks.least, speaks.most
    context.set_ecdh_curve("secp384r1")
    context.load_cert_chain(path)
    return context


@cache
def host_key(bits: int) -> rsa.RSAPrivateKey:
    """The hosts of a process share one: to make it takes longer than all else of a pool, and their certificates tell them apart."""
    return rsa.generate_private_key(public_exponent=65537, key_size=bits)


def _make(address: str, key_bits: int) -> bytes:
    key = host_key(key_bits)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, address)])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + _VALID)
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address(address))]), critical=False)
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption()
    )
    return private + certificate.public_bytes(serialization.Encoding.PEM)
