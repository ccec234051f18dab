"""The certificate of a simulated host and the TLS that XCP-ng 8.3 speaks: 1.2 alone, two ciphers, self-signed."""

import ssl
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import NameOID

_CIPHERS = "ECDHE-RSA-AES256-GCM-SHA384:ECDHE-RSA-AES128-GCM-SHA256"
_VALID = timedelta(days=3650)


def certificate_file(directory: Path, address: str) -> Path:
    """The PEM file with a host's key and certificate; made when it is not there yet."""
    path = directory / f"xapi-ssl-{address}.pem"
    if not path.exists():
        path.touch(mode=0o600)
        path.write_bytes(_make(address))
    return path


def load_certificate(path: Path) -> x509.Certificate:
    """The certificate in a PEM file that holds a key, too."""
    return x509.load_pem_x509_certificate(path.read_bytes())


def certificate_text(path: Path) -> str:
    """The certificate alone, as PEM."""
    text = path.read_text()
    return text[text.index("-----BEGIN CERTIFICATE-----") :]


def server_context(path: Path) -> ssl.SSLContext:
    """The server side, with the certificate of one host."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers(_CIPHERS)
    context.set_ecdh_curve("secp384r1")
    context.load_cert_chain(path)
    return context


def _make(address: str) -> bytes:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
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
