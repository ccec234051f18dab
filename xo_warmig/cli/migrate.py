"""``migrate``: start a warm migration, or join one that runs already, and follow it to its end."""

from typing import Any

import click

from xo_warmig.cli import options
from xo_warmig.cli.access import Access
from xo_warmig.cli.request import as_request, request_parameters
from xo_warmig.cli.terminal import print_json
from xo_warmig.cli.viewing import Viewing
from xo_warmig.client import Client


@click.command()
@request_parameters
@click.option("--detach", is_flag=True, help="Print the migration's id and do not follow it.")
@options.patience_option
@options.client_options
@options.json_option
def migrate(server: Access, as_json: bool, patience: float, detach: bool, **asked: Any) -> None:
    """Move VM to the storage repository SR of another pool. Both are named by uuid.

    The migration goes on in the server when this command is interrupted, and this command goes on when the server restarts.
    """
    parameters = as_request(**asked)

    async def start(client: Client) -> str:
        migration: str = await client.call("warmMigration.start", **parameters)
        return migration

    if detach:
        migration = options.signed_in(server, start, patience_seconds=patience)
        print_json({"id": migration}) if as_json else click.echo(migration)
        return
    viewing = Viewing(start, as_json=as_json)
    try:
        viewing.run(server, patience_seconds=patience)
    except BaseException:
        # Ctrl-C stops the watching only.
        if viewing.migration is not None and not as_json:
            click.echo(f"Migration {viewing.migration}: see `xo-warmig show {viewing.migration}`", err=True)
        raise
