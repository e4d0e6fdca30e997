"""A file imports only from floors above its own; files of codecs, families and tasks never import one another."""

import ast
from pathlib import Path

import given

ROOT = Path(given.__file__).parent
FLOORS = ["variables", "sources", "scales", "codecs", "nn", "solve", "distributions", "conditional", "families", "joint",
          "infer",
          "train", "evaluate", "verbs", "tasks", "testing", "app"]
APART = {"codecs", "families", "tasks"}


def imports(path):
    """Modules of the package that a file imports, as tuples of names below `given`."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: a relative import"
            names = [f"given.{a.name}" for a in node.names] if node.module == "given" else [node.module]
        else:
            continue
        yield from (tuple(name.split(".")[1:]) for name in names if name.startswith("given."))


def test_floors():
    for path in ROOT.rglob("*.py"):
        place = path.relative_to(ROOT).with_suffix("").parts
        if place in (("__init__",), ("__main__",)):
            continue
        floor = FLOORS.index(place[0])
        for found in imports(path):
            if found[0] not in FLOORS:
                assert place[0] == "app" or found == ("__version__",), f"{path}: imports {'.'.join(found)}"
                continue
            assert FLOORS.index(found[0]) <= floor, f"{path}: imports {'.'.join(found)} from below"
            if place[0] in APART and place[-1] != "__init__":
                assert found[0] != place[0] or place[-1] == "infer", f"{path}: imports its neighbour {'.'.join(found)}"


def test_public_names():
    for name in given.__all__:
        assert getattr(given, name) is not None
    for package in ("codecs", "families", "distributions", "nn", "infer", "train", "evaluate", "sources"):
        module = __import__(f"given.{package}", fromlist=["__all__"])
        assert list(module.__all__) == sorted(module.__all__), f"{package}.__all__ is not sorted"
        assert all(hasattr(module, name) for name in module.__all__)
