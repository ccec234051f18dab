"""``user``: who may use the server."""

from typing import Any

import click
from rich import box
from rich.markup import escape
from rich.table import Table

from xo_warmig.cli import options
from xo_warmig.cli.access import Access
from xo_warmig.cli.passwords import password_option, typed_twice
from xo_warmig.cli.terminal import output, print_json
from xo_warmig.client import Client
from xo_warmig.errors import NoSuchObject

LEVELS = click.Choice(["none", "read", "write", "admin"])


@click.group()
def user() -> None:
    """Add, list, change and remove users."""


@user.command()
@click.argument("email", metavar="NAME")
@click.option("--permission", type=LEVELS, default="admin", show_default=True, help="Only an admin may migrate.")
@password_option
@options.client_options
@options.json_option
def add(server: Access, as_json: bool, email: str, permission: str, password_file: Any) -> None:
    """Add a user. The password comes from --password-file, or is asked for."""
    password = typed_twice(password_file)

    async def run(client: Client) -> None:
        made = await client.call("user.create", email=email, password=password, permission=permission)
        print_json({"id": made}) if as_json else output().print(made, highlight=False)

    options.signed_in(server, run)


@user.command("list")
@options.client_options
@options.json_option
def list_users(server: Access, as_json: bool) -> None:
    """List the users."""

    async def run(client: Client) -> None:
        found = await client.call("user.getAll")
        print_json(found) if as_json else output().print(_table(found))

    options.signed_in(server, run)


@user.command()
@click.argument("name", metavar="NAME")
@password_option
@options.client_options
@options.json_option
def password(server: Access, as_json: bool, name: str, password_file: Any) -> None:
    """Give a user a new password. Their tokens stay good."""
    _change(server, as_json, name, password=typed_twice(password_file))


@user.command()
@click.argument("name", metavar="NAME")
@click.argument("permission", type=LEVELS)
@options.client_options
@options.json_option
def permit(server: Access, as_json: bool, name: str, permission: str) -> None:
    """Change what a user may do."""
    _change(server, as_json, name, permission=permission)


@user.command()
@click.argument("name", metavar="NAME")
@options.client_options
@options.json_option
def remove(server: Access, as_json: bool, name: str) -> None:
    """Remove a user and all of their tokens."""

    async def run(client: Client) -> None:
        found = await _found(client, name)
        await client.call("user.delete", id=found["id"])
        print_json({"removed": found["id"]}) if as_json else output().print(f"Removed {found['id']}", highlight=False)

    options.signed_in(server, run)


def _change(server: Access, as_json: bool, name: str, **changes: str) -> None:
    async def run(client: Client) -> None:
        found = await _found(client, name)
        await client.call("user.set", id=found["id"], **changes)
        print_json({"changed": found["id"]}) if as_json else output().print("Changed", highlight=False)

    options.signed_in(server, run)


async def _found(client: Client, name: str) -> dict[str, Any]:
    """By name or id. Raises NoSuchObject."""
    for each in await client.call("user.getAll"):
        if name == each["id"] or name.casefold() == each["email"].casefold():
            found: dict[str, Any] = each
            return found
    raise NoSuchObject(
        f"no such user {name}", evidence={"id": name, "type": "user"}, remedy="`xo-warmig user list` shows them all"
    )


def _table(users: list[dict[str, Any]]) -> Table:
    table = Table("User", "Name", "Permission", box=box.SIMPLE_HEAD)
    for each in users:
        table.add_row(each["id"], escape(each["email"]), each["permission"])
    return table
