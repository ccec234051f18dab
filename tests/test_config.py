"""The configuration: where values come from, which win, and what a wrong one says."""

from pathlib import Path

import pytest

from xo_warmig.config import Config, GatewayConfig, find_file, is_loopback, load
from xo_warmig.errors import InvalidRequest


def refused(file: Path | None = None, environment: dict[str, str] | None = None, **given: object) -> InvalidRequest:
    """The error that these values get."""
    with pytest.raises(InvalidRequest) as caught:
        load(file, environment or {}, given)
    assert caught.value.code == "BAD_CONFIG"
    assert caught.value.remedy
    return caught.value


def written(folder: Path, text: str) -> Path:
    """A configuration file."""
    file = folder / "config.toml"
    file.write_text(text)
    return file


def test_without_anything_it_listens_on_loopback() -> None:
    """The defaults are safe."""
    config = load(environment={})
    assert is_loopback(config.address)
    assert not config.uses_tls
    assert not config.allow_plain


def test_a_variable_wins_over_the_file_and_an_option_over_both(tmp_path: Path) -> None:
    """The order of the three places."""
    file = written(tmp_path, 'port = 1\naddress = "127.0.0.2"\nstate_dir = "/var/lib/x"\n')
    config = load(file, {"XO_WARMIG_PORT": "2", "XO_WARMIG_ADDRESS": "127.0.0.3"}, {"port": 3, "address": None})
    assert (config.port, config.address, config.state_dir) == (3, "127.0.0.3", Path("/var/lib/x"))


def test_variables_hold_lists_and_truth_values() -> None:
    """Lists have commas, truth values are words."""
    config = load(environment={"XO_WARMIG_ALLOWED_ORIGINS": "https://a, https://b", "XO_WARMIG_ALLOW_PLAIN": "true"})
    assert config.allowed_origins == ["https://a", "https://b"]
    assert config.allow_plain


def test_the_client_s_variables_are_no_keys() -> None:
    """XO_WARMIG_URL and XO_WARMIG_TOKEN belong to the command line."""
    assert load(environment={"XO_WARMIG_URL": "http://h", "XO_WARMIG_TOKEN": "t"}) == Config()


def test_a_wrong_type_names_file_and_key(tmp_path: Path) -> None:
    """A file is read strictly: a port in quotes is refused."""
    file = written(tmp_path, 'port = "9"\n')
    error = refused(file)
    assert error.evidence == {"file": str(file), "key": "port"}


def test_an_unknown_key_is_refused_with_the_known_ones(tmp_path: Path) -> None:
    """A misspelt key is never ignored."""
    error = refused(written(tmp_path, "prot = 9\n"))
    assert error.evidence["key"] == "prot"
    assert "port" in error.remedy


def test_an_unknown_variable_is_refused() -> None:
    """Neither is a misspelt variable."""
    assert refused(environment={"XO_WARMIG_PROT": "9"}).evidence == {"file": "XO_WARMIG_PROT", "key": "prot"}


def test_a_port_out_of_range_is_refused() -> None:
    """Ports end at 65535."""
    assert refused(environment={"XO_WARMIG_PORT": "65536"}).evidence["key"] == "port"


@pytest.mark.parametrize("text", ["port = ", "\x00"])
def test_a_file_that_is_no_toml_is_named(tmp_path: Path, text: str) -> None:
    """The message starts with the file."""
    file = written(tmp_path, text)
    assert refused(file).message.startswith(str(file))


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    """A file that was asked for must be there."""
    assert refused(tmp_path / "none.toml").evidence == {"file": str(tmp_path / "none.toml")}


def test_another_address_needs_tls_or_consent(tmp_path: Path) -> None:
    """Passwords do not travel in the clear by accident."""
    assert refused(address="0.0.0.0").evidence["key"] == "address"
    assert load(environment={}, given={"address": "0.0.0.0", "allow_plain": True}).address == "0.0.0.0"
    (tmp_path / "c").touch()
    given = {"address": "::", "tls_cert": tmp_path / "c", "tls_key": str(tmp_path / "c")}
    assert load(environment={}, given=given).uses_tls


def test_half_a_key_pair_is_refused(tmp_path: Path) -> None:
    """The message names what is missing."""
    (tmp_path / "c").touch()
    assert refused(tls_cert=str(tmp_path / "c")).evidence["key"] == "tls_key"


def test_a_host_name_is_no_address() -> None:
    """Names could resolve to anything."""
    assert refused(address="example.org").evidence["key"] == "address"


def test_the_file_is_found_where_it_is_named(tmp_path: Path) -> None:
    """Option, then variable, then the usual place."""
    usual = tmp_path / "xo-warmig" / "config.toml"
    environment = {"XDG_CONFIG_HOME": str(tmp_path)}
    assert find_file(None, environment) is None
    usual.parent.mkdir()
    usual.touch()
    assert find_file(None, environment) == usual
    assert find_file(None, environment | {"XO_WARMIG_CONFIG": "/x"}) == Path("/x")
    assert find_file(Path("/y"), environment | {"XO_WARMIG_CONFIG": "/x"}) == Path("/y")


@pytest.mark.parametrize("url", ["postgresql://u:hunter2@h/db", "sqlite://", "sqlite:///", "/var/lib/x.sqlite", ""])
def test_a_database_other_than_an_sqlite_file_is_refused(url: str) -> None:
    """For now. A password in it is not repeated."""
    error = refused(environment={"XO_WARMIG_DATABASE_URL": url})
    assert error.evidence["key"] == "database_url"
    assert "hunter2" not in str(error.as_dict())


def test_an_sqlite_file_may_be_named() -> None:
    """Three slashes, then the path."""
    assert load(given={"database_url": "sqlite:////var/lib/x.sqlite"}, environment={}).database_url


POOLS = """
[pools."intel pool".rate]
default = "100MiB"
hours = { "08-18" = "20MiB", "22-06" = "unlimited" }

[pools."192.0.2.7".rate]
default = 52428800
throttle_final_pass = true
"""


def test_a_pool_has_a_rate_by_hour(tmp_path: Path) -> None:
    """Under its uuid, its name or a host; the final pass is exempt unless the table says otherwise."""
    rates = load(written(tmp_path, POOLS), {}).pool_rates
    assert str(rates["intel pool"].table) == "08:00-18:00 20.0 MiB/s, 22:00-06:00 unlimited, else 100.0 MiB/s"
    assert [each.throttle_final_pass for each in rates.values()] == [False, True]
    assert rates["192.0.2.7"].table.default == 50 << 20


def test_the_readme_s_table_of_rates_is_one(tmp_path: Path) -> None:
    """What people copy."""
    readme = (Path(__file__).parent.parent / "README.md").read_text()
    (table,) = [block for block in readme.split("```") if block.startswith("\n[pools.")]
    (rate,) = load(written(tmp_path, table), {}).pool_rates.values()
    assert rate.table.at(3 * 60) is None
    assert rate.table.at(9 * 60) == 20 << 20


@pytest.mark.parametrize(
    ("table", "key"),
    [
        ('[pools.a.rate]\ndefault = "fast"', "pools.a.rate.default"),
        ('[pools.a.rate]\nhours = { "08-18" = "20MiB", "17-19" = 1048576 }', "pools.a.rate.hours.17-19"),
        ('[pools.a.rate]\nhour = { "08-18" = "20MiB" }', "pools.a"),
        ("[pools.a.rate]\ndefault = 1.5", "pools.a"),
        ("[pools.a]", "pools.a"),
        ('[pools]\na = "20MiB"', "pools.a"),
        ('pools = "a"', "pools"),
    ],
)
def test_a_bad_table_of_rates_is_refused(tmp_path: Path, table: str, key: str) -> None:
    """With the place in the file."""
    file = written(tmp_path, table)
    error = refused(file)
    assert error.evidence == {"file": str(file), "key": key}
    assert key in error.message


def test_rates_are_for_the_file() -> None:
    """A table does not fit into a variable."""
    assert refused(environment={"XO_WARMIG_POOLS": "intel=20MiB"}).evidence["key"] == "pools"


def test_a_gateway_has_a_table_and_variables(tmp_path: Path) -> None:
    """``[gateway]`` in the file; XO_WARMIG_GATEWAY_ and the key in a variable."""
    file = written(tmp_path, 'upstream = "https://xo"\n[gateway]\nlearn_servers = true\nca_file = "~/ca.pem"\n')
    config = load(file, {})
    assert config.upstream == "https://xo"
    assert config.gateway == GatewayConfig(learn_servers=True, ca_file=Path.home() / "ca.pem")
    merged = load(file, {"XO_WARMIG_GATEWAY_LEARN_SERVERS": "false"}).gateway
    assert merged == GatewayConfig(ca_file=Path.home() / "ca.pem")
    environment = {"XO_WARMIG_UPSTREAM": "https://xo", "XO_WARMIG_GATEWAY_ALLOW_UNAUTHORIZED": "true"}
    assert load(environment=environment).gateway == GatewayConfig(allow_unauthorized=True)


def test_a_gateway_without_upstream_is_refused(tmp_path: Path) -> None:
    """A half written configuration is not run without the other half."""
    assert refused(written(tmp_path, "[gateway]\nlearn_servers = true\n")).evidence["key"] == "upstream"
    assert refused(environment={"XO_WARMIG_GATEWAY_LEARN": "1"}).evidence["key"] == "gateway"


def test_a_certificate_is_judged_in_one_way(tmp_path: Path) -> None:
    """Two ways could say different things."""
    table = '[gateway]\nfingerprint = "00"\nallow_unauthorized = true\n'
    assert refused(written(tmp_path, f'upstream = "https://xo"\n{table}')).evidence["key"] == "gateway"


def test_the_gateway_page_s_table_is_one(tmp_path: Path) -> None:
    """What people copy."""
    page = (Path(__file__).parent.parent / "docs" / "gateway.md").read_text()
    (table,) = [block.removeprefix("toml") for block in page.split("```") if block.startswith("toml")]
    assert load(written(tmp_path, table), {}).gateway == GatewayConfig(learn_servers=True)
