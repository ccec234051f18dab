"""``server``: the pools that the server connects to."""

import asyncio
import os
import time
from typing import Any

import click
from rich import box
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from xo_warmig.cli import options
from xo_warmig.cli.access import Access
from xo_warmig.cli.encryption import encryption_lines
from xo_warmig.cli.passwords import first_line, password_option
from xo_warmig.cli.terminal import output, print_json
from xo_warmig.client import Client
from xo_warmig.errors import PoolUnreachable

STATUS_COLOURS = {"connected": "green", "connecting": "yellow"}
POLL_SECONDS = 0.2


@click.group()
def server() -> None:
    """Add, list and remove pools."""


@server.command()
@click.argument("host", metavar="HOST")
@click.argument("username")
@password_option
@click.option("--label", help="A name of your own for it.")
@click.option("--allow-unauthorized", is_flag=True, help="Pin the certificates of the first connections.")
@click.option("--fingerprint", metavar="SHA256", help="Of the certificate that HOST must show from the first.")
@click.option(
    "--wait",
    type=click.FloatRange(min=0),
    default=30.0,
    show_default=True,
    metavar="SECONDS",
    help="For the connection.",
)
@options.client_options
@options.json_option
def add(server: Access, as_json: bool, wait: float, **asked: Any) -> None:
    """Add the pool whose master is HOST ([http[s]://]host[:port]) and connect to it.

    The password comes from --password-file, from XO_WARMIG_POOL_PASSWORD, or is asked for.
    """
    parameters = {
        "host": asked["host"],
        "username": asked["username"],
        "password": _password(asked["password_file"]),
        "allowUnauthorized": asked["allow_unauthorized"],
    }
    parameters |= {name: asked[name] for name in ("label", "fingerprint") if asked[name]}

    async def run(client: Client) -> None:
        found = await add_and_wait(client, parameters, timeout_seconds=wait)
        if as_json:
            print_json(found)
        else:
            name = found.get("poolNameLabel") or found["host"]
            output().print(f"{found['status']}: {name}  {found['id']}", markup=False, highlight=False)
            for line in encryption_lines(found):
                output().print(line, soft_wrap=True)

    options.signed_in(server, run)


@server.command("list")
@options.client_options
@options.json_option
def list_servers(server: Access, as_json: bool) -> None:
    """List the pools and whether they are connected."""

    async def run(client: Client) -> None:
        found = await client.call("server.getAll")
        print_json(found) if as_json else _print(found)

    options.signed_in(server, run)


@server.command()
@click.argument("server_id", metavar="ID")
@options.client_options
@options.json_option
def remove(server: Access, as_json: bool, server_id: str) -> None:
    """Disconnect from a pool and forget it."""

    async def run(client: Client) -> None:
        await client.call("server.remove", id=server_id)
        print_json({"removed": server_id}) if as_json else output().print(f"Removed {server_id}", highlight=False)

    options.signed_in(server, run)


async def add_and_wait(client: Client, parameters: dict[str, Any], *, timeout_seconds: float) -> dict[str, Any]:
    """Add a server and wait for its connection; its record. With no time to wait, as it is at once.

    Raises:
        PoolUnreachable: not connected in time; it stays added, and is tried again and again.
    """
    server_id = await client.call("server.add", **parameters)
    end = time.monotonic() + timeout_seconds
    while True:
        found: dict[str, Any] = next(one for one in await client.call("server.getAll") if one["id"] == server_id)
        if found["status"] == "connected" or not timeout_seconds:
            return found
        if time.monotonic() > end or found.get("error"):
            raise _not_connected(found)
        await asyncio.sleep(POLL_SECONDS)


def _not_connected(found: dict[str, Any]) -> PoolUnreachable:
    """An address is added once: who wants to add it otherwise has to remove it first."""
    error, forget = found.get("error") or {}, f"`xo-warmig server remove {found['id']}`"
    why, helps = error.get("message") or "it does not answer", error.get("remedy")
    return PoolUnreachable(
        f"{found['host']} was added as {found['id']}, but is not connected: {why}",
        code=str(error.get("code") or PoolUnreachable.default_code),
        evidence={"host": found["host"], "id": found["id"]},
        remedy=f"{helps}; {forget} comes before adding it anew" if helps else f"it is tried again; {forget} forgets it",
    )


def _password(file: Any) -> str:
    if file is not None:
        return first_line(file)
    return os.environ.get("XO_WARMIG_POOL_PASSWORD") or click.prompt("Password", hide_input=True, err=True)


def _print(servers: list[dict[str, Any]]) -> None:
    """The table, and then how the way to each is protected."""
    output().print(_table(servers) if servers else "No pools yet.")
    for one in servers:
        lines = encryption_lines(one)
        if lines:
            output().print(Text(one.get("poolNameLabel") or one["host"], style="bold"))
        for line in lines:
            output().print(line, soft_wrap=True)


def _table(servers: list[dict[str, Any]]) -> Table:
    table = Table("Server", "Host", "User", "Pool", "Status", box=box.SIMPLE_HEAD)
    for one in servers:
        error = one.get("error") or {}
        status = Text(one["status"], style=STATUS_COLOURS.get(one["status"], "red"))
        status.append(f"  {error['message']}" if error.get("message") else "", style="dim")
        pool = one.get("poolNameLabel") or one.get("label") or ""
        table.add_row(one["id"], escape(one["host"]), escape(one["username"]), escape(pool), status)
    return table
