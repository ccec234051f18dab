"""Files and functions stay small enough to be read in one go, and no modules import each other in a circle."""

import ast
import statistics
from collections.abc import Iterator
from pathlib import Path

from tests.sources import tree

PACKAGE = Path(__file__).parent.parent / "xo_warmig"

MOST_FILE_LINES, MEDIAN_FILE_LINES = 500, 150
MOST_FUNCTION_LINES, P95_FUNCTION_LINES, MEDIAN_FUNCTION_LINES = 80, 45, 12


def modules() -> dict[str, Path]:
    """Every module of the package by its full name."""
    found = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


def functions() -> Iterator[tuple[int, str]]:
    """Length in lines, and place, of every function."""
    for path in modules().values():
        for node in ast.walk(tree(path)):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                assert node.end_lineno is not None
                yield node.end_lineno - node.lineno + 1, f"{path.relative_to(PACKAGE)}:{node.lineno} {node.name}"


def test_files_are_small() -> None:
    """Within the budget; prints it."""
    lengths = {str(path.relative_to(PACKAGE)): len(path.read_text().splitlines()) for path in modules().values()}
    longest = max(lengths, key=lambda name: lengths[name])
    print(f"files: {len(lengths)}, median {statistics.median(lengths.values())}, longest {longest} {lengths[longest]}")
    assert lengths[longest] <= MOST_FILE_LINES, longest
    assert statistics.median(lengths.values()) <= MEDIAN_FILE_LINES


def test_functions_are_small() -> None:
    """Within the budget; prints it."""
    found = sorted(functions())
    lengths = [length for length, _ in found]
    p95 = lengths[int(len(lengths) * 0.95)]
    print(f"functions: {len(lengths)}, median {statistics.median(lengths)}, p95 {p95}, longest {found[-1]}")
    assert found[-1][0] <= MOST_FUNCTION_LINES, found[-1]
    assert p95 <= P95_FUNCTION_LINES
    assert statistics.median(lengths) <= MEDIAN_FUNCTION_LINES


def imports_when_loaded(path: Path, names: set[str]) -> Iterator[str]:
    """What a module imports as it is loaded: not what is for the type checker alone, nor inside functions."""
    pending: list[ast.stmt] = list(tree(path).body)
    while pending:
        node = pending.pop()
        if isinstance(node, ast.If | ast.Try) and "TYPE_CHECKING" not in ast.dump(getattr(node, "test", node)):
            pending += node.body
        elif isinstance(node, ast.Import):
            yield from (name.name for name in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module is not None:
            submodules = {f"{node.module}.{name.name}" for name in node.names}
            yield from submodules & names or {node.module}


def test_no_modules_import_each_other_in_a_circle() -> None:
    """Names for the type checker alone do not count."""
    names = modules()
    edges = {
        name: {target for target in imports_when_loaded(path, set(names)) if target in names}
        for name, path in names.items()
    }
    left = dict(edges)
    while left:
        free = {name for name, targets in left.items() if not targets & left.keys()}
        assert free, f"circles among {sorted(left)}"
        left = {name: targets for name, targets in left.items() if name not in free}
