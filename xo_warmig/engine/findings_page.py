"""``docs/findings.md``: all findings of a plan, made from their table.

``python -m xo_warmig.engine.findings_page --write`` writes it, ``--check`` compares.
"""

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from xo_warmig.engine import pages
from xo_warmig.model.finding_codes import SUBJECTS, Meaning
from xo_warmig.model.findings import Severity

FILE: Final = Path(__file__).parents[2] / "docs" / "findings.md"
_COMMAND: Final = "python -m xo_warmig.engine.findings_page --write"

_INTRODUCTION: Final = f"""# Findings

Made from `xo_warmig/model/finding_codes.py` (`{_COMMAND}`); do not edit.

What `warmMigration.plan` and `xo-warmig plan` tell before anything is touched: `{{code, severity, object, message, remedy, evidence}}`. An
**error** refuses the migration, whoever asks for it: `vm.warmMigration`, `warmMigration.start` or the command line; the first one becomes
the call's error. A **warning** says what the migration costs. It stops nothing but where it has `needsForce`: then `force: true` is needed.
That has what may cost data although it could be avoided, and what an option of the request adds to the downtime beyond
`targetDowntime`; the last column says which. Xen Orchestra's own page cannot give `force`, so of what its calls may meet only an SR
that both pools write to asks for it, and not a guest without tools. An **info** is good to know. `object` is the uuid of what it is
about, `evidence` has what was seen.

Where a pool does not tell something, as old releases do not, nothing is judged by it. How many sessions a pool has left none of them tells:
XAPI lists no sessions. This server has one with each pool.
"""


def page() -> str:
    """The whole file."""
    return "\n".join([_INTRODUCTION, *(line for name, codes in SUBJECTS.items() for line in _subject(name, codes))])


def _subject(name: str, codes: Mapping[str, Meaning]) -> list[str]:
    rows = [
        f"| `{code}` | {each.severity} | {each.meaning} | {each.remedy} | {_force(each)} |"
        for code, each in codes.items()
    ]
    return [
        f"## {name}",
        "",
        "| Code | Severity | What it means | What helps | Needs `force` |",
        "| --- | --- | --- | --- | --- |",
        *rows,
        "",
    ]


def _force(each: Meaning) -> str:
    """Nothing but a warning can be accepted."""
    return each.force if each.severity is Severity.WARNING else ""


def main(arguments: list[str]) -> int:
    return pages.main(arguments, text=page(), file=FILE, command=_COMMAND)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
