"""``token``: what scripts sign in with."""

import time
from typing import Any

import click
from rich import box
from rich.markup import escape
from rich.table import Table

from xo_warmig.cli import options
from xo_warmig.cli.access import Access
from xo_warmig.cli.terminal import output, print_json
from xo_warmig.client import Client


@click.group()
def token() -> None:
    """Create, list and delete one's own tokens."""


@token.command()
@click.option("--description", help="What it is for.")
@click.option("--expires-in", metavar="DURATION", help="Such as '30 days', which is the default; at most half a year.")
@options.client_options
@options.json_option
def create(server: Access, as_json: bool, description: str | None, expires_in: str | None) -> None:
    """Create a token and print it. Whoever has it may do what you may."""
    given = {"description": description, "expiresIn": expires_in}

    async def run(client: Client) -> None:
        made = await client.call("token.create", **{name: value for name, value in given.items() if value})
        print_json({"token": made}) if as_json else click.echo(made)

    options.signed_in(server, run)


@token.command("list")
@options.client_options
@options.json_option
def list_tokens(server: Access, as_json: bool) -> None:
    """List one's own tokens, with their values."""

    async def run(client: Client) -> None:
        found = await client.call("user.getAuthenticationTokens")
        print_json(found) if as_json else output().print(_table(found) if found else "No tokens yet.")

    options.signed_in(server, run)


@token.command()
@click.argument("tokens", metavar="TOKEN...", nargs=-1, required=True)
@options.client_options
@options.json_option
def delete(server: Access, as_json: bool, tokens: tuple[str, ...]) -> None:
    """Delete tokens of one's own. Connections that signed in with them stay."""

    async def run(client: Client) -> None:
        await client.call("token.deleteOwn", tokens=list(tokens))
        print_json({"deleted": list(tokens)}) if as_json else output().print("Deleted", highlight=False)

    options.signed_in(server, run)


def _table(tokens: list[dict[str, Any]]) -> Table:
    table = Table("Token", "Description", "Ends", "Last used", box=box.SIMPLE_HEAD)
    for each in tokens:
        uses = [use["timestamp"] for use in each.get("last_uses", {}).values()]
        used = _moment(max(uses)) if uses else ""
        table.add_row(each["id"], escape(each.get("description") or ""), _moment(each["expiration"]), used)
    return table


def _moment(milliseconds: int) -> str:
    return time.strftime("%Y-%m-%d %H:%M", time.localtime(milliseconds / 1000))
