"""Sources as syntax trees, for the tests that read what the code says."""

import ast
import gc
from pathlib import Path


def tree(path: Path) -> ast.Module:
    """What a file of Python says.

    Python 3.11 counts the depth of its own recursion while it builds a tree, for all trees together. When its collector runs in the
    midst of that and meets an asyncio task whose failure nobody asked for, that is logged, with a traceback, for which sources are
    parsed as well; the outer count is then wrong, and parsing fails with SystemError. So the collector waits meanwhile.
    """
    text = path.read_text()
    collects = gc.isenabled()
    gc.disable()
    try:
        return ast.parse(text)
    finally:
        if collects:
            gc.enable()
