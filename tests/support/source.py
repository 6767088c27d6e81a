"""Our own source, parsed."""

import ast
import gc
from pathlib import Path


def parsed(path: Path) -> ast.Module:
    """Without a garbage collection in between: Debian 12's Python 3.11.2 takes what a finaliser
    does for a fault of the parser (python/cpython#106905).
    """
    gc.disable()
    try:
        return ast.parse(path.read_text(encoding="utf-8"))
    finally:
        gc.enable()


def names_used(path: Path) -> set[str]:
    """Every name and attribute that a module speaks of."""
    tree = parsed(path)
    names = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
    return names | {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
