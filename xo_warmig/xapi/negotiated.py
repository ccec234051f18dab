"""What was negotiated on a connection to a host: of TLS what OpenSSL tells, of the certificate its key and how it was signed."""

import ssl

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import dsa, ec, rsa

from xo_warmig.model.encryption import Encryption

# OpenSSL's names of the key exchanges whose keys are made anew for each connection; with TLS 1.3 there are no others.
_EPHEMERAL = ("ECDHE-", "DHE-", "EDH-", "TLS_")


def negotiated(secured: ssl.SSLSocket) -> Encryption:
    """After the handshake."""
    cipher = secured.cipher()
    name = cipher[0] if cipher is not None else ""
    return encryption_of(secured.version() or "", name, secured.getpeercert(binary_form=True) or b"")


def encryption_of(protocol: str, cipher: str, certificate: bytes) -> Encryption:
    """``certificate`` is DER; what cannot be understood of it is left out, as it is believed for its fingerprint alone."""
    key_type, key_bits, signature_hash = _read(certificate)
    return Encryption(
        protocol=protocol,
        cipher=cipher,
        forward_secrecy=cipher.startswith(_EPHEMERAL),
        key_type=key_type,
        key_bits=key_bits,
        signature_hash=signature_hash,
    )


def _read(certificate: bytes) -> tuple[str, int | None, str]:
    """Kind and bits of the key, and the hash of the signature, in small letters."""
    try:
        shown = x509.load_der_x509_certificate(certificate)
        key_type, key_bits = _key(shown)
        algorithm = shown.signature_hash_algorithm
    except (ValueError, UnsupportedAlgorithm):
        return "", None, ""
    return key_type, key_bits, "" if algorithm is None else algorithm.name.lower()


def _key(certificate: x509.Certificate) -> tuple[str, int | None]:
    key = certificate.public_key()
    if isinstance(key, rsa.RSAPublicKey):
        return "RSA", key.key_size
    if isinstance(key, dsa.DSAPublicKey):
        return "DSA", key.key_size
    if isinstance(key, ec.EllipticCurvePublicKey):
        return "EC", key.key_size
    return "", None
