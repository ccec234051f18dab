"""How the way to a pool is protected, as it was negotiated, and what is weak about that. Values, and the judgement of them."""

from typing import Final

import msgspec

IN_CLEAR: Final = "none"
_OLD: Final = frozenset({"SSLv2", "SSLv3", "TLSv1", "TLSv1.1"})  # OpenSSL's names
_WEAK_HASHES: Final = frozenset({"md2", "md4", "md5", "sha1"})
# What NIST SP 800-57 part 1 asks for 112 bits of security, by the kind of the key.
_LEAST_KEY_BITS: Final = {"RSA": 2048, "DSA": 2048, "EC": 224}


class Encryption(msgspec.Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """What was agreed with a host. ``protocol`` ("none": all is sent in clear) and ``cipher`` are OpenSSL's names, as ``TLSv1.2``.

    ``forward_secrecy``: the keys of the connection do not follow from that of the certificate. Of this: kind and bits of its key, and
    with which hash it was signed (``sha256``); "" and None where that cannot be told.
    """

    protocol: str
    cipher: str = ""
    forward_secrecy: bool = False
    key_type: str = ""
    key_bits: int | None = None
    signature_hash: str = ""


class Weakness(msgspec.Struct, frozen=True, kw_only=True):
    """``code`` is that of the finding in a plan. ``message`` begins with a verb, whose subject is the pool."""

    code: str
    message: str
    remedy: str


NOT_ENCRYPTED: Final = Encryption(protocol=IN_CLEAR)


def described(encryption: Encryption) -> str:
    """``TLS 1.2 with ECDHE-RSA-AES256-GCM-SHA384, certificate RSA 2048 bits``, or that there is none."""
    if encryption.protocol == IN_CLEAR:
        return "plain HTTP, not encrypted"
    text = " with ".join(filter(None, (_version(encryption.protocol), encryption.cipher)))
    if encryption.key_bits is None:
        return text
    return f"{text}, certificate {encryption.key_type} {encryption.key_bits} bits"


def weaknesses(encryption: Encryption) -> list[Weakness]:
    """The worst first; none for what hosts since 8.2 speak."""
    if encryption.protocol == IN_CLEAR:
        return [_of_clear_text()]
    found = [_of_version(encryption), _of_key_exchange(encryption), _of_key(encryption), _of_signature(encryption)]
    return [each for each in found if each is not None]


def _of_clear_text() -> Weakness:
    return Weakness(
        code="POOL_IN_CLEAR",
        message="is spoken to over plain HTTP: whoever is on the way can read its password and its disks, and change what is sent",
        remedy="add the server with https://, which every release speaks, or keep the way to it on a network of its own",
    )


def _of_version(encryption: Encryption) -> Weakness | None:
    if encryption.protocol not in _OLD:
        return None
    return Weakness(
        code="OLD_TLS",
        message=f"speaks no newer protocol than {_version(encryption.protocol)}, which has known attacks: whoever is on the way may come "
        "to read its password and its disks",
        remedy="keep the way to it on a network of its own, and change its password when all is moved; 7.0 and newer speak TLS 1.2",
    )


def _of_key_exchange(encryption: Encryption) -> Weakness | None:
    if encryption.forward_secrecy:
        return None
    return Weakness(
        code="NO_FORWARD_SECRECY",
        message=f"agrees on keys without forward secrecy ({encryption.cipher}): whoever records the connection and gets the private key of "
        "the host later can read its password and its disks then",
        remedy="keep the way to it on a network of its own, and destroy the hosts' keys with them; 8.0 and newer have forward secrecy",
    )


def _of_key(encryption: Encryption) -> Weakness | None:
    bits, least = encryption.key_bits, _LEAST_KEY_BITS.get(encryption.key_type)
    if bits is None or least is None or bits >= least:
        return None
    return Weakness(
        code="WEAK_HOST_KEY",
        message=f"shows a certificate whose {encryption.key_type} key has {bits} bits and can be computed: whoever has done that can "
        "pose as the pool, and where there is no forward secrecy read its password and its disks",
        remedy=f"install a certificate with a key of {least} bits or more on its hosts, then remove the server and add it again",
    )


def _of_signature(encryption: Encryption) -> Weakness | None:
    if encryption.signature_hash not in _WEAK_HASHES:
        return None
    name = encryption.signature_hash.upper().replace("SHA1", "SHA-1")
    return Weakness(
        code="WEAK_CERTIFICATE_SIGNATURE",
        message=f"shows a certificate that was signed with {name}, which can be forged: whoever does can pose as the pool to clients that "
        "go by the signature; this server goes by the fingerprint that it pinned",
        remedy="install a certificate that is signed with SHA-256 on its hosts, then remove the server and add it again",
    )


def _version(protocol: str) -> str:
    """``TLSv1`` is 1.0."""
    number = protocol.removeprefix("TLSv")
    return protocol if number == protocol else f"TLS {number if '.' in number else f'{number}.0'}"
