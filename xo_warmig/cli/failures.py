"""How an error is printed: for people on standard error, for programs as one JSON object on standard output."""

import json

from rich.markup import escape

from xo_warmig.cli.terminal import errors
from xo_warmig.errors import WarmigError


def print_failure(error: WarmigError, *, as_json: bool) -> None:
    """Code, message and remedy; as JSON with the evidence too."""
    if as_json:
        print(json.dumps({"error": error.as_dict()}))
    else:
        print_error(error.code, error.message, error.remedy)


def print_error(code: str, message: str, remedy: str) -> None:
    """One error for people. What it says may come from a pool: it is data, never markup."""
    console = errors()
    whole = not console.is_terminal  # in a log a line is a line
    console.print(f"[bold red]{escape(code)}[/]: {escape(message)}", highlight=False, soft_wrap=whole)
    if remedy:
        console.print(f"  [bold]→[/] {escape(remedy)}", highlight=False, soft_wrap=whole)
