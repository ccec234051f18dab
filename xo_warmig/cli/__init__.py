"""The command line. Commands talk to the server's API as any client would; only ``serve``, ``simulate`` and ``demo`` start things.

The table below is all of it: a command's module is imported when the command is used.
"""

import click

import xo_warmig
from xo_warmig.cli.program import Program

COMMANDS = {
    "demo": "xo_warmig.cli.demo:demo",
    "simulate": "xo_warmig.cli.simulate:simulate",
    "serve": "xo_warmig.cli.serve:serve",
    "plan": "xo_warmig.cli.plan:plan",
    "migrate": "xo_warmig.cli.migrate:migrate",
    "list": "xo_warmig.cli.migrations:list_migrations",
    "show": "xo_warmig.cli.migrations:show",
    "watch": "xo_warmig.cli.migrations:watch",
    "cutover": "xo_warmig.cli.steering:cutover",
    "pause": "xo_warmig.cli.steering:pause",
    "resume": "xo_warmig.cli.steering:resume",
    "cancel": "xo_warmig.cli.steering:cancel",
    "rollback": "xo_warmig.cli.steering:rollback",
    "commit": "xo_warmig.cli.steering:commit",
    "sweep": "xo_warmig.cli.sweep:sweep",
    "server": "xo_warmig.cli.server:server",
    "user": "xo_warmig.cli.user:user",
    "token": "xo_warmig.cli.token:token",
}


@click.group(cls=Program, commands_by_name=COMMANDS, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(xo_warmig.__version__, prog_name="xo-warmig")
def main() -> None:
    """Move running VMs between XCP-ng and XenServer pools with the shortest possible downtime."""
