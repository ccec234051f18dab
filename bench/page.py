"""The figures of ``docs/performance.md``, from what ``make bench`` wrote down.

``python -m bench.page DIRECTORY`` prints the tables of all results there (``NAME.json`` each, as ``--json`` prints them); ``--write``
puts them into the page instead, and leaves the tables of other benchmarks there as they are.
"""

import os
import platform
import re
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec

PAGE = Path(__file__).parent.parent / "docs" / "performance.md"


def table_of(result: dict[str, Any], measured: datetime) -> str:
    """A heading, where and when, and the figures with their goals."""
    lines = [
        f"Measured {measured:%Y-%m-%d} on {os.cpu_count()} cores, Python {platform.python_version()}.",
        "",
        "| | median | least to most | runs | goal |",
        "|---|---|---|---|---|",
    ]
    for name, found in result["figures"].items():
        spread = "" if found["runs"] == 1 else f"{found['least']:.3g} to {found['most']:.3g}"
        goal = goal_of(result["goals"].get(name), found["median"])
        lines.append(f"| {name} | {found['median']:.3g} {found['unit']} | {spread} | {found['runs']} | {goal} |")
    return "\n".join(lines)


def goal_of(goal: dict[str, float | None] | None, value: float) -> str:
    """What was to be reached, and whether it was."""
    if goal is None:
        return ""
    least, most = goal["atLeast"], goal["atMost"]
    holds = (least is None or value >= least) and (most is None or value <= most)
    bound = f"at least {least:g}" if least is not None else f"at most {most:g}"
    return bound if holds else f"**not reached: {bound}**"


def with_table(page: str, name: str, table: str) -> str:
    """The page with this benchmark's table in its place. Raises ValueError when it has none."""
    begin, end = f"<!-- {name} -->", f"<!-- end of {name} -->"
    place = re.compile(f"{re.escape(begin)}.*?{re.escape(end)}", re.DOTALL)
    if not place.search(page):
        raise ValueError(f"{PAGE} has no place for {name}")
    return place.sub(lambda _: f"{begin}\n{table}\n{end}", page)


def main() -> int:
    """Print, or write."""
    directory, write = Path(sys.argv[1]), "--write" in sys.argv[2:]
    page = PAGE.read_text()
    for path in sorted(directory.glob("*.json")):
        result = msgspec.json.decode(path.read_bytes())
        table = table_of(result, datetime.fromtimestamp(path.stat().st_mtime, UTC))
        page = with_table(page, result["name"], table)
        if not write:
            print(f"## {result['name']}\n\n{table}\n")
    if write:
        PAGE.write_text(page)
    return 0


if __name__ == "__main__":
    sys.exit(main())
