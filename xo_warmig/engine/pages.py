"""Pages of the documentation that are made from tables of the code: written with ``--write``, compared with ``--check``."""

import argparse
import sys
from pathlib import Path


def main(arguments: list[str], *, text: str, file: Path, command: str) -> int:
    """The exit code: 1 when the page is stale. ``command`` writes it anew."""
    parser = argparse.ArgumentParser(description=f"docs/{file.name}")
    action = parser.add_mutually_exclusive_group(required=True)
    action.add_argument("--write", action="store_true", help="write the page anew")
    action.add_argument("--check", action="store_true", help="exit 1 when the page is not what the tables say")
    parser.add_argument("--file", type=Path, default=file)
    given = parser.parse_args(arguments)
    if given.write:
        given.file.write_text(text)
        return 0
    if given.file.exists() and given.file.read_text() == text:
        return 0
    print(f"stale: {given.file.name} ({command})", file=sys.stderr)
    return 1
