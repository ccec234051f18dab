"""Options that several commands share, and the sign-in of those that are clients."""

import asyncio
import functools
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, TypeVar, cast

import click

from xo_warmig import config
from xo_warmig.cli import access
from xo_warmig.client import PATIENCE_SECONDS, Client, ConnectionLost, connect, persistently

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


def patience_option(command: Command) -> Command:
    """``--patience``: for commands that follow something which outlives the server."""
    option = click.option(
        "--patience",
        type=click.FloatRange(min=0),
        default=PATIENCE_SECONDS,
        show_default=True,
        metavar="SECONDS",
        help="How long to try again when the connection is lost.",
    )
    return option(command)


def signed_in(
    server: access.Access,
    use: Callable[[Client], Awaitable[Result]],
    *,
    patience_seconds: float = 0.0,
    lost: Callable[[ConnectionLost], None] = lambda error: None,
) -> Result:
    """Run ``use`` with a client that is signed in; with patience again when its connection is lost, after ``lost`` was told."""

    async def run() -> Result:
        if patience_seconds:
            return await persistently(
                use,
                server.url,
                token=server.token,
                ca_file=server.ca_file,
                patience_seconds=patience_seconds,
                lost=lost,
            )
        async with connect(server.url, token=server.token, ca_file=server.ca_file) as client:
            return await use(client)

    return asyncio.run(run())
