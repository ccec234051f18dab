"""Passwords, which never stand on a command line, where others can see them."""

from collections.abc import Callable
from typing import Any, TypeVar

import click

Command = TypeVar("Command", bound=Callable[..., Any])


def password_option(command: Command) -> Command:
    """``--password-file``."""
    option = click.option(
        "--password-file",
        type=click.File("r"),
        help="Read the password's line from a file, '-' for standard input.",
    )
    return option(command)


def first_line(file: Any) -> str:
    """Of an open file."""
    return str(file.readline()).rstrip("\r\n")


def typed_twice(file: Any) -> str:
    """A new password: of the file where there is one, else asked for, twice."""
    if file is not None:
        return first_line(file)
    return str(click.prompt("Password", hide_input=True, confirmation_prompt=True, err=True))
