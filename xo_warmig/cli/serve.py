"""``serve``: the server itself, until it is told to stop."""

import asyncio
import logging
from pathlib import Path
from typing import Any

import click
from rich.console import Console

from xo_warmig import app, config
from xo_warmig.cli import access
from xo_warmig.cli.interrupts import until_interrupted
from xo_warmig.cli.options import json_option
from xo_warmig.cli.terminal import output, print_json


@click.command()
@click.option("--config", "file", type=click.Path(path_type=Path), help="A TOML file; its keys are these options.")
@click.option("--address", help="The IP address to listen on.  [default: 127.0.0.1]")
@click.option("--port", type=int, help="The port to listen on; 0 takes a free one.  [default: 8480]")
@click.option("--tls-cert", type=click.Path(), help="A certificate with its chain (PEM).")
@click.option("--tls-key", type=click.Path(), help="Its key (PEM).")
@click.option("--allow-plain", is_flag=True, default=None, help="Serve other machines without TLS.")
@click.option("--state-dir", type=click.Path(), help="Where accounts, pools and migrations are kept.")
@click.option("--admin-password-file", type=click.Path(), help="The first administrator's password.")
@click.option("--upstream", help="URL of an xo-server to stand in front of, as a gateway.")
@json_option
def serve(file: Path | None, as_json: bool, **given: Any) -> None:
    """Run the server until interrupted.

    Settings come from the file, then from XO_WARMIG_* variables, then from these options. An empty state directory gets an
    administrator, whose password is printed once.
    """
    settings = config.load(config.find_file(file), given=given)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    for library in ("uvicorn", "alembic"):
        logging.getLogger(library).setLevel(logging.WARNING)
    asyncio.run(_serve(settings, as_json=as_json))


async def _serve(settings: config.Config, *, as_json: bool) -> None:
    async with app.running(settings) as server:
        ca_file = str(settings.tls_cert.resolve()) if settings.tls_cert else None
        access.leave(settings.state_dir, access.Access(url=server.url, token=server.token, ca_file=ca_file))
        try:
            if as_json:
                print_json(_ready(server))
            else:
                _tell(output(), server)
            await until_interrupted(server.stopped())
        finally:
            access.remove(settings.state_dir)


def _ready(server: app.Server) -> dict[str, str]:
    ready = {"url": server.url, "stateDir": str(server.state_dir)}
    if server.config.upstream is not None:
        ready["upstream"] = server.config.upstream
    if server.new_password is not None:
        ready |= {"email": server.administrator, "password": server.new_password}
    return ready


def _tell(console: Console, server: app.Server) -> None:
    console.print(f"Serving at [bold]{server.url}[/]  (state in {server.state_dir})", highlight=False)
    if server.config.upstream is not None:
        console.print(f"In front of {server.config.upstream}", markup=False, highlight=False)
    if server.new_password is not None:
        console.print(f"The administrator is [bold]{server.administrator}[/], with a password shown only now:")
        console.print(f"  {server.new_password}", markup=False, highlight=False)
