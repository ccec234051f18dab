"""Sizes as the types of options."""

import click

from xo_warmig.model.units import parse_size


def size(text: str) -> int:
    """The type of options that are sizes."""
    try:
        return parse_size(text)
    except ValueError as error:
        raise click.BadParameter(str(error)) from error
