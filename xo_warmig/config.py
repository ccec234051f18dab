"""What a server is configured with, from a TOML file, ``XO_WARMIG_*`` variables and the command line, later ones winning.

Only the values and their checks live here; nothing is opened or created. A wrong value is an ``InvalidRequest`` with code
``BAD_CONFIG`` whose evidence names the place (``file`` or variable) and the ``key``.
"""

import ipaddress
import os
import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, NoReturn

import msgspec

from xo_warmig.errors import InvalidRequest
from xo_warmig.model.rates import PoolRate, WrittenRates, read_rates

PREFIX = "XO_WARMIG_"
# Read by the command line as a client, or to find the file; not keys of the server's configuration.
OTHER_VARIABLES = frozenset(f"{PREFIX}{name}" for name in ("URL", "TOKEN", "CA", "CONFIG", "DEBUG", "POOL_PASSWORD"))


def default_state_dir() -> Path:
    """``$XDG_STATE_HOME/xo-warmig``, by default under ``~/.local/state``."""
    return Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state") / "xo-warmig"


class PoolConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is said of one pool: ``[pools.NAME.rate]``, where NAME is its uuid, its name, or a host that it is reached through."""

    rate: WrittenRates


class GatewayConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """``[gateway]``: how to stand in front of ``upstream``. Of the three ways to judge its certificate at most one is given; else it
    must be valid for the machine's own authorities.
    """

    learn_servers: bool = False  # keep what a successful server.add or server.set that passes through says of pools
    ca_file: Path | None = None  # PEM: the authorities that the certificate may come from
    fingerprint: str | None = None  # SHA-256 of the certificate itself, whatever it says of its name
    allow_unauthorized: bool = False  # the certificate seen first is kept in state_dir, and must stay


class Config(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A server's configuration. The field names are the keys of the TOML file; variables are those names in capitals."""

    address: str = "127.0.0.1"  # an IP address, or "localhost"
    port: Annotated[int, msgspec.Meta(ge=0, le=65535)] = 8480  # 0: any free one
    tls_cert: Path | None = None  # PEM, the chain included
    tls_key: Path | None = None
    allow_plain: bool = False  # listen without TLS on an address that others can reach
    state_dir: Path = msgspec.field(default_factory=default_state_dir)
    database_url: str | None = None  # sqlite:///PATH; by default a file in state_dir
    admin_password_file: Path | None = None  # for the first administrator; else a password is made and printed once
    allowed_origins: list[str] = []  # origins of pages, beside the server's own, that may open the websocket
    trusted_proxies: list[str] = []  # addresses whose X-Forwarded-* headers are believed
    max_connections_per_address: Annotated[int, msgspec.Meta(ge=1)] = 200
    upstream: str | None = None  # http(s)://host[:port] of an xo-server to stand in front of
    gateway: GatewayConfig = GatewayConfig()
    pools: dict[str, PoolConfig] = {}

    @property
    def pool_rates(self) -> dict[str, PoolRate]:
        """By what the configuration calls the pools."""
        return {name: read_rates(pool.rate) for name, pool in self.pools.items()}

    @property
    def uses_tls(self) -> bool:
        return self.tls_cert is not None


def load(
    file: Path | None = None, environment: Mapping[str, str] | None = None, given: Mapping[str, Any] | None = None
) -> Config:
    """The configuration from ``file``, then ``environment`` (the process's own by default), then ``given``.

    ``given`` holds command-line values by field name; None there means not given.

    Raises:
        InvalidRequest: code BAD_CONFIG.
    """
    environment = os.environ if environment is None else environment
    values = _from_file(file) if file is not None else {}
    values |= _from_environment(environment, values.get("gateway", GatewayConfig()))
    values |= {
        key: _convert(value, key, f"option --{key.replace('_', '-')}", strict=False)
        for key, value in (given or {}).items()
        if value is not None
    }
    config = Config(**values)
    _check(config)
    return config


def find_file(given: Path | None, environment: Mapping[str, str] | None = None) -> Path | None:
    """The file that was named (option, or XO_WARMIG_CONFIG), else ``$XDG_CONFIG_HOME/xo-warmig/config.toml`` where it exists."""
    environment = os.environ if environment is None else environment
    if given is not None:
        return given
    if named := environment.get("XO_WARMIG_CONFIG"):
        return Path(named)
    home = Path(environment.get("XDG_CONFIG_HOME") or Path.home() / ".config")
    usual = home / "xo-warmig" / "config.toml"
    return usual if usual.is_file() else None


def is_loopback(address: str) -> bool:
    """Whether only this machine can reach ``address``."""
    if address == "localhost":
        return True
    try:
        return ipaddress.ip_address(address).is_loopback
    except ValueError:
        return False


_GATEWAY = "gateway_"  # before the names of its keys in variables
_FIELDS = {field.name: field for field in msgspec.structs.fields(Config)}


def _from_file(file: Path) -> dict[str, Any]:
    try:
        table = tomllib.loads(file.read_text())
    except OSError as error:
        _refuse(str(file), None, f"cannot be read: {error.strerror}", "Name a TOML file that this user can read.")
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        _refuse(str(file), None, f"is not TOML: {error}", "Correct the file; every line is `key = value`.")
    return {key: _convert(value, key, str(file), strict=True) for key, value in table.items()}


def _from_environment(environment: Mapping[str, str], table: GatewayConfig) -> dict[str, Any]:
    """``table``: the file's ``[gateway]``, of which a variable replaces a single key."""
    names = sorted(name for name in environment if name.startswith(PREFIX) and name not in OTHER_VARIABLES)
    values: dict[str, Any] = {}
    gateway: dict[str, str] = {}
    for name in names:
        key, text = name.removeprefix(PREFIX).lower(), environment[name]
        if key.startswith(_GATEWAY):
            gateway[key.removeprefix(_GATEWAY)] = text
        else:
            values[key] = _convert(_listed(key, text), key, name, strict=False)
    if gateway:
        given = _convert(gateway, "gateway", f"{PREFIX}{_GATEWAY.upper()}*", strict=False)
        values["gateway"] = msgspec.structs.replace(table, **{key: getattr(given, key) for key in gateway})
    return values


def _listed(key: str, text: str) -> str | list[str]:
    """Lists are written with commas in a variable."""
    if key in _FIELDS and _FIELDS[key].type == list[str]:
        return [item.strip() for item in text.split(",") if item.strip()]
    return text


def _convert(value: Any, key: str, where: str, *, strict: bool) -> Any:
    if key not in _FIELDS:
        known = ", ".join(_FIELDS)
        _refuse(where, key, f"there is no key {key!r}", f"Remove it, or use one of: {known}.")
    if key == "pools" and isinstance(value, dict):
        return {name: _pool(table, f"pools.{name}", where) for name, table in value.items()}
    return _as(_FIELDS[key].type, value, key, where, strict=strict)


def _as(wanted: Any, value: Any, key: str, where: str, *, strict: bool) -> Any:
    try:
        return msgspec.convert(value, wanted, strict=strict, dec_hook=_path)
    except msgspec.ValidationError as error:
        _refuse(where, key, f"{key}: {error}", f"Correct the value of {key}.")


def _pool(table: Any, key: str, where: str) -> PoolConfig:
    pool: PoolConfig = _as(PoolConfig, table, key, where, strict=True)
    try:
        read_rates(pool.rate)
    except InvalidRequest as error:
        key = f"{key}.rate.{error.evidence['key']}"
        _refuse(where, key, f"{key}: {error.message}", error.remedy)
    return pool


def _path(wanted: type, value: Any) -> Any:
    if wanted is Path and isinstance(value, str | Path) and str(value):
        return Path(value).expanduser()
    raise msgspec.ValidationError(f"Expected a path, got {value!r}")


def _check(config: Config) -> None:
    if config.address != "localhost":
        try:
            ipaddress.ip_address(config.address)
        except ValueError:
            _refuse("configuration", "address", f"address: {config.address!r} is no IP address", "Give an IP address.")
    _check_database(config.database_url)
    _check_gateway(config)
    if (config.tls_cert is None) != (config.tls_key is None):
        missing = "tls_key" if config.tls_key is None else "tls_cert"
        _refuse("configuration", missing, "tls_cert and tls_key go together", f"Give {missing} too.")
    for key in ("tls_cert", "tls_key", "admin_password_file"):
        path: Path | None = getattr(config, key)
        if path is not None and not os.access(path, os.R_OK):
            _refuse("configuration", key, f"{key}: {path} cannot be read", "Name a file that this user can read.")
    if not is_loopback(config.address) and not config.uses_tls and not config.allow_plain:
        _refuse(
            "configuration",
            "address",
            f"{config.address} can be reached by other machines, and passwords would travel in the clear",
            "Give tls_cert and tls_key, or listen on 127.0.0.1, or set allow_plain if something else encrypts.",
        )


def _check_gateway(config: Config) -> None:
    """The address itself is read by who speaks to it."""
    gateway = config.gateway
    if config.upstream is None and gateway != GatewayConfig():
        _refuse("configuration", "upstream", "[gateway] has no upstream to stand before", "Give upstream too.")
    if sum((gateway.ca_file is not None, gateway.fingerprint is not None, gateway.allow_unauthorized)) > 1:
        _refuse(
            "configuration",
            "gateway",
            "ca_file, fingerprint and allow_unauthorized of [gateway] exclude each other",
            "Give one of them, or none for a certificate that is valid as it is.",
        )


def _check_database(url: str | None) -> None:
    """The URL itself is not repeated: it may have a password in it."""
    if url is None or re.fullmatch(r"sqlite:///[^?#]+", url):
        return
    kind = url.partition(":")[0] if "://" in url else "what was given"
    _refuse(
        "configuration",
        "database_url",
        f"database_url: {kind} is no database that this release works with",
        "Give sqlite:/// and the path of a file, or leave it out for a file in the state directory.",
    )


def _refuse(where: str, key: str | None, message: str, remedy: str) -> NoReturn:
    evidence = {"file": where} | ({"key": key} if key else {})
    raise InvalidRequest(f"{where}: {message}", code="BAD_CONFIG", evidence=evidence, remedy=remedy)
