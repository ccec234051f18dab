"""Imports point one way. The rank table below is the architecture; this walks every import of the package against it."""

import ast
from collections.abc import Iterator
from pathlib import Path

from tests.sources import tree

PACKAGE = Path(__file__).parent.parent / "xo_warmig"

# area -> the areas that it may import, beside itself.
MAY_IMPORT: dict[str, set[str]] = {
    "errors": set(),
    "model": {"errors"},
    "config": {"errors", "model"},
    "formats": {"errors", "config", "model"},
    "disks": {"errors", "config", "model", "formats"},
    "replication": {"errors", "config", "model", "formats", "disks"},
    "xapi": {"errors", "config", "model", "formats", "disks"},
    "engine": {"errors", "config", "model", "formats", "disks", "replication"},
    "xo": {"errors", "model"},
    "api": {"errors", "config", "model", "engine", "xo"},
    "client": {"errors", "model"},
    "simulator": {"errors", "model", "formats"},
    "app": {"errors", "config", "model", "formats", "disks", "replication", "xapi", "engine", "xo", "api"},
    "cli": {"errors", "config", "model", "client", "simulator", "app"},
    "__main__": {"cli"},
    "": set(),  # xo_warmig itself: its version
}


def area_of(path: Path) -> str:
    """The first step below the package: a folder or a module."""
    first = path.relative_to(PACKAGE).parts[0]
    return "" if first == "__init__.py" else first.removesuffix(".py")


def imported_modules(path: Path) -> Iterator[tuple[int, str]]:
    """Line and full name of every import in a module, those inside functions included."""
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, name.name) for name in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}:{node.lineno}: a relative import; name the module whole"
            assert node.module is not None
            if node.module == "xo_warmig":
                yield from ((node.lineno, f"xo_warmig.{name.name}") for name in node.names)
            else:
                yield node.lineno, node.module


def imported_areas(path: Path) -> Iterator[tuple[int, str]]:
    """Line and area of every import of the package in a module."""
    for line, name in imported_modules(path):
        parts = name.split(".")
        if parts[0] == "xo_warmig":
            yield line, "" if len(parts) == 1 or parts[1] == "__version__" else parts[1]


def test_every_import_follows_the_table() -> None:
    """No module imports an area that its own area may not see."""
    wrong = []
    for path in sorted(PACKAGE.rglob("*.py")):
        area = area_of(path)
        assert area in MAY_IMPORT, f"{path}: a new area; give it a row in MAY_IMPORT"
        allowed = MAY_IMPORT[area] | {area, ""}
        wrong += [f"{path}:{line}: {area} imports {to}" for line, to in imported_areas(path) if to not in allowed]
    assert not wrong, "\n".join(wrong)


def test_the_table_has_no_cycle() -> None:
    """Areas can be sorted so that each imports only earlier ones."""
    left = {area: set(allowed) for area, allowed in MAY_IMPORT.items()}
    while left:
        free = {area for area, allowed in left.items() if not allowed & left.keys()}
        assert free, f"a cycle among {sorted(left)}"
        left = {area: allowed for area, allowed in left.items() if area not in free}


def test_libraries_stay_in_their_area() -> None:
    """The hypervisor's client library is imported by its adapters only, the RPC library by the API only."""
    owners = {
        "XenAPI": {"xapi"},
        "jsonrpcserver": {"api"},
        "uvicorn": {"app"},
        "click": {"cli"},
        "dbos": {"engine"},
        "sqlalchemy": {"engine", "api"},
        "alembic": {"engine"},
        "regex": {"xo"},
    }
    wrong = []
    for path in sorted(PACKAGE.rglob("*.py")):
        for line, name in imported_modules(path):
            owner = owners.get(name.split(".")[0])
            if owner is not None and area_of(path) not in owner:
                wrong.append(f"{path}:{line}: {name} belongs to {sorted(owner)}")
    assert not wrong, "\n".join(wrong)
