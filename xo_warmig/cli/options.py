"""Options that several commands share, and the sign-in of those that are clients."""

import asyncio
import functools
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, TypeVar, cast

import click

from xo_warmig import config
from xo_warmig.cli import access
from xo_warmig.client import Client, connect

Command = TypeVar("Command", bound=Callable[..., Any])
Result = TypeVar("Result")


def json_option(command: Command) -> Command:
    """``--json``: machine-readable output, errors included."""

    def remember(ctx: click.Context, _: click.Parameter, value: bool) -> bool:
        ctx.meta["json"] = value
        return value

    option = click.option(
        "--json", "as_json", is_flag=True, is_eager=True, callback=remember, help="Print JSON, errors included."
    )
    return option(command)


def client_options(command: Command) -> Command:
    """``--url``, ``--token``, ``--ca`` and ``--state-dir``, arriving as one ``server: Access``."""

    @click.option("--url", envvar="XO_WARMIG_URL", metavar="URL", help="The server, as http://HOST:PORT.")
    @click.option("--token", envvar="XO_WARMIG_TOKEN", metavar="TOKEN", help="A token of a user of the server.")
    @click.option("--ca", "ca_file", envvar="XO_WARMIG_CA", metavar="FILE", help="Certificates (PEM) to trust.")
    @click.option(
        "--state-dir",
        envvar="XO_WARMIG_STATE_DIR",
        type=click.Path(path_type=Path, file_okay=False),
        help="Where a local server keeps its state; the default for URL and token.",
    )
    @functools.wraps(command)
    def with_access(
        *, url: str | None, token: str | None, ca_file: str | None, state_dir: Path | None, **values: Any
    ) -> Any:
        directory = state_dir or config.default_state_dir()
        return command(server=access.find(directory, url=url, token=token, ca_file=ca_file), **values)

    return cast(Command, with_access)


def signed_in(server: access.Access, use: Callable[[Client], Awaitable[Result]]) -> Result:
    """Run ``use`` with a client that is signed in."""

    async def run() -> Result:
        async with connect(server.url, token=server.token, ca_file=server.ca_file) as client:
            return await use(client)

    return asyncio.run(run())
