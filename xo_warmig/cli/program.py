"""The group of all commands: imports each when it is used, and turns every failure into a message and an exit code.

0: done. 1: failed. 2: the command line is wrong. A failure never ends in a traceback, unless XO_WARMIG_DEBUG is set.
"""

import importlib
import os
from collections.abc import Mapping
from typing import Any

import click

from xo_warmig.cli.failures import print_failure
from xo_warmig.errors import WarmigError

INTERRUPTED = 130


class Program(click.Group):
    """``commands_by_name``: command name to ``module:attribute``."""

    def __init__(self, *args: Any, commands_by_name: Mapping[str, str], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._by_name = commands_by_name

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(self._by_name)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in self._by_name:
            return None
        module, attribute = self._by_name[cmd_name].split(":")
        command: click.Command = getattr(importlib.import_module(module), attribute)
        return command

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except (click.ClickException, click.exceptions.Exit, click.Abort):
            raise
        except KeyboardInterrupt:
            ctx.exit(INTERRUPTED)
        except BrokenPipeError:
            # Whoever read our output has seen enough; what is still buffered has nowhere to go.
            os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
            ctx.exit(1)
        except WarmigError as error:
            _fail(ctx, error)
        except Exception as error:
            _fail(ctx, _defect(error))


def _fail(ctx: click.Context, error: WarmigError) -> None:
    if os.environ.get("XO_WARMIG_DEBUG"):
        raise error
    print_failure(error, as_json=ctx.meta.get("json", False))
    ctx.exit(1)


def _defect(error: Exception) -> WarmigError:
    defect = WarmigError(
        f"something that should not happen: {type(error).__name__}: {error}",
        remedy="This is a defect. Run it again with XO_WARMIG_DEBUG=1 and report what it prints.",
    )
    defect.__cause__ = error
    return defect
